"""How good an offer is beside others of its card: price, reliability and availability in one number. Pure.

The recording rule of the same name has the same formula and weights. It knows what a provider had in stock
for seven days and takes that where no reliability is published; a single look at the market does not. Here
what is not published is left out, and the other parts weigh for it. Which parts were counted is told.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from gputally.config.market import GScore
from gputally.model.market import Offer

WORST_RELIABILITY = 0.9  # counts nothing; 1 counts all
Kind = tuple[str, str, str]  # card, price tier, host tier: only within these are prices compared


@dataclass(frozen=True, slots=True)
class Score:
    """From 0 to 1, and the parts that it is made of; None where nothing that has a weight is known."""

    ratio: float | None
    parts: tuple[str, ...]


def kind_of(offer: Offer) -> Kind:
    """With what an offer is compared."""
    return offer.card, offer.price_tier, offer.host_tier


def cheapest(offers: Iterable[Offer]) -> Mapping[Kind, Decimal]:
    """The lowest price of each kind that can be had now."""
    found: dict[Kind, Decimal] = {}
    for offer in offers:
        if offer.available_gpus != 0:
            kind = kind_of(offer)
            found[kind] = min(found.get(kind, offer.usd_per_gpu_hour), offer.usd_per_gpu_hour)
    return found


def gscore(
    weights: GScore,
    usd: Decimal,
    cheapest_usd: Decimal | None,
    reliability_ratio: float | None,
    available_gpus: int | None,
) -> Score:
    """The score of a price, beside the cheapest of its kind."""
    values: dict[str, float] = {}
    if usd > 0:  # an offer that is sold out may be below the cheapest that is not
        values["price"] = min(1.0, float(usd if cheapest_usd is None else cheapest_usd) / float(usd))
    if reliability_ratio is not None:
        values["reliability"] = _within((reliability_ratio - WORST_RELIABILITY) / (1 - WORST_RELIABILITY))
    if available_gpus is not None:
        values["availability"] = _within(available_gpus / weights.gpus)
    weight = {part: float(getattr(weights, part)) for part in values}
    total = sum(weight.values())
    if not total:
        return Score(None, ())
    ratio = sum(weight[part] * value for part, value in values.items()) / total
    return Score(ratio, tuple(part for part in values if weight[part]))


def _within(value: float) -> float:
    return min(1.0, max(0.0, value))
