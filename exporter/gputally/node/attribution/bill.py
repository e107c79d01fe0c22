"""What one account has to pay: money, emissions and energy by band. Whole numbers (tariff/rates.py).

The parts of a tick that are billed sum to what the GPU is charged, so that bills sum to it for ever.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from gputally.model import Spent
from gputally.node.attribution.parties import Share
from gputally.tariff import EMISSION_UNITS, MONEY_UNITS, Priced

Row = list[Any]


@dataclass(slots=True)
class Bill:
    """Of a job or a team, since its counting began."""

    cost: dict[str, int] = field(default_factory=dict)  # currency -> units
    by_tariff_mj: dict[str, int] = field(default_factory=dict)
    emissions: int = 0
    unused_mj: int = 0
    unused_cost: dict[str, int] = field(default_factory=dict)

    def add(self, parts: Sequence[Priced], unused_mj: int) -> None:
        """Charge a share of a tick, and what of it went by unused."""
        for part in parts:
            mj, rate = part.energy_mj, part.rate
            self.cost[rate.currency] = self.cost.get(rate.currency, 0) + mj * rate.cost_units
            self.by_tariff_mj[rate.tariff] = self.by_tariff_mj.get(rate.tariff, 0) + mj
            self.emissions += mj * rate.emission_units
        if not unused_mj:
            return
        self.unused_mj += unused_mj
        left_mj = sum(part.energy_mj for part in parts)
        for part in parts:  # evenly over the tick: of what is left, what this part is of the rest
            mj = unused_mj * part.energy_mj // left_mj if left_mj else 0
            unused_mj, left_mj = unused_mj - mj, left_mj - part.energy_mj
            rate = part.rate
            self.unused_cost[rate.currency] = self.unused_cost.get(rate.currency, 0) + mj * rate.cost_units

    def show(self, currency: str, names: Iterable[str] = ()) -> None:
        """Publish from zero on: increase() does not see what a series begins with."""
        self.cost.setdefault(currency, 0)
        self.unused_cost.setdefault(currency, 0)
        for name in names:
            self.by_tariff_mj.setdefault(name, 0)

    def from_zero(self) -> None:
        """Begin again; the series stay."""
        self.cost = dict.fromkeys(self.cost, 0)
        self.by_tariff_mj = dict.fromkeys(self.by_tariff_mj, 0)
        self.unused_cost = dict.fromkeys(self.unused_cost, 0)
        self.emissions = self.unused_mj = 0

    def published(self) -> Spent:
        """In SI units and currencies."""
        return Spent(
            {one: units / MONEY_UNITS for one, units in self.cost.items()},
            {name: mj / 1000 for name, mj in self.by_tariff_mj.items()},
            self.emissions / EMISSION_UNITS,
            self.unused_mj / 1000,
            {one: units / MONEY_UNITS for one, units in self.unused_cost.items()},
        )

    def zeros(self) -> Spent:
        """The same series with nothing in them."""
        nothing = Bill(self.cost, self.by_tariff_mj, unused_cost=self.unused_cost)
        nothing.from_zero()
        return nothing.published()

    def to_json(self) -> Row:
        """As a row of numbers and small mappings."""
        return [self.cost, self.by_tariff_mj, self.emissions, self.unused_mj, self.unused_cost]


def unused_mj(share: Share, *, busy_known: bool) -> int:
    """Energy that a share held without using it.

    All of a tick in which none of its kernels ran, else the baseline of the time that was not busy. Nothing
    where the driver does not say how busy the GPU was.
    """
    if not busy_known or share.held_ns <= 0:
        return 0
    if not share.busy_ns:
        return share.active_mj + share.idle_mj
    return share.idle_mj * (share.held_ns - share.busy_ns) // share.held_ns
