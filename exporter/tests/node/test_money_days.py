"""Days of the site's calendar: today and yesterday, in any zone, over midnight and over changes of clocks."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gputally.model import Gpu, Instant
from gputally.node import counters
from gputally.node.counters import Context
from gputally.node.money import DEFAULT_SCHEDULE, MOST_DAYS, Money, charge, publish, used
from gputally.node.roster import Roster
from gputally.tariff import price
from tests.node.card import BOOT_NS, LIMIT_W, SECOND, Rig
from tests.node.jobworld import Remembered
from tests.node.purse import LAST_NS, Price, Purse, day_before
from tests.tariff.oracle import ZONES, changes

if TYPE_CHECKING:
    from gputally.model import GpuMoney

HALF_HOUR_S = 1800.0


def flat(zone: str) -> Price:
    return Price("EUR", zone, 200_000_000, 200_000_000, (0, 1))


def wall_ns(zone: str, day: date, hour: int = 12) -> int:
    return int(datetime(day.year, day.month, day.day, hour, tzinfo=ZoneInfo(zone)).timestamp()) * SECOND


def rig_at(one: Price, now_ns: int) -> Rig:
    rig = Rig(now=Instant(BOOT_NS, now_ns))
    rig.ctx = Context("boot-a", SECOND, LIMIT_W, schedule=one.schedule)
    return rig


@st.composite
def places(draw: st.DrawFn) -> tuple[str, date]:
    """A zone and a day near to one on which its clocks were set, if they were."""
    zone, year = draw(st.sampled_from(ZONES)), draw(st.integers(1980, 2037))
    days = changes(zone, year) or (date(year, 6, 1),)
    return zone, draw(st.sampled_from(days)) + timedelta(days=draw(st.integers(-1, 1)))


@settings(max_examples=60, deadline=None)
@given(places())
def test_today_and_yesterday_are_there_and_nothing_else(place: tuple[str, date]) -> None:
    """For three days, every half hour: what the calendar on the wall says, to the millijoule."""
    zone, day = place
    one = flat(zone)
    rig, purse = rig_at(one, wall_ns(zone, day)), Purse()
    for n in range(150):
        tick = rig.tick(HALF_HOUR_S if n else 0.0, energy_mj=10**12 + n * 540_000_000)
        if tick.delta_mj:
            purse.pay(one, tick.delta_mj, tick.covers_ns, rig.now.wall_ns)
        money = counters.publish(rig.state, rig.now, one.schedule).money
        assert money is not None
        today, _ = one.at(rig.now.wall_ns)
        expected = {today} | ({day_before(today)} & set(purse.day_mj))
        assert set(money.day_joules) == expected
        assert money.day_joules == {name: purse.day_mj[name] / 1000 for name in expected}
        assert sum(purse.day_mj.values()) == rig.state.energy.acc_mj


@pytest.mark.fault("clock-steps")
@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", date(2025, 10, 26), 25),
        ("Europe/Berlin", date(2025, 3, 30), 23),
        ("Europe/Berlin", date(2025, 6, 17), 24),
        ("America/Sao_Paulo", date(2018, 11, 4), 23),  # begins at 01:00
        ("America/Sao_Paulo", date(2018, 2, 17), 25),  # has 23:00 twice
        ("Australia/Lord_Howe", date(2025, 4, 6), 24.5),
    ],
)
def test_a_constant_load_uses_as_many_hours_as_the_day_has(zone: str, day: date, hours: float) -> None:
    one = flat(zone)
    rig = rig_at(one, wall_ns(zone, day - timedelta(days=1)))
    joules: Counter[str] = Counter()
    for n in range(100):
        rig.tick(HALF_HOUR_S if n else 0.0, energy_mj=10**12 + n * 540_000_000)
        money = counters.publish(rig.state, rig.now, one.schedule).money
        assert money is not None
        joules.update(dict.fromkeys(money.day_joules, 0))
        joules |= Counter(money.day_joules)
    assert joules[day.isoformat()] == hours * 3600 * 300


def test_a_day_that_does_not_exist_costs_nothing() -> None:
    """Samoa went from Thursday to Saturday."""
    one = flat("Pacific/Apia")
    rig = rig_at(one, wall_ns("Pacific/Apia", date(2011, 12, 29)))
    shown: set[str] = set()
    for n in range(60):
        rig.tick(HALF_HOUR_S if n else 0.0, energy_mj=10**12 + n * 540_000_000)
        money = counters.publish(rig.state, rig.now, one.schedule).money
        assert money is not None
        shown |= set(money.day_joules)
    assert shown == {"2011-12-29", "2011-12-31"}


def test_a_lost_gpu_keeps_its_days_for_as_long_as_they_are_today_or_yesterday() -> None:
    one = flat("Europe/Berlin")
    zone, day = "Europe/Berlin", date(2025, 6, 17)
    now = Instant(BOOT_NS, wall_ns(zone, day, 10))
    roster = Roster("boot-a", SECOND, Remembered(), one.schedule)
    roster.present([Gpu("GPU-1", "0")], now, "gone")
    rig = rig_at(one, now.wall_ns)
    for n in range(2):
        rig.tick(float(n), energy_mj=10**12 + n * 300_000)
    entry = roster.entry("GPU-1")
    assert entry is not None
    entry.state = rig.state
    roster.down("GPU-1", "lost", rig.now)
    shown: list[dict[str, float]] = []
    for hours in (1, 14, 37, 39, 62):
        ns = hours * 3600 * SECOND
        at = Instant(now.boot_ns + ns, now.wall_ns + ns)
        (gpu,) = roster.snapshots(at)
        assert not gpu.up
        assert gpu.counters.money is not None
        shown.append(dict(gpu.counters.money.day_joules))
    assert shown == [
        {"2025-06-17": 300.0},
        {"2025-06-17": 300.0, "2025-06-18": 0.0},
        {"2025-06-17": 300.0, "2025-06-18": 0.0},
        {"2025-06-19": 0.0},
        {"2025-06-20": 0.0},
    ]


class TestDaysKept:
    """More than two are kept, since clocks are set forward and back again."""

    def paid(self, money: Money, now_ns: int, mj: int = 1000) -> Money:
        return charge(money, price(DEFAULT_SCHEDULE, mj, *used(now_ns, SECOND)))

    def shown(self, money: Money, now_ns: int) -> GpuMoney:
        return publish(money, DEFAULT_SCHEDULE, now_ns)

    def test_a_clock_that_is_set_forward_for_a_while_costs_no_day(self) -> None:
        noon_ns = wall_ns("UTC", date(2025, 6, 17))
        day_ns = 86_400 * SECOND
        money = self.paid(Money(), noon_ns - day_ns)
        money = self.paid(money, noon_ns)
        for n in range(5):  # by ten years, for some ticks
            money = self.paid(money, noon_ns + 3650 * day_ns + n * SECOND)
        money = self.paid(money, noon_ns + 10 * SECOND)
        assert self.shown(money, noon_ns + 10 * SECOND).day_joules == {"2025-06-16": 1.0, "2025-06-17": 2.0}

    def test_they_are_never_many(self) -> None:
        money, noon_ns = Money(), wall_ns("UTC", date(2025, 6, 17))
        for n in range(400):
            money = self.paid(money, noon_ns + n * 86_400 * SECOND)
            assert len(money.days) <= MOST_DAYS
        assert len(self.shown(money, noon_ns + 399 * 86_400 * SECOND).day_joules) == 2

    @pytest.mark.parametrize("now_ns", [0, 1, LAST_NS, LAST_NS * 2, 1 << 62])
    def test_a_clock_that_runs_wild_has_a_day_all_the_same(self, now_ns: int) -> None:
        money = self.paid(Money(), now_ns)
        assert sum(self.shown(money, now_ns).day_joules.values()) == 1.0
        assert sum(money.by_tariff_mj.values()) == 1000
