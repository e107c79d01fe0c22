"""Processes that have left: the share of their last moments is handed on once, and nobody is invented."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gputally.model import ProcessReading
from tests.fakenvml import FakeNvml, Instance, Process

from .conftest import Bench

if TYPE_CHECKING:
    from pathlib import Path

    from gputally.model import Reading


def gone(bench: Bench, pid: int, sm: int, before_us: int = 0) -> Process:
    """A process that is on no list any more while the driver still has its last sample."""
    return Process(pid, kind="", sm=sm, sampled_us=bench.fake.wall_us() + 1_000_000 - before_us)


def both(reading: Reading) -> tuple[dict[int, float | None], dict[int, float | None]]:
    """Shares by PID: of those who are there, and of those who are not."""
    fast = reading.fast
    return {p.pid: p.sm_ratio for p in fast.processes or ()}, {p.pid: p.sm_ratio for p in fast.departed}


@pytest.mark.parametrize("kind", ["compute", "mps", "graphics"])
def test_the_last_partial_second_of_a_process_reaches_it(bench: Bench, kind: str) -> None:
    """It ran at 80 % until half a second before the tick; a neighbour ran on at 20 %."""
    gpu = bench.fake.add_gpu(process_period_us=0)
    gpu.set_processes([Process(11, 1 << 30, kind, sm=80), Process(12, sm=20)])
    reader = bench.reader()
    assert both(bench.tick(reader, slow=True)) == ({11: 0.8, 12: 0.2}, {})
    gpu.set_processes([gone(bench, 11, 80, before_us=500_000), Process(12, sm=20)])
    fast = bench.tick(reader).fast
    (last,) = fast.departed
    assert last == ProcessReading(11, kind, None, pytest.approx(0.4))
    assert {p.pid: p.sm_ratio for p in fast.processes or ()} == {12: pytest.approx(0.2)}


def test_it_is_handed_on_once(bench: Bench) -> None:
    """The driver's ring keeps the sample for longer."""
    gpu = bench.fake.add_gpu()
    gpu.set_processes([Process(11, sm=80)])
    reader = bench.reader()
    bench.tick(reader)
    gpu.set_processes([gone(bench, 11, 50)])
    assert both(bench.tick(reader)) == ({}, {11: 0.5})
    for _ in range(4):
        assert both(bench.tick(reader)) == ({}, {})


def test_a_share_that_is_held_is_no_new_sample(bench: Bench) -> None:
    """At 4 ticks a second the share of the living holds; the departed has only what new samples say."""
    gpu = bench.fake.add_gpu(process_period_us=1_000_000)
    gpu.set_processes([Process(11, sm=60), Process(12, sm=10)])
    reader = bench.reader()
    bench.tick(reader, 1.0)
    gpu.set_processes([Process(12, sm=10)])
    seen = [both(bench.tick(reader, 0.25)) for _ in range(3)]
    assert seen == [({12: 0.1}, {})] * 3


def test_samples_that_come_a_window_after_the_end_still_find_their_process(bench: Bench) -> None:
    """The driver samples once a second, the exporter reads at 250 ms: the last sample is three ticks late."""
    gpu = bench.fake.add_gpu()
    gpu.set_processes([Process(11, sm=60)])
    reader = bench.reader()
    bench.tick(reader)
    gpu.set_processes([])
    for _ in range(3):
        assert both(bench.tick(reader, 0.25)) == ({}, {})
    gpu.set_processes([Process(11, kind="", sm=30, sampled_us=bench.fake.wall_us() + 250_000)])
    assert both(bench.tick(reader, 0.25)) == ({}, {11: 0.3})


def test_at_a_slow_pace_the_tick_before_is_remembered_however_long_ago(bench: Bench) -> None:
    """--sample.interval may be a minute."""
    gpu = bench.fake.add_gpu()
    gpu.set_processes([Process(11, sm=60)])
    reader = bench.reader()
    bench.tick(reader, 60)
    gpu.set_processes([Process(11, kind="", sm=90, sampled_us=bench.fake.wall_us() + 30_000_000)])
    ((pid, share),) = both(bench.tick(reader, 60))[1].items()
    assert (pid, share) == (11, pytest.approx(0.9))


