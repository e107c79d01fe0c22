"""Energy without a believable counter: samples, averages, momentary power, nothing, and every switch."""

from dataclasses import replace

import pytest

from gputally.model import FastReading
from gputally.node import energy as ladder
from gputally.node.energy import Energy
from gputally.node.power import Pace
from tests.node.card import LIMIT_W, SECOND, Rig


@pytest.fixture
def rig() -> Rig:
    """A card at 300 W whose counter stands at a gigajoule, seen once."""
    rig = Rig()
    rig.tick(power_w=300.0, energy_mj=10**12)
    return rig


def test_no_source_is_no_series() -> None:
    rig = Rig()
    rig.tick(utilization_ratio=0.5)
    assert rig.tick(utilization_ratio=0.5).delta_mj == 0
    assert rig.shown.energy_joules is None
    assert (rig.shown.energy_source, rig.shown.energy_source_reason) == ("none", "not_supported")


def test_a_source_that_appears_later_begins_then() -> None:
    rig = Rig()
    rig.tick(60)
    tick = rig.tick(60, power_w=100.0)
    assert (rig.acc_mj, tick.delta_mj, tick.covers_ns) == (0, 0, 0)
    assert rig.tick(power_w=100.0).delta_mj == 100_000


def test_when_every_source_goes_the_counter_stands() -> None:
    rig = Rig()
    rig.tick(power_w=100.0)
    rig.tick(power_w=100.0)
    for _ in range(10):
        rig.tick()
    assert rig.acc_mj == 100_000
    assert rig.shown.energy_source == "none"
    assert rig.shown.energy_unmeasured_seconds >= 6


@pytest.mark.parametrize(
    ("fast", "source", "watts"),
    [
        ({"power_w": 1.0, "power_instant_w": 2.0}, "instant", 1),
        ({"power_instant_w": 2.0}, "instant", 2),
        ({"power_w": 1.0, "power_average_w": 3.0, "power_instant_w": 2.0}, "average", 3),
    ],
)
def test_the_better_reading_counts(fast: dict[str, float], source: str, watts: int) -> None:
    rig = Rig()
    rig.tick(**fast)
    assert rig.tick(**fast).delta_mj == watts * 1000
    assert rig.shown.energy_source == source


def test_momentary_power_is_a_trapezoid_and_an_average_stands_for_its_interval() -> None:
    rig = Rig()
    rig.tick(power_w=100.0)
    assert rig.tick(power_w=300.0).delta_mj == 200_000
    assert rig.tick(power_average_w=500.0).delta_mj == 500_000


def test_the_ring_is_a_trapezoid_on_the_drivers_own_time() -> None:
    rig = Rig()
    rig.tick(power_samples=((9_000_000, 50_000),))
    tick = rig.tick(power_samples=((9_100_000, 100_000), (9_300_000, 200_000), (10_000_000, 200_000)))
    assert tick.delta_mj == 7_500 + 30_000 + 140_000
    assert rig.shown.energy_source == "samples"


def test_samples_that_were_seen_before_count_once() -> None:
    rig = Rig()
    ring = ((9_000_000, 100_000), (9_500_000, 100_000))
    rig.tick(power_samples=ring)
    tick = rig.tick(power_samples=(*ring, (10_000_000, 300_000), (10_500_000, 300_000)))
    assert tick.delta_mj == 100_000 + 150_000


def test_a_ring_that_answers_every_other_tick_does_not_convict_the_counter(rig: Rig) -> None:
    """Its samples of two ticks must not be held against the counter's difference of one."""
    for n in range(1, 300):
        now_us = 10**9 + n * 1_000_000
        ring = tuple((now_us - k * 100_000, 300_000) for k in range(19, -1, -1)) if n % 2 else ()
        assert rig.tick(energy_mj=10**12 + n * 300_000, power_samples=ring).events == ()


def test_a_ring_with_nothing_new_waits_for_the_next() -> None:
    rig = Rig()
    rig.tick(power_samples=((9_000_000, 100_000),))
    assert rig.tick(0.25, power_average_w=700.0, power_samples=()).delta_mj == 0
    assert rig.tick(0.25, power_samples=((9_500_000, 100_000),)).delta_mj == 50_000


def test_a_ring_that_went_silent_is_replaced() -> None:
    rig = Rig()
    rig.tick(power_samples=((9_000_000, 100_000),))
    for _ in range(4):
        rig.tick(power_average_w=100.0, power_samples=())
    assert rig.acc_mj == 400_000
    assert rig.shown.energy_source == "average"


