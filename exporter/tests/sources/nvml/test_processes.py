"""Who is on a GPU and how much of it each has: lists, cursor, garbage, growth, old drivers."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from gputally.model import ProcessReading
from gputally.node.sources.nvml.processes import mean_shares
from tests.fakenvml import Instance, Process

if TYPE_CHECKING:
    from gputally.node.sources.protocol import Reader

    from .conftest import Bench

MIB = 1 << 20


def shares(bench: Bench, reader: Reader, seconds: float = 1.0) -> dict[int, float | None]:
    """SM ratios by PID, a tick later."""
    return {p.pid: p.sm_ratio for p in bench.tick(reader, seconds).fast.processes or ()}


def test_processes_of_all_kinds_are_listed_once_with_memory_and_share(bench: Bench) -> None:
    """A process on several lists is of the kind that says most."""
    bench.fake.add_gpu().set_processes(
        [
            Process(11, 100 * MIB, kind="compute", sm=40),
            Process(12, 200 * MIB, kind="graphics", sm=5),
            Process(13, 300 * MIB, kind="compute+graphics"),
            Process(14, None, kind="mps", sm=20),
            Process(15, 500 * MIB, kind="compute+mps"),
        ]
    )
    found = bench.tick(bench.reader(), slow=True).fast.processes or ()
    assert sorted(found, key=lambda p: p.pid) == [
        ProcessReading(11, "compute", 100 * MIB, 0.40),
        ProcessReading(12, "graphics", 200 * MIB, 0.05),
        ProcessReading(13, "compute", 300 * MIB, 0.0),
        ProcessReading(14, "mps", None, 0.20),
        ProcessReading(15, "mps", 500 * MIB, 0.0),
    ]


def test_pids_that_cannot_be_processes_are_ignored(bench: Bench) -> None:
    """0, all ones, and the exporter itself."""
    own = os.getpid()
    bench.fake.add_gpu().set_processes(
        [Process(pid, sm=10) for pid in (0, 0xFFFFFFFF, own, 42, 3_999_999_999)]
    )
    assert shares(bench, bench.reader()) == {42: 0.1, 3_999_999_999: 0.1}


def test_nobody_running_is_an_empty_list_and_no_list_is_none(bench: Bench) -> None:
    """Absent is not zero."""
    bench.fake.add_gpu()
    assert bench.tick(bench.reader()).fast.processes == ()
    bench.fake.fault("nvmlDeviceGetComputeRunningProcesses_v3", gpu=0, code=4)
    bench.fake.fault("nvmlDeviceGetGraphicsRunningProcesses_v3", gpu=0, code=4)
    assert bench.tick(bench.reader()).fast.processes is None


def test_a_list_that_fails_for_once_takes_all_processes_with_it(bench: Bench) -> None:
    """Half a list would charge the absent half's energy to the others."""
    bench.fake.add_gpu().set_processes([Process(11), Process(12, kind="graphics")])
    reader = bench.reader()
    bench.fake.fault("nvmlDeviceGetComputeRunningProcesses_v3", gpu=0, code=20, times=1)
    reading = bench.tick(reader)
    assert reading.fast.processes is None
    assert reading.failed == {"processes.compute": "out_of_memory"}
    assert len(bench.tick(reader).fast.processes or ()) == 2


def test_a_list_that_has_outgrown_its_buffer_is_read_again_at_once(bench: Bench) -> None:
    """And the buffer stays large."""
    gpu = bench.fake.add_gpu()
    reader = bench.reader()
    gpu.set_processes([Process(3_000_000 + n, sm=1) for n in range(10_000)])
    bench.fake.reset_calls()
    found = bench.tick(reader).fast.processes or ()
    assert len(found) == 10_000
    assert {p.sm_ratio for p in found} == {0.01}
    assert bench.fake.calls("nvmlDeviceGetComputeRunningProcesses_v3") == 2
    assert len(bench.tick(reader).fast.processes or ()) == 10_000
    assert bench.fake.calls("nvmlDeviceGetComputeRunningProcesses_v3") == 3


def test_a_list_that_never_fits_is_given_up_for_this_tick(bench: Bench) -> None:
    """Tried twice, then absent and named; nothing else suffers."""
    bench.fake.add_gpu()
    reader = bench.reader()
    bench.fake.reset_calls()
    bench.fake.fault("nvmlDeviceGetComputeRunningProcesses_v3", gpu=0, code=7)
    reading = bench.tick(reader)
    assert bench.fake.calls("nvmlDeviceGetComputeRunningProcesses_v3") == 2
    assert (reading.fast.processes, reading.failed) == (None, {"processes": "insufficient_size"})
    assert reading.fast.power_w == 100.0
    bench.fake.clear("nvmlDeviceGetComputeRunningProcesses_v3", gpu=0)
    assert bench.tick(reader).fast.processes == ()


