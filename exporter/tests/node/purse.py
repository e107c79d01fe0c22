"""One GPU's money through any history, beside a purse that is filled by other means.

The purse is told what a tick added and over which time, and finds out what that costs minute by minute, by a
clock on the wall. It knows nothing of spans, blocks, pieces or states.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from itertools import groupby
from zoneinfo import ZoneInfo

from gputally.tariff import Band, Carbon, Schedule, Tariff, Version

SECOND_NS = 1_000_000_000
MINUTE_NS = 60 * SECOND_NS
FIRST_NS, LAST_NS = 86_400 * SECOND_NS, 7_258_118_400 * SECOND_NS  # what has a date in every zone
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Rate = tuple[str, str, int, int, int]  # band, currency, nano price, PUE, milligrams


@dataclass(frozen=True)
class Price:
    """A tariff of two bands, and what it says at an instant."""

    currency: str
    zone: str
    night_nano: int
    day_nano: int
    day_hours: tuple[int, int]
    pue_e4: int = 12_500
    carbon_mg: int = 380_000
    names: tuple[str, str] = ("night", "day")

    @cached_property
    def schedule(self) -> Schedule:
        """As the agent has it."""
        begin, end = self.day_hours
        bands = (
            Band(self.names[1], self.day_nano, hours=((begin * 60, end * 60),)),
            Band(self.names[0], self.night_nano, rest=True),
        )
        carbon = Carbon(self.carbon_mg, "declared")
        pue_e4 = (self.pue_e4,) * 12
        return Schedule(Tariff(self.currency, (Version(bands),), self.zone, pue_e4=pue_e4, carbon=carbon))

    def at(self, wall_ns: int) -> tuple[str, Rate]:
        """Date and rate."""
        local = (EPOCH + timedelta(seconds=wall_ns // SECOND_NS)).astimezone(ZoneInfo(self.zone))
        by_day = self.day_hours[0] <= local.hour < self.day_hours[1]
        nano = self.day_nano if by_day else self.night_nano
        name = self.names[by_day]
        return local.date().isoformat(), (name, self.currency, nano, self.pue_e4, self.carbon_mg)


@dataclass
class Purse:
    """What has been paid."""

    cost: Counter[str] = field(default_factory=Counter)
    credit: Counter[str] = field(default_factory=Counter)
    by_tariff_mj: Counter[str] = field(default_factory=Counter)
    emissions: int = 0
    day_mj: Counter[str] = field(default_factory=Counter)
    day_cost: Counter[tuple[str, str]] = field(default_factory=Counter)

    def pay(self, price: Price, energy_mj: int, covers_ns: int, wall_ns: int) -> None:
        """For energy that was used evenly over the time that ends now."""
        until_ns = min(max(wall_ns, FIRST_NS), LAST_NS)
        from_ns = max(FIRST_NS, until_ns - covers_ns)
        paid_mj = 0
        for end_ns, (day, (band, currency, nano, pue_e4, carbon_mg)) in _pieces(price, from_ns, until_ns):
            upto_mj = (
                energy_mj * (end_ns - from_ns) // (until_ns - from_ns) if end_ns < until_ns else energy_mj
            )
            mj, paid_mj = upto_mj - paid_mj, upto_mj
            self.cost[currency] += mj * max(0, nano) * pue_e4
            self.credit[currency] += mj * max(0, -nano) * pue_e4
            self.by_tariff_mj[band] += mj
            self.emissions += mj * carbon_mg * pue_e4
            self.day_mj[day] += mj
            self.day_cost[day, currency] += mj * max(0, nano) * pue_e4

    def empty(self) -> None:
        """Of all that is read with increase(). Days stay what they are."""
        self.cost, self.credit, self.by_tariff_mj, self.emissions = Counter(), Counter(), Counter(), 0


def _pieces(price: Price, from_ns: int, until_ns: int) -> list[tuple[int, tuple[str, Rate]]]:
    """Ends of the times in which one rate held on one day: every minute of the interval is looked at."""
    starts = [from_ns, *range(from_ns // MINUTE_NS * MINUTE_NS + MINUTE_NS, until_ns, MINUTE_NS)]
    held = [(key, list(each)) for key, each in groupby(starts, price.at)]
    ends = [each[0] for _, each in held[1:]]
    return list(zip([*ends, until_ns], [key for key, _ in held], strict=True))


def day_before(day: str) -> str:
    """Of the calendar."""
    return (date.fromisoformat(day) - timedelta(days=1)).isoformat()