def test_a_stranger_in_the_ring_is_nobody(bench: Bench) -> None:
    """Never listed, or so long ago that the PID may be another's; the exporter itself; a garbled PID."""
    gpu = bench.fake.add_gpu()
    gpu.set_processes([Process(11, sm=60)])
    reader = bench.reader()
    bench.tick(reader)
    gpu.set_processes([])
    for _ in range(3):
        bench.tick(reader)
    strangers = [gone(bench, pid, 90) for pid in (11, 645_400, os.getpid(), 0xFFFFFFFF)]
    gpu.set_processes(strangers)
    assert both(bench.tick(reader)) == ({}, {})


def test_what_was_in_the_ring_before_the_first_read_is_nobodys(bench: Bench) -> None:
    """An exporter that has just started knows no one who has left."""
    bench.fake.add_gpu().set_processes([Process(11, kind="", sm=60)])
    assert both(bench.tick(bench.reader())) == ({}, {})


def test_a_process_that_left_without_work_is_not_handed_on(bench: Bench) -> None:
    """A sample may be there for its copies alone."""
    gpu = bench.fake.add_gpu()
    gpu.set_processes([Process(11, sm=60)])
    reader = bench.reader()
    bench.tick(reader)
    gpu.set_processes([Process(11, kind="", sm=0, memory=30)])
    assert both(bench.tick(reader)) == ({}, {})


def test_without_lists_nobody_has_departed(bench: Bench) -> None:
    """A list that failed is no proof of an end; the next one is."""
    gpu = bench.fake.add_gpu()
    gpu.set_processes([Process(11, sm=60)])
    reader = bench.reader()
    bench.tick(reader)
    bench.fake.fault("nvmlDeviceGetComputeRunningProcesses_v3", gpu=0, code=20, times=1)
    fast = bench.tick(reader).fast
    assert (fast.processes, fast.departed) == (None, ())
    assert both(bench.tick(reader)) == ({11: 0.6}, {})
    gpu.set_processes([Process(11, kind="", sm=60)])
    assert both(bench.tick(reader)) == ({}, {11: 0.6})
    bench.fake.fault("nvmlDeviceGetComputeRunningProcesses_v3", gpu=0, code=20, times=1)
    assert bench.tick(reader).fast.departed == ()


def test_a_sliced_gpu_tells_no_shares_and_so_no_departures(bench: Bench) -> None:
    """Nor do the processes of before the slicing depart by it."""
    gpu = bench.fake.add_gpu()
    gpu.set_processes([Process(11, sm=60)])
    reader = bench.reader()
    bench.tick(reader)
    gpu.slice([Instance(1)])
    gpu.set_processes([Process(12, gpu_instance_id=1), gone(bench, 11, 60)])
    assert both(bench.tick(reader, slow=True)) == ({12: None}, {})


def test_processes_switched_off_depart_never(bench: Bench) -> None:
    """The option processes=False."""
    gpu = bench.fake.add_gpu()
    gpu.set_processes([Process(11, sm=60)])
    reader = bench.reader(processes=False)
    bench.tick(reader)
    gpu.set_processes([gone(bench, 11, 60)])
    assert bench.tick(reader).fast.departed == ()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    ticks=st.lists(
        st.tuples(
            st.sampled_from([0.25, 0.5, 1.0, 3.0]),
            st.dictionaries(
                st.integers(11, 15), st.tuples(st.sampled_from(["compute", ""]), st.integers(0, 20))
            ),
        ),
        max_size=12,
    )
)
def test_whoever_comes_and_goes_nobody_is_on_both_lists_or_unknown(
    fake_nvml_library: Path, tmp_path: Path, ticks: list[tuple[float, dict[int, tuple[str, int]]]]
) -> None:
    """And all shares together are at most the whole."""
    with FakeNvml(tmp_path / "control", library=fake_nvml_library, virtual=True) as fake:
        fake.load_in_process()
        bench = Bench(fake, tmp_path)
        gpu = fake.add_gpu(process_period_us=250_000)
        reader = bench.reader()
        known: set[int] = set()
        for seconds, rows in ticks:
            gpu.set_processes([Process(pid, kind=kind, sm=sm) for pid, (kind, sm) in rows.items()])
            here, left = both(bench.tick(reader, seconds))
            assert not here.keys() & left.keys()
            assert left.keys() <= known
            assert sum(s or 0 for s in (*here.values(), *left.values())) <= 1.0 + 1e-9
            known |= here.keys()
        bench.sources[0].close()