def test_no_trapezoid_spans_a_hole_in_the_ring() -> None:
    rig = Rig()
    rig.tick(power_samples=((1_000_000, 100_000),))
    tick = rig.tick(60, power_samples=((60_000_000, 700_000), (61_000_000, 700_000)))
    assert (tick.delta_mj, tick.unmeasured_ns) == (700_000, 59 * SECOND)


@pytest.mark.parametrize("moved_us", [3_600_000_000, -3_600_000_000, 4_000_000, -500_000])
def test_a_drivers_clock_that_is_set_costs_nothing(moved_us: int) -> None:
    rig = Rig()
    rig.tick(power_samples=((10**15, 100_000),))
    for n in range(1, 11):
        moved = moved_us if n > 4 else 0
        ring = tuple((10**15 + n * 1_000_000 - k * 100_000 + moved, 100_000) for k in range(9, -1, -1))
        rig.tick(power_samples=ring)
    assert rig.acc_mj == pytest.approx(1_000_000, abs=100_000)


def test_a_gap_is_unmeasured_and_not_guessed() -> None:
    rig = Rig()
    rig.tick(power_w=700.0)
    tick = rig.tick(5.001, power_w=700.0)
    assert (tick.delta_mj, tick.unmeasured_ns, tick.kind) == (0, 5_001_000_000, "gap")
    assert rig.tick(5, power_w=700.0).delta_mj == 3_500_000


def test_a_slow_pace_widens_what_is_a_gap() -> None:
    rig = Rig()
    rig.ctx = replace(rig.ctx, interval_ns=10 * SECOND)
    rig.tick(power_w=100.0)
    assert rig.tick(30, power_w=100.0).delta_mj == 3_000_000
    assert rig.tick(30.1, power_w=100.0).delta_mj == 0


def test_one_missing_power_reading_is_bridged() -> None:
    rig = Rig()
    rig.tick(power_w=100.0)
    assert rig.tick().delta_mj == 0
    assert rig.tick(power_w=100.0).delta_mj == 200_000


def test_a_reboot_without_a_counter_counts_nothing_before_it_was_read() -> None:
    rig = Rig()
    rig.tick(power_w=100.0)
    rig.reboot(uptime=60)
    tick = rig.tick(power_w=100.0)
    assert (tick.delta_mj, tick.unmeasured_ns, tick.cause) == (0, 61 * SECOND, "reboot")


def test_what_power_said_after_the_counters_last_word_survives_a_reboot(rig: Rig) -> None:
    """Three seconds without the counter, then the machine restarts: its end will never be read."""
    for _ in range(3):
        rig.tick(power_w=300.0)
    rig.reboot(uptime=60)
    assert rig.tick(power_w=300.0, energy_mj=18_000_000).delta_mj == 900_000 + 18_000_000


def test_seven_watts_at_four_ticks_a_second_are_exact_for_ever() -> None:
    """Six hours of ticks of 1750 mJ and a bit; a bit lost at each would be a joule by now."""
    energy, now = Energy(), 0
    fast = FastReading(power_w=7.000_001)
    for n in range(6 * 3600 * 4 + 1):
        pace = Pace(now, SECOND // 4, 5 * SECOND, LIMIT_W)
        energy, _ = ladder.advance(energy, fast, pace)
        now += SECOND // 4 + (1 if n % 2 else -1)
    truth_mj = 7_000.001 * (energy.booked_ns / SECOND)
    assert energy.acc_mj is not None
    assert 0 <= truth_mj - energy.acc_mj < 1


def test_between_two_sources_the_series_goes_on(rig: Rig) -> None:
    """A driver library, then a program that knows no counter, then the library again."""
    rig.tick(power_average_w=300.0, energy_mj=10**12 + 300_000)
    rig.restart(seconds=1)
    for _ in range(10):
        rig.tick(power_w=300.0)
    assert rig.acc_mj == 300_000 + 11 * 300_000
    rig.restart(seconds=1)
    rig.tick(power_average_w=300.0, energy_mj=7 * 10**12)
    rig.tick(power_average_w=300.0, energy_mj=7 * 10**12 + 300_000)
    assert rig.acc_mj == 300_000 + 11 * 300_000 + 3 * 300_000
    assert rig.shown.energy_source == "counter"