def test_a_process_that_did_nothing_since_the_last_tick_has_a_share_of_zero(bench: Bench) -> None:
    """The driver lists samples of busy processes only; none at all means that everybody idled."""
    gpu = bench.fake.add_gpu()
    gpu.set_processes([Process(11, sm=40), Process(12)])
    reader = bench.reader()
    assert shares(bench, reader) == {11: 0.4, 12: 0.0}
    gpu.set_processes([Process(11), Process(12)])
    assert shares(bench, reader) == {11: 0.0, 12: 0.0}
    gpu.set_processes([Process(11), Process(12, sm=70)])
    assert shares(bench, reader) == {11: 0.0, 12: 0.7}


def test_samples_of_before_the_cursor_are_not_counted_again(bench: Bench) -> None:
    """A sample dated once speaks for one tick."""
    gpu = bench.fake.add_gpu()
    reader = bench.reader()
    gpu.set_processes([Process(11, sm=50, sampled_us=bench.fake.wall_us())])
    assert shares(bench, reader) == {11: 0.5}
    assert shares(bench, reader) == {11: 0.0}


def test_a_share_holds_between_two_samples_of_the_driver(bench: Bench) -> None:
    """At 4 ticks a second over a sampling window of a second, three ticks see no new sample."""
    gpu = bench.fake.add_gpu(process_period_us=1_000_000)
    gpu.set_processes([Process(11, sm=60)])
    reader = bench.reader()
    bench.tick(reader, 1.0)
    assert [shares(bench, reader, 0.25)[11] for _ in range(12)] == [0.6] * 12
    gpu.set_processes([Process(11)])
    idle = [shares(bench, reader, 0.25)[11] for _ in range(8)]
    assert idle[-4:] == [0.0] * 4


def test_shares_go_on_after_the_wall_clock_was_set_back(bench: Bench) -> None:
    """The cursor is in wall time; by it every sample would be old for an hour."""
    bench.fake.add_gpu().set_processes([Process(11, sm=60)])
    reader = bench.reader()
    assert shares(bench, reader) == {11: 0.6}
    bench.fake.raw.wall_origin_ns -= 3_600_000_000_000
    seen = [shares(bench, reader)[11] for _ in range(15)]
    assert seen[0] == 0.0
    assert seen[-3:] == [0.6] * 3


def test_a_process_idle_for_long_gets_no_share_from_its_old_sample(bench: Bench) -> None:
    """Giving up a cursor must not count again what the driver still remembers."""
    gpu = bench.fake.add_gpu()
    gpu.set_processes([Process(11, sm=90, sampled_us=bench.fake.wall_us() - 1000)])
    reader = bench.reader()
    bench.tick(reader)
    assert [shares(bench, reader)[11] for _ in range(30)] == [0.0] * 30


def test_empty_and_impossible_samples_are_dropped(bench: Bench) -> None:
    """Some drivers pad the list; smUtil above 100 is no share."""
    gpu = bench.fake.add_gpu(process_phantoms=100)
    gpu.set_processes([Process(11, sm=30), Process(12, sm=4_000_000_000)])
    reading = bench.tick(bench.reader())
    assert {p.pid: p.sm_ratio for p in reading.fast.processes or ()} == {11: 0.3, 12: 0.0}
    assert reading.rejected == ("process_sm_ratio",)


@pytest.mark.parametrize("code", [3, 4])
def test_without_the_call_there_is_no_share_and_not_a_zero(bench: Bench, code: int) -> None:
    """As on a sliced GPU."""
    bench.fake.add_gpu().set_processes([Process(11, sm=30)])
    bench.fake.fault("nvmlDeviceGetProcessUtilization", gpu=0, code=code)
    assert shares(bench, bench.reader()) == {11: None}


def test_processes_on_a_sliced_gpu_say_in_which_instance_they_run(bench: Bench) -> None:
    """The same PID may be in two."""
    gpu = bench.fake.add_gpu()
    gpu.slice([Instance(1), Instance(2)])
    gpu.set_processes(
        [Process(11, gpu_instance_id=1), Process(11, gpu_instance_id=2), Process(12, gpu_instance_id=2)]
    )
    found = bench.tick(bench.reader()).fast.processes or ()
    assert [(p.pid, p.gpu_instance_id, p.sm_ratio) for p in found] == [
        (11, 1, None),
        (11, 2, None),
        (12, 2, None),
    ]


def test_mean_shares_weigh_each_sample_by_the_time_it_speaks_for() -> None:
    """A window of 1 s: 25 % for 0.4 s and 75 % for 0.6 s; another process was busy in its first half only."""
    samples = [(1_000_000, 7, 75), (400_000, 7, 25), (500_000, 8, 100), (0, 9, 100)]
    assert mean_shares(samples, 0, 1_000_000) == pytest.approx({7: 0.55, 8: 0.5})
