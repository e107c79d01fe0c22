"""Offers of a market -> figures by provider, card, tiers and region, of which there are only so many. Pure.

What is left out where there are too many is decided by what it is worth to know. Of everything that somebody
offers, the cheapest region stays before any second region of anything; within that, who is cheap for a card
stays before who is dear for it. So the cheapest offer of every card is the last to go.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from statistics import fmean, median

from gputally.model.market import Offer, ProviderReport
from gputally.site.market.continents import CONTINENT_OF

Labels = tuple[str, str, str, str, str]  # provider, card, price tier, host tier, region
UNKNOWN = "unknown"  # the region of an offer that does not say which country


@dataclass(frozen=True, slots=True)
class Group:
    """Offers with the same labels."""

    labels: Labels
    min_usd: Decimal
    median_usd: Decimal
    offers: int
    available_gpus: int | None  # of those that say so
    reliability_ratio: float | None  # mean of the cheapest that say so

    @property
    def series(self) -> int:
        """How many series it is."""
        return 3 + (self.available_gpus is not None) + (self.reliability_ratio is not None)


@dataclass(frozen=True, slots=True)
class Board:
    """What is shown, and of how many series nothing is."""

    groups: tuple[Group, ...] = ()
    dropped_series: int = 0


def groups_of(report: ProviderReport, region: str) -> tuple[Group, ...]:
    """All groups of a provider's last good reply. `region` is all, continent or country."""
    offers: dict[Labels, list[Offer]] = {}
    for offer in report.fetched.offers if report.fetched is not None else ():
        place = region_of(offer, region)
        labels = (report.provider, offer.card, offer.price_tier, offer.host_tier, place)
        offers.setdefault(labels, []).append(offer)
    return tuple(_group(labels, its) for labels, its in offers.items())


def region_of(offer: Offer, region: str) -> str:
    """The value of the label."""
    if region == "all":
        return region
    if region == "continent":
        return CONTINENT_OF.get(offer.country, UNKNOWN)
    return offer.country or UNKNOWN


def board(groups: Iterable[Group], max_series: int) -> Board:
    """The groups that there is room for, as whole groups, in the order of their labels."""
    ranked = by_worth(tuple(groups))
    kept: list[Group] = []
    series = dropped = 0
    for group in ranked:
        if dropped or series + group.series > max_series:
            dropped += group.series  # no gap is filled by what is worth less
        else:
            series += group.series
            kept.append(group)
    return Board(tuple(sorted(kept, key=_labels)), dropped)


def by_worth(groups: Sequence[Group]) -> list[Group]:
    """What is worth most to know comes first."""
    cheapest: dict[tuple[str, str, str], Decimal] = {}
    regions: dict[tuple[str, ...], list[Group]] = {}
    for group in groups:
        kind = group.labels[1:4]
        cheapest[kind] = min(cheapest.get(kind, group.min_usd), group.min_usd)
        regions.setdefault(group.labels[:4], []).append(group)
    place: dict[Labels, int] = {}
    for its in regions.values():
        for number, group in enumerate(sorted(its, key=_price)):
            place[group.labels] = number
    return sorted(
        groups,
        key=lambda group: (place[group.labels], group.min_usd / cheapest[group.labels[1:4]], group.labels),
    )


def _group(labels: Labels, offers: list[Offer]) -> Group:
    """What can be had decides the prices; where everything is sold out, what it would cost."""
    to_be_had = [offer for offer in offers if offer.available_gpus != 0] or offers
    prices = [offer.usd_per_gpu_hour for offer in to_be_had]
    lowest = min(prices)
    counts = [offer.available_gpus for offer in offers if offer.available_gpus is not None]
    ratios = [
        offer.reliability_ratio
        for offer in to_be_had
        if offer.usd_per_gpu_hour == lowest and offer.reliability_ratio is not None
    ]
    return Group(
        labels,
        lowest,
        median(prices),
        len(offers),
        sum(counts) if counts else None,
        fmean(ratios) if ratios else None,
    )


def _price(group: Group) -> tuple[Decimal, Labels]:
    return group.min_usd, group.labels


def _labels(group: Group) -> Labels:
    return group.labels
