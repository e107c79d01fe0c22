"""The audit of an energy counter by powers that are read seldom: what they did not see they do not know."""

from __future__ import annotations

import random

import pytest

from gputally.node.counters import Context
from tests.node.card import LIMIT_W, SECOND, Rig, Wave


def sparse(interval_s: float) -> Rig:
    """A GPU that is read at this interval."""
    return Rig(ctx=Context("boot-a", round(interval_s * SECOND), LIMIT_W))


@pytest.mark.parametrize("interval_s", [2.0, 5.0, 10.0, 60.0])
def test_a_counter_of_bursts_is_believed_at_long_intervals(interval_s: float) -> None:
    """The mean of one second in ten misses bursts and meets bursts; the counter has them all."""
    rig, dice, acc_mj = sparse(interval_s), random.Random(7), 10**12  # noqa: S311 - no secret
    for _ in range(2000):
        watts, *unseen = (dice.choice((75.0, 650.0)) for _ in range(2 + int(interval_s / 5)))
        mean_w = sum(unseen) / len(unseen)
        acc_mj += round(mean_w * interval_s * 1000)
        rig.tick(interval_s, power_average_w=watts, energy_mj=acc_mj)
        assert rig.shown.energy_source == "counter"


@pytest.mark.parametrize("interval_s", [2.0, 10.0])
def test_a_load_in_step_with_the_readings_convicts_no_counter(interval_s: float) -> None:
    """Every reading meets the same half of a step of training."""
    rig, wave = sparse(interval_s), Wave("square", interval_s, 75.0, 650.0, start=interval_s / 2)
    for n in range(1, 200):
        t = n * interval_s
        rig.tick(interval_s, power_average_w=wave.average_w(t), energy_mj=wave.counter_mj(t))
    assert rig.shown.energy_source == "counter"


def test_a_counter_that_no_load_explains_is_found_out_all_the_same() -> None:
    rig = sparse(10.0)
    for n in range(1, 60):
        rig.tick(10.0, power_average_w=400.0, energy_mj=10**12 + n * 10 * 20_000)
    assert rig.shown.energy_source_reason == "mismatch"
