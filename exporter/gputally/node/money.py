"""What one GPU's energy has cost and emitted: counters by currency and by band, and days of the calendar.

State in, state out. Whole numbers inside (`tariff.rates`): what jobs and reasons are charged with sums to
what stands here, without a remainder.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import lru_cache

from gputally.model import GpuMoney
from gputally.model.clock import NS_PER_SECOND
from gputally.model.gpu import NO_LABELS
from gputally.tariff import DEFAULT, EMISSION_UNITS, MONEY_UNITS, Priced, Schedule

DEFAULT_SCHEDULE = Schedule(DEFAULT)
MOST_DAYS = (
    4  # today and yesterday are published; a clock that was set forward for a while costs none of them
)
EARLIEST_NS = 86_400 * NS_PER_SECOND  # 2 January 1970
LATEST_NS = 7_258_118_400 * NS_PER_SECOND  # 2200
MOST_BANDS = 64  # names that no configuration has any more are forgotten beyond that

Units = Mapping[str, int]  # by currency


@dataclass(frozen=True, slots=True)
class Day:
    """One day of the site's calendar."""

    energy_mj: int = 0
    cost: Units = NO_LABELS


@dataclass(frozen=True, slots=True)
class Money:
    """Of one GPU, since counting began."""

    cost: Units = NO_LABELS
    credit: Units = NO_LABELS  # what prices below zero would have paid back
    by_tariff_mj: Mapping[str, int] = NO_LABELS
    emissions: int = 0
    days: Mapping[str, Day] = NO_LABELS  # "2026-10-25"


NO_MONEY = Money()


def used(wall_ns: int, covers_ns: int) -> tuple[int, int]:
    """When energy was used that was read at an instant: from, until. Clocks that run wild stay on a calendar.

    The length is the boot clock's: a wall clock that was set in between does not stretch it.
    """
    until_ns = calendar_ns(wall_ns)
    return max(EARLIEST_NS, until_ns - covers_ns), until_ns


def calendar_ns(wall_ns: int) -> int:
    """Unix time that has a date in every time zone."""
    return min(max(wall_ns, EARLIEST_NS), LATEST_NS)


def charge(money: Money, pieces: Sequence[Priced]) -> Money:
    """Add what a tick's energy costs."""
    if not any(piece.energy_mj for piece in pieces):
        return money
    cost, credit = dict(money.cost), dict(money.credit)
    by_tariff_mj, days, emissions = dict(money.by_tariff_mj), dict(money.days), money.emissions
    for piece in pieces:
        mj, rate = piece.energy_mj, piece.rate
        spent = mj * rate.cost_units
        cost[rate.currency] = cost.get(rate.currency, 0) + spent
        if rate.credit_units:
            credit[rate.currency] = credit.get(rate.currency, 0) + mj * rate.credit_units
        by_tariff_mj[rate.tariff] = by_tariff_mj.get(rate.tariff, 0) + mj
        emissions += mj * rate.emission_units
        day = days.get(piece.day, Day())
        day_cost = {**day.cost, rate.currency: day.cost.get(rate.currency, 0) + spent}
        days[piece.day] = Day(day.energy_mj + mj, day_cost)
    if len(days) > MOST_DAYS:
        days = _nearest(days, pieces[-1].day)
    return Money(cost, credit, by_tariff_mj, emissions, days)


def from_zero(money: Money) -> Money:
    """Begin again with what is read with increase(): a reset that it sees as one.

    Of days the highest value counts, which a small step back does not hurt.
    """
    zeros = dict.fromkeys
    return Money(zeros(money.cost, 0), zeros(money.credit, 0), zeros(money.by_tariff_mj, 0), 0, money.days)


def tidied(money: Money, names: Collection[str]) -> Money:
    """Without bands that no version has any more, where there have been too many of them."""
    if len(money.by_tariff_mj) <= MOST_BANDS:
        return money
    return replace(money, by_tariff_mj={name: mj for name, mj in money.by_tariff_mj.items() if name in names})


def publish(money: Money, schedule: Schedule, wall_ns: int) -> GpuMoney:
    """What a scrape sees. Every band of the tariff is there from zero on, and so are today and yesterday."""
    currency = schedule.tariff.currency
    day_cost: dict[tuple[str, str], float] = {}
    day_joules: dict[str, float] = {}
    today = schedule.at(calendar_ns(wall_ns)).day
    for name in (day_before(today), today):
        day = money.days.get(name)
        if day is None and name != today:
            continue
        day = day or Day()
        day_joules[name] = day.energy_mj / 1000
        for one, units in {currency: 0, **day.cost}.items():
            day_cost[name, one] = units / MONEY_UNITS
    return GpuMoney(
        cost={one: units / MONEY_UNITS for one, units in {currency: 0, **money.cost}.items()},
        credit={one: units / MONEY_UNITS for one, units in money.credit.items()},
        by_tariff_joules={
            name: money.by_tariff_mj.get(name, 0) / 1000
            for name in dict.fromkeys((*schedule.names, *money.by_tariff_mj))
        },
        emissions_grams=money.emissions / EMISSION_UNITS,
        day_cost=day_cost,
        day_joules=day_joules,
    )


@lru_cache(maxsize=8)
def day_before(day: str) -> str:
    """The day before one of the calendar."""
    return (date.fromisoformat(day) - timedelta(days=1)).isoformat()


def _nearest(days: dict[str, Day], day: str) -> dict[str, Day]:
    """The days around one."""
    here = date.fromisoformat(day).toordinal()
    near = sorted(days, key=lambda name: abs(date.fromisoformat(name).toordinal() - here))[:MOST_DAYS]
    return {name: days[name] for name in sorted(near)}
