"""What the plans of the configuration would cost now, as series. Pure.

A plan that nobody can carry out has no cost; the target stays, so that a rule can tell one from the other.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from gputally.config.market import GScore, Plan
from gputally.model.market import Market
from gputally.site.market.cards import Catalogue
from gputally.site.market.planner import cheapest_for
from gputally.site.market.search import Sight


@dataclass(frozen=True, slots=True)
class Planned:
    """Values by labels as published."""

    cheapest_usd: Mapping[str, float] = field(default_factory=dict)  # plan
    target_usd: Mapping[str, float] = field(default_factory=dict)  # plan
    gpus: Mapping[tuple[str, str, str], int] = field(default_factory=dict)  # (plan, provider, card)


def planned(
    plans: Iterable[Plan], market: Market, catalogue: Catalogue, weights: GScore, now_seconds: float
) -> Planned:
    """The cheapest option of every plan."""
    sight = Sight(market, catalogue, weights, now_seconds)
    cheapest: dict[str, float] = {}
    target: dict[str, float] = {}
    gpus: dict[tuple[str, str, str], int] = {}
    for plan in plans:
        if plan.target_usd is not None:
            target[plan.name] = float(plan.target_usd)
        best = cheapest_for(plan, sight)
        if best is not None:
            cheapest[plan.name] = float(best.usd)
            gpus[plan.name, best.provider, best.card] = best.gpus
    return Planned(cheapest, target, gpus)
