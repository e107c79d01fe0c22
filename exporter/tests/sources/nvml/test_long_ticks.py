"""Cursors in the driver's rings when ticks are longer than the patience with a ring that stands still."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fakenvml import Constant, Process

if TYPE_CHECKING:
    from .conftest import Bench

SLOW_SAMPLES_NS = 100_000_000  # so that 120 of them last for 12 s


@pytest.mark.parametrize("seconds", [5.0, 5.1, 11.0])
def test_every_tick_brings_all_power_samples_since_the_one_before(bench: Bench, seconds: float) -> None:
    gpu = bench.fake.add_gpu("p100", power=Constant(42.0))
    gpu.set(sample_period_ns=SLOW_SAMPLES_NS)
    reader = bench.reader()
    bench.tick(reader, seconds)
    ticks = [bench.tick(reader, seconds).fast.power_samples or () for _ in range(4)]
    assert [len(samples) for samples in ticks] == [pytest.approx(seconds * 10, abs=1)] * 4
    times = [at_us for samples in ticks for at_us, _ in samples]
    assert len(set(times)) == len(times)


@pytest.mark.parametrize("seconds", [5.0, 10.5, 30.0])
def test_shares_of_processes_are_those_of_the_whole_tick(bench: Bench, seconds: float) -> None:
    """Not of its last second: that of the one who has left counts for as long as he was there."""
    gpu = bench.fake.add_gpu()
    gpu.set_processes([Process(11, sm=40), Process(12, sm=40)])
    reader = bench.reader()
    bench.tick(reader, seconds)
    bench.tick(reader, seconds)
    bench.fake.advance(seconds / 2)
    half_us = bench.fake.wall_us()
    gpu.set_processes([Process(11, sm=40), Process(12, sm=40, sampled_us=half_us)])
    found = {p.pid: p.sm_ratio for p in bench.tick(reader, seconds / 2).fast.processes or ()}
    assert found[11] == pytest.approx(0.4, abs=0.02)
    assert found[12] == pytest.approx(0.2, abs=0.02)
