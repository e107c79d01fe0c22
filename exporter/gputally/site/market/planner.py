"""What it would cost to rent what a plan needs: by provider and card, cheapest first. Pure.

One provider, one card and one price tier a plan: GPUs of several providers are far apart, and of several
kinds as fast as the slowest. GPUs are rounded up to the nodes that are sold, and no more are planned than
there are.
Amounts are exact until somebody prints them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from math import ceil

from gputally.config.market import Plan
from gputally.model.market import Offer
from gputally.site.market.cards import Card
from gputally.site.market.cover import Line, by_price, cover, room
from gputally.site.market.gscore import Kind, Score, cheapest, gscore, kind_of
from gputally.site.market.search import ANYTHING, Sight, Wanted, bases_of, matching

TERA = 10**12
SECONDS_PER_HOUR = 3600


@dataclass(frozen=True, slots=True)
class Option:
    """One way to carry a plan out."""

    card: str
    provider: str
    basis: str  # what the prices are for
    price_tier: str
    host_tier: str
    lines: tuple[Line, ...]  # the cheapest first
    hours: Decimal
    available_gpus: int | None  # None: the provider does not say
    score: Score

    @property
    def gpus(self) -> int:
        """How many, with those that a node has too many."""
        return sum(line.gpus for line in self.lines)

    @property
    def usd(self) -> Decimal:
        """What the plan costs."""
        return sum((line.usd_per_hour for line in self.lines), Decimal(0)) * self.hours

    @property
    def usd_per_gpu_hour(self) -> Decimal:
        """The price of a GPU; the mean where offers of several prices are taken."""
        if len({line.offer.usd_per_gpu_hour for line in self.lines}) == 1:
            return self.lines[0].offer.usd_per_gpu_hour
        return sum((line.usd_per_hour for line in self.lines), Decimal(0)) / self.gpus


@dataclass(frozen=True, slots=True, order=True)
class Shortage:
    """Who has not enough."""

    provider: str
    host_tier: str
    card: str
    there: int
    needed: int


@dataclass(frozen=True, slots=True)
class Answer:
    """All options, cheapest first, and why others are none."""

    options: tuple[Option, ...] = ()
    too_few: tuple[Shortage, ...] = ()  # the nearest first
    without_tflops: tuple[str, ...] = ()  # cards of which it is not known how many would do
    over_budget: int = 0  # options that cost more than there is


def gpus_needed(plan: Plan, card: Card) -> int | None:
    """How many GPUs of a card do; None where nobody knows how fast it is."""
    if plan.gpus is not None:
        return plan.gpus
    if not card.bf16_dense_tflops:
        return None
    tflops = _tflops(plan, card)
    if plan.tflops is not None:
        return ceil(Fraction(plan.tflops) / tflops)
    assert plan.total_flops is not None  # noqa: S101 - a plan has one of the three
    seconds = Fraction(plan.hours) * SECONDS_PER_HOUR
    return ceil(Fraction(plan.total_flops) / (tflops * TERA * seconds))


def hours_needed(plan: Plan, card: Card, gpus: int) -> Decimal:
    """For how long: as planned, or until the work is done."""
    if plan.total_flops is None:
        return plan.hours
    hours = Fraction(plan.total_flops) / (_tflops(plan, card) * TERA * SECONDS_PER_HOUR * gpus)
    return min(plan.hours, Decimal(hours.numerator) / Decimal(hours.denominator))


def _tflops(plan: Plan, card: Card) -> Fraction:
    """What a GPU does of its peak. As the catalogue writes it: 0.1 is a tenth, not its nearest float."""
    return Fraction(Decimal(str(card.bf16_dense_tflops))) * Fraction(plan.mfu)


def wanted_by(plan: Plan, wanted: Wanted = ANYTHING) -> Wanted:
    """What offers must be for a plan, beside what else is wanted."""
    return replace(
        wanted,
        cards=frozenset({plan.card}) if plan.card is not None else wanted.cards,
        memory_gib=max(wanted.memory_gib, plan.vram_gib or Decimal(0)),
        providers=frozenset({plan.provider}) if plan.provider is not None else wanted.providers,
        price_tiers=wanted.price_tiers or frozenset({plan.price_tier}),
        host_tiers=frozenset({plan.host_tier}) if plan.host_tier is not None else wanted.host_tiers,
    )


def options_for(
    plan: Plan, sight: Sight, wanted: Wanted = ANYTHING, budget_usd: Decimal | None = None
) -> Answer:
    """Every way to carry a plan out, cheapest first."""
    options: list[Option] = []
    too_few: list[Shortage] = []
    chances, unknown = _chances(plan, sight, wanted)
    judge = _Judge(sight)
    for chance in chances:
        option = judge.option(plan, chance)
        if option is not None:
            options.append(option)
        else:
            too_few.append(_shortage(chance))
    good = [option for option in options if budget_usd is None or option.usd <= budget_usd]
    return Answer(
        tuple(sorted(good, key=_rank)),
        tuple(sorted(too_few, key=lambda one: (-one.there / one.needed, one))),
        unknown,
        len(options) - len(good),
    )


# In another order a product differs in the last of 28 digits: a bound may lie above what it bounds.
_ROUNDED = Decimal("1.00000000000000000001")


def cheapest_for(plan: Plan, sight: Sight) -> Option | None:
    """The first of all options, without a look at those that cannot be it."""
    best: Option | None = None
    judge = _Judge(sight)
    for chance in sorted(_chances(plan, sight, ANYTHING)[0], key=lambda one: one.least_usd):
        if best is not None and chance.least_usd > best.usd * _ROUNDED:
            break
        option = judge.option(plan, chance)
        if option is not None and (best is None or _rank(option) < _rank(best)):
            best = option
    return best


@dataclass(frozen=True, slots=True)
class _Chance:
    """Offers that may be rented together, and how many GPUs of them a plan needs."""

    card: Card
    offers: list[Offer]
    gpus: int
    least_usd: Decimal  # no way to carry the plan out with them costs less


def _chances(plan: Plan, sight: Sight, wanted: Wanted) -> tuple[list[_Chance], tuple[str, ...]]:
    """All that may do, and cards of which nobody knows how many would."""
    chances: list[_Chance] = []
    unknown: dict[str, None] = {}
    for group in _groups(matching(sight.offers(), sight.catalogue, wanted_by(plan, wanted))):
        card = sight.catalogue.cards[group[0].card]
        gpus = gpus_needed(plan, card)
        if gpus is None:
            unknown[card.slug] = None
            continue
        usd = min(offer.usd_per_gpu_hour for offer in group)
        chances.append(_Chance(card, group, gpus, usd * gpus * hours_needed(plan, card, gpus)))
    return chances, tuple(unknown)


def _shortage(chance: _Chance) -> Shortage:
    there = sum(room(offer, chance.gpus) * offer.node_gpus for offer in chance.offers)
    first = chance.offers[0]
    return Shortage(first.provider, first.host_tier, chance.card.slug, there, chance.gpus)


def _groups(offers: Iterable[Offer]) -> Iterator[list[Offer]]:
    """What may be rented together."""
    groups: dict[tuple[str, Kind], list[Offer]] = {}
    for offer in offers:
        groups.setdefault((offer.provider, kind_of(offer)), []).append(offer)
    yield from groups.values()


class _Judge:
    """Makes options, with their score beside all that is on offer."""

    def __init__(self, sight: Sight) -> None:
        self._weights, self._bases = sight.weights, bases_of(sight.market)
        self._lowest = cheapest(sight.offers())

    def option(self, plan: Plan, chance: _Chance) -> Option | None:
        """The cheapest way; None where there are not enough."""
        ways = [cover(chance.offers, chance.gpus)]
        if plan.total_flops is not None:  # more of them are done earlier: what a GPU-hour costs decides, too
            ways.append(by_price(chance.offers, chance.gpus))
        options = [self._unjudged(plan, chance, lines) for lines in ways if lines is not None]
        if not options:
            return None
        return self._scored(min(options, key=lambda option: option.usd), chance)

    def _unjudged(self, plan: Plan, chance: _Chance, lines: tuple[Line, ...]) -> Option:
        first = chance.offers[0]
        return Option(
            chance.card.slug,
            first.provider,
            self._bases.get(first.provider, ""),
            first.price_tier,
            first.host_tier,
            lines,
            hours_needed(plan, chance.card, sum(line.gpus for line in lines)),
            _available(chance.offers),
            Score(None, ()),
        )

    def _scored(self, option: Option, chance: _Chance) -> Option:
        """By its own price, and by the least reliable of its hosts."""
        known = [line.offer.reliability_ratio for line in option.lines]
        reliability = None if None in known else min(ratio for ratio in known if ratio is not None)
        lowest = self._lowest[kind_of(chance.offers[0])]
        score = gscore(self._weights, option.usd_per_gpu_hour, lowest, reliability, option.available_gpus)
        return replace(option, score=score)


def _available(offers: list[Offer]) -> int | None:
    counts = [offer.available_gpus for offer in offers]
    return None if None in counts else sum(count for count in counts if count is not None)


def _rank(option: Option) -> tuple[Decimal, float, str, str, str, str]:
    """By cost; of the same cost the better score first."""
    score = option.score.ratio or 0.0
    return option.usd, -score, option.provider, option.card, option.price_tier, option.host_tier
