"""Clocks that step and a machine that sleeps: no counter falls, no second counts that was not lived."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.agent.metering import (
    add_idle,
    after_ticks,
    assert_exact,
    counted_mj,
    is_up,
    load,
    true_mj,
    uuid_of,
)
from tests.agent.preload import Preload, preload, preload_library
from tests.fakenvml import Constant

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.agent.running import RunningAgent, Scrape
    from tests.fakenvml import FakeGpu, FakeNvml

__all__ = ["preload", "preload_library"]

HOUR = 3600.0
WATTS = 400
RING_S = 2.4  # of the fake card's power samples
SLACK_S = 2.0  # what a loaded machine may take between two looks


def of(scrape: Scrape, name: str, gpu: FakeGpu) -> float:
    """A value of a GPU that must be there."""
    value = scrape.value(name, uuid=uuid_of(gpu))
    assert value is not None, name
    return value


def lived(earlier: Scrape, later: Scrape) -> float:
    """Seconds between two scrapes, by a clock that nobody moved."""
    return later.at - earlier.at


@pytest.fixture
def cards(fake_nvml: FakeNvml) -> tuple[FakeGpu, FakeGpu]:
    """One card with a counter of its own and one whose energy is integrated power; both half busy."""
    (counter,) = add_idle(fake_nvml, "full")
    (integrated,) = (fake_nvml.add_gpu("p100", power=Constant(0)),)
    for gpu in (counter, integrated):
        gpu.set(gpu_percent=50)
    return counter, integrated


def is_stamped(scrape: Scrape, offset: float) -> bool:
    """Whether the latest sample bears a time that is so much off."""
    shown = scrape.value("gputally_last_sample_timestamp_seconds")
    return shown is not None and abs(shown - time.time() - offset) < min(SLACK_S, abs(offset) / 2 or SLACK_S)


STEPS = {
    "an hour ahead": HOUR,
    "an hour back": -HOUR,
    "to 1970": -50 * 365 * 24 * HOUR,
    "a second back": -1.0,
}


@pytest.mark.fault("clock-steps")
def test_a_wall_clock_that_steps_or_drifts_moves_time_stamps_and_no_counter(
    agent: Callable[..., RunningAgent], cards: tuple[FakeGpu, FakeGpu], preload: Preload
) -> None:
    """F31: there and back again. Energy and busy seconds follow the time that was lived."""
    running = agent(env=preload.env)
    load(running, cards, Constant(WATTS))
    after_ticks(running, 3)
    with running.watch() as watch:
        before = after_ticks(running, 1)
        for name, step in STEPS.items():
            for by, offset in ((step, step), (-step, 0.0)):
                preload.step_wall(by)
                scrape = running.wait_until(lambda s, offset=offset: is_stamped(s, offset), what=name)
                assert all(is_up(scrape, gpu) for gpu in cards), name
        for n in range(40):  # an NTP client that turns it a little at every moment
            preload.step_wall(-0.02 if n % 20 else 0.05)
            time.sleep(0.02)
        scrape = after_ticks(running, 2)
    watch.assert_served(within=0.3)
    watch.assert_no_decrease()
    seconds = lived(before, scrape)
    for gpu in cards:
        joules = of(scrape, "gpu_energy_joules_total", gpu) - of(before, "gpu_energy_joules_total", gpu)
        assert abs(joules - WATTS * seconds) < WATTS * SLACK_S
        busy = of(scrape, "gpu_busy_seconds_total", gpu) - of(before, "gpu_busy_seconds_total", gpu)
        assert abs(busy - 0.5 * seconds) < 0.5 * SLACK_S
        assert of(scrape, "gpu_energy_unmeasured_seconds_total", gpu) == 0
        assert of(scrape, "gpu_energy_clamped_joules_total", gpu) == 0
    assert scrape.value("gputally_sample_gaps_total") == 0
    assert_exact(running, [cards[0]])


@pytest.mark.fault("machine-sleeps")
def test_after_ten_minutes_of_sleep_the_drivers_counter_is_believed_and_a_guess_is_not_made(
    agent: Callable[..., RunningAgent], cards: tuple[FakeGpu, FakeGpu], preload: Preload
) -> None:
    """F31 and N17: what has a counter of its own is booked; power is not stretched over the gap."""
    counter, integrated = cards
    running = agent(env=preload.env)
    load(running, cards, Constant(WATTS))
    after_ticks(running, 3)
    with running.watch() as watch:
        before = after_ticks(running, 1)
        preload.suspend(600)
        scrape = running.wait_until(lambda s: (s.value("gputally_sample_gaps_total") or 0) >= 1)
        scrape = running.wait_until(
            lambda s: all(is_up(s, gpu) for gpu in cards) and (s.value("gputally_samples_total") or 0) > 3
        )
        scrape = after_ticks(running, 3)
    watch.assert_served(within=0.3)
    watch.assert_no_decrease()
    seconds = lived(before, scrape)
    booked = of(scrape, "gpu_energy_joules_total", counter) - of(before, "gpu_energy_joules_total", counter)
    # The fake card went on under the same clock.
    assert abs(booked - WATTS * (600 + seconds)) < WATTS * SLACK_S
    guessed = of(scrape, "gpu_energy_joules_total", integrated) - of(
        before, "gpu_energy_joules_total", integrated
    )
    # The driver's ring still has the last seconds before the first reading: measured, not guessed.
    assert guessed < WATTS * (seconds + RING_S + SLACK_S)
    unmeasured = of(scrape, "gpu_energy_unmeasured_seconds_total", integrated)
    assert abs(guessed / WATTS + unmeasured - (600 + seconds)) < SLACK_S
    for gpu in cards:
        busy = of(scrape, "gpu_busy_seconds_total", gpu) - of(before, "gpu_busy_seconds_total", gpu)
        assert busy < seconds + SLACK_S
    assert scrape.value("gputally_sample_gaps_total") == 1


@pytest.mark.fault("clock-steps")
def test_a_restart_on_the_other_side_of_a_step_goes_on_from_the_same_counters(
    agent: Callable[..., RunningAgent], fake_nvml: FakeNvml, preload: Preload
) -> None:
    (gpu,) = add_idle(fake_nvml, "full")
    running = agent(env=preload.env)
    load(running, [gpu], Constant(WATTS))
    for step in (HOUR, -2 * HOUR):
        last = running.wait_until(lambda s: is_up(s, gpu) and (counted_mj(s, gpu) or 0) > 200_000)
        running.kill()
        preload.step_wall(step)
        before_mj = true_mj(gpu)
        running.start()
        first = running.wait_until(lambda s: is_up(s, gpu))
        assert (counted_mj(first, gpu) or 0) >= max(before_mj, counted_mj(last, gpu) or 0)
    assert_exact(running, [gpu])
    assert not running.lines("crashed")
