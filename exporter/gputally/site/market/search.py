"""Offers that somebody looks for, best first. Pure."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from gputally.config.market import GScore
from gputally.model.market import Market, Offer
from gputally.site.market.cards import Card, Catalogue
from gputally.site.market.gscore import Score, cheapest, gscore, kind_of

ORDERS = ("price", "tflop", "gscore", "available")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an offer must be. Nothing said of something: it may be anything."""

    cards: frozenset[str] = frozenset()
    memory_gib: Decimal = Decimal(0)  # that one GPU has at least
    providers: frozenset[str] = frozenset()
    regions: frozenset[str] = frozenset()  # a country's code, a region, or a word of one
    price_tiers: frozenset[str] = frozenset()
    host_tiers: frozenset[str] = frozenset()
    max_usd: Decimal | None = None  # for a GPU for an hour
    min_available: int = 0
    nvlink: bool = False
    sold_out: bool = False  # whether what nobody can have now may be there, too


ANYTHING = Wanted()


@dataclass(frozen=True, slots=True)
class Sight:
    """The market at one moment, and what is needed to judge it."""

    market: Market
    catalogue: Catalogue
    weights: GScore
    now_seconds: float

    def offers(self) -> tuple[Offer, ...]:
        """What is on offer."""
        return self.market.offers(self.now_seconds)


@dataclass(frozen=True, slots=True)
class Found:
    """An offer, and what follows from it."""

    offer: Offer
    card: Card
    basis: str  # what its price is for
    score: Score

    @property
    def usd_per_tflop_hour(self) -> Decimal | None:
        """Of dense BF16; None where the catalogue does not know how fast the card is."""
        tflops = self.card.bf16_dense_tflops
        return self.offer.usd_per_gpu_hour / Decimal(str(tflops)) if tflops else None


def search(sight: Sight, wanted: Wanted, order: str = "price") -> tuple[Found, ...]:
    """What is on offer and wanted, best first; scores compare with all that is on offer."""
    offers = sight.offers()
    lowest, bases = cheapest(offers), bases_of(sight.market)
    found = [
        Found(
            offer,
            sight.catalogue.cards[offer.card],
            bases.get(offer.provider, ""),
            gscore(
                sight.weights,
                offer.usd_per_gpu_hour,
                lowest.get(kind_of(offer)),
                offer.reliability_ratio,
                offer.available_gpus,
            ),
        )
        for offer in matching(offers, sight.catalogue, wanted)
    ]
    return tuple(sorted(found, key=_KEYS[order]))


def bases_of(market: Market) -> dict[str, str]:
    """What the prices of each provider are for."""
    return {report.provider: report.basis for report in market.providers}


def matching(offers: Iterable[Offer], catalogue: Catalogue, wanted: Wanted) -> Iterator[Offer]:
    """The offers that are wanted, of cards that the catalogue knows."""
    for offer in offers:
        card = catalogue.cards.get(offer.card)
        if card is not None and _is_wanted(offer, card, wanted):
            yield offer


def _is_wanted(offer: Offer, card: Card, wanted: Wanted) -> bool:
    given = (
        (wanted.cards, offer.card),
        (wanted.providers, offer.provider),
        (wanted.price_tiers, offer.price_tier),
        (wanted.host_tiers, offer.host_tier),
    )
    return (
        all(not words or word in words for words, word in given)
        and card.memory_gib >= wanted.memory_gib
        and (wanted.max_usd is None or offer.usd_per_gpu_hour <= wanted.max_usd)
        and (not wanted.min_available or (offer.available_gpus or 0) >= wanted.min_available)
        and (wanted.sold_out or offer.available_gpus != 0)
        and (not wanted.nvlink or offer.nvlink is True)
        and (not wanted.regions or any(_lies_in(offer, region) for region in wanted.regions))
    )


def _lies_in(offer: Offer, region: str) -> bool:
    words = _words(region)
    return bool(words.strip()) and (words == f" {offer.country.lower()} " or words in _words(offer.region))


def _words(text: str) -> str:
    """Small words between blanks, so that `us` is in `us-west-1` and not in `Austria`."""
    parts = "".join(c if c.isalnum() else " " for c in text.lower()).split()
    return f" {' '.join(parts)} "


Place = tuple[Decimal | float, Decimal, str, str, str, str]


def _after(found: Found, first: Decimal | float) -> Place:
    """Ties go by price, then by name, so that the same market is always listed in the same order."""
    offer = found.offer
    return first, offer.usd_per_gpu_hour, offer.card, offer.provider, offer.region, offer.offer_id


_NEVER = Decimal("Infinity")
_KEYS: dict[str, Callable[[Found], Place]] = {
    "price": lambda found: _after(found, found.offer.usd_per_gpu_hour),
    "tflop": lambda found: _after(
        found, found.usd_per_tflop_hour if found.usd_per_tflop_hour is not None else _NEVER
    ),
    "gscore": lambda found: _after(found, -found.score.ratio if found.score.ratio is not None else 1.0),
    "available": lambda found: _after(
        found, -float(found.offer.available_gpus) if found.offer.available_gpus is not None else 1.0
    ),
}
