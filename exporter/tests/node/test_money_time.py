"""Over which time energy is paid: that in which it was used, whatever came between two readings."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from gputally.model import Instant
from gputally.node.counters import Context
from gputally.tariff import MONEY_UNITS
from tests.node.card import BOOT_NS, LIMIT_W, SECOND, Rig
from tests.node.purse import Price

CHEAP_UNTIL_NOON = Price("EUR", "UTC", 100_000_000, 300_000_000, (12, 24), pue_e4=10_000, names=("am", "pm"))
NOON_NS = int(datetime(2025, 6, 17, 12, tzinfo=UTC).timestamp()) * SECOND
BEFORE_S = 600.0


@pytest.fixture
def rig() -> Rig:
    """A GPU that was read ten minutes before noon for the second time."""
    start_ns = NOON_NS - round(BEFORE_S * SECOND)
    rig = Rig(now=Instant(BOOT_NS, start_ns - SECOND))
    rig.ctx = Context("boot-a", SECOND, LIMIT_W, schedule=CHEAP_UNTIL_NOON.schedule)
    for n in range(2):
        rig.tick(float(n), energy_mj=10**12 + n)
    return rig


def parts(rig: Rig) -> dict[str, int]:
    return dict(rig.state.money.by_tariff_mj)


def test_a_gap_is_paid_evenly_over_its_time(rig: Rig) -> None:
    """Three quarters of it are after noon."""
    rig.tick(4 * BEFORE_S, energy_mj=10**12 + 1 + 400_000)
    assert parts(rig) == {"am": 1 + 100_000, "pm": 300_000}
    cost = rig.state.money.cost["EUR"] / MONEY_UNITS
    assert cost == pytest.approx((100_001 * 0.1 + 300_000 * 0.3) / 3.6e9)


def test_missed_readings_are_a_gap(rig: Rig) -> None:
    for _ in range(3):
        rig.miss(BEFORE_S)
    rig.tick(BEFORE_S, energy_mj=10**12 + 1 + 400_000)
    assert parts(rig) == {"am": 1 + 100_000, "pm": 300_000}


def test_so_is_the_time_in_which_the_agent_was_down(rig: Rig) -> None:
    rig.restart(seconds=2 * BEFORE_S)
    rig.tick(2 * BEFORE_S, energy_mj=10**12 + 1 + 400_000)
    assert parts(rig) == {"am": 1 + 100_000, "pm": 300_000}


def test_after_a_boot_what_the_counter_shows_was_used_since_the_boot(rig: Rig) -> None:
    """Not since the last reading: the machine was off in between."""
    rig.restart()
    rig.ctx = replace(rig.ctx, boot_id="boot-b")
    rig.now = Instant(400 * SECOND, NOON_NS + 100 * SECOND)  # it started five minutes before noon
    rig.tick(0.0, energy_mj=40_000)
    assert parts(rig) == {"am": 1 + 30_000, "pm": 10_000}


def test_a_counter_that_tells_late_is_paid_for_the_time_that_it_covers(rig: Rig) -> None:
    """It stood still for some ticks, and then told of all of them."""
    rig.now = Instant(rig.now.boot_ns, NOON_NS - 3 * SECOND)
    for _ in range(3):
        rig.tick(energy_mj=10**12 + 1, power_average_w=2.0)
    assert parts(rig) == {"am": 1}
    rig.tick(energy_mj=10**12 + 1 + 4000, power_average_w=2.0)
    assert parts(rig) == {"am": 1 + 3000, "pm": 1000}


def test_a_wall_clock_that_is_set_stretches_no_time(rig: Rig) -> None:
    """Lengths are the boot clock's; only the end is the wall's."""
    rig.now = Instant(rig.now.boot_ns, NOON_NS + 9 * SECOND)
    rig.tick(1.0, energy_mj=10**12 + 1 + 700)
    assert parts(rig) == {"am": 1, "pm": 700}
    rig.now = Instant(rig.now.boot_ns, NOON_NS - 7200 * SECOND)
    rig.tick(1.0, energy_mj=10**12 + 1 + 1400)
    assert parts(rig) == {"am": 701, "pm": 700}


def test_another_price_holds_for_what_is_read_from_then_on(rig: Rig) -> None:
    """A reload reaches into no tick that was taken before it."""
    dear = replace(CHEAP_UNTIL_NOON, night_nano=500_000_000)
    rig.tick(energy_mj=10**12 + 1 + 1000)
    rig.ctx = replace(rig.ctx, schedule=dear.schedule)
    rig.tick(energy_mj=10**12 + 1 + 2000)
    assert rig.state.money.cost["EUR"] == (1001 * 100_000_000 + 1000 * 500_000_000) * 10_000


def test_integrated_power_is_paid_as_it_comes(rig: Rig) -> None:
    plain = Rig(now=Instant(BOOT_NS, NOON_NS - 5 * SECOND), ctx=rig.ctx)
    for _ in range(11):
        plain.tick(power_average_w=100.0)
    assert dict(plain.state.money.by_tariff_mj) == {"am": 400_000, "pm": 600_000}
    plain.tick(600.0, power_average_w=100.0)
    assert sum(plain.state.money.by_tariff_mj.values()) == 1_000_000, "nobody knows what it drew in between"
