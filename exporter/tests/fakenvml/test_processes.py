"""Processes, events, MIG instances and GPM of the fake driver, and nvitop-exporter on top of it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pynvml
import pytest

from tests.fakenvml import FakeNvml, Instance, Link, Process

XID = pynvml.nvmlEventTypeXidCriticalError


def pids(rows: list[Any]) -> list[int]:
    return [row.pid for row in rows]


def test_processes_are_listed_by_kind(nvml: FakeNvml) -> None:
    """Compute, graphics and MPS have their own lists; unknown memory is None, as pynvml has it."""
    nvml.set_processes(
        0,
        [
            Process(11, 5 << 20),
            Process(12, None, kind="graphics"),
            Process(13, kind="mps"),
            Process(14, kind="compute+graphics", name="both"),
            Process(15, kind="", sm=5),
        ],
    )
    handle = pynvml.nvmlDeviceGetHandleByIndex(0)
    compute = pynvml.nvmlDeviceGetComputeRunningProcesses(handle)
    assert [(row.pid, row.usedGpuMemory) for row in compute] == [(11, 5 << 20), (14, 1 << 30)]
    assert compute[0].gpuInstanceId == 0xFFFFFFFF
    assert pids(pynvml.nvmlDeviceGetComputeRunningProcesses_v2(handle)) == [11, 14]
    graphics = pynvml.nvmlDeviceGetGraphicsRunningProcesses(handle)
    assert [(row.pid, row.usedGpuMemory) for row in graphics] == [(12, None), (14, 1 << 30)]
    assert pids(pynvml.nvmlDeviceGetMPSComputeRunningProcesses(handle)) == [13]
    detailed = pynvml.nvmlDeviceGetRunningProcessDetailList(
        handle,
        pynvml.nvmlProcessDetailList_v1,
        pynvml.NVML_PROCESS_MODE_COMPUTE,
    )
    assert [(row.pid, row.usedGpuMemory) for row in detailed] == [(11, 5 << 20), (14, 1 << 30)]
    assert pynvml.nvmlSystemGetProcessName(14) == "both"
    assert sys.executable in pynvml.nvmlSystemGetProcessName(os.getpid())
    assert pynvml.nvmlDeviceGetComputeRunningProcesses(pynvml.nvmlDeviceGetHandleByIndex(1)) == []


def test_a_list_may_be_long_and_may_grow_between_the_two_calls(nvml: FakeNvml) -> None:
    """10,000 rows arrive whole; more newcomers than pynvml left room for are InsufficientSize."""
    handle = pynvml.nvmlDeviceGetHandleByIndex(0)
    nvml.set_processes(0, (Process(pid) for pid in range(1, 10_001)))
    assert pids(pynvml.nvmlDeviceGetComputeRunningProcesses(handle)) == list(range(1, 10_001))
    nvml.set_processes(0, [Process(1), Process(0), Process(0xFFFFFFFF)])
    nvml.gpu(0).set(process_growth=3)
    assert pids(pynvml.nvmlDeviceGetComputeRunningProcesses(handle))[:3] == [1, 0, 0xFFFFFFFF]
    assert len(pynvml.nvmlDeviceGetComputeRunningProcesses(handle)) == 6
    nvml.gpu(0).set(process_growth=50)
    with pytest.raises(pynvml.NVMLError_InsufficientSize):
        pynvml.nvmlDeviceGetComputeRunningProcesses(handle)


def test_process_utilisation_follows_the_cursor(fake_nvml: FakeNvml) -> None:
    """A sample once; NotFound until the driver's next one; idle processes have none."""
    fake_nvml.raw.clock_mode, fake_nvml.raw.virtual_ns = 1, 10**12
    gpu = fake_nvml.add_gpu(process_period_us=500_000)
    gpu.set_processes([Process(1, sm=70, memory=20, encoder=3, decoder=4), Process(2), Process(3, memory=5)])
    fake_nvml.load_in_process()
    pynvml.nvmlInit()
    handle = pynvml.nvmlDeviceGetHandleByIndex(0)
    first = pynvml.nvmlDeviceGetProcessUtilization(handle, 0)
    assert pids(first) == [1, 3]
    assert (first[0].smUtil, first[0].memUtil, first[0].encUtil, first[0].decUtil) == (70, 20, 3, 4)
    cursor = max(row.timeStamp for row in first)
    assert fake_nvml.wall_us() - 500_000 < cursor <= fake_nvml.wall_us()
    for read in (pynvml.nvmlDeviceGetProcessUtilization, pynvml.nvmlDeviceGetProcessesUtilizationInfo):
        with pytest.raises(pynvml.NVMLError_NotFound):
            read(handle, cursor)
    fake_nvml.advance(0.5)
    assert pids(pynvml.nvmlDeviceGetProcessUtilization(handle, cursor)) == [1, 3]
    extended = pynvml.nvmlDeviceGetProcessesUtilizationInfo(handle, cursor)
    assert [(row.pid, row.timeStamp - cursor, row.smUtil) for row in extended] == [
        (1, 500_000, 70),
        (3, 500_000, 0),
    ]
    gpu.set_processes([Process(1, sm=1, sampled_us=cursor), Process(2, sm=2, sampled_us=cursor + 1)])
    assert pids(pynvml.nvmlDeviceGetProcessUtilization(handle, cursor)) == [2]


def test_phantom_samples(nvml: FakeNvml) -> None:
    """Some drivers fill up their answer with empty records."""
    nvml.set_processes(0, [Process(1, sm=70)])
    nvml.gpu(0).set(process_phantoms=99)
    rows = pynvml.nvmlDeviceGetProcessUtilization(pynvml.nvmlDeviceGetHandleByIndex(0), 0)
    assert len(rows) == 100
    assert pids(rows[:2]) == [1, 0]


def test_accounting_of_a_finished_process(nvml: FakeNvml) -> None:
    """Off by default; on, it remembers who ended."""
    handle = pynvml.nvmlDeviceGetHandleByIndex(0)
    with pytest.raises(pynvml.NVMLError_NotSupported):
        pynvml.nvmlDeviceGetAccountingPids(handle)
    nvml.gpu(0).set(accounting_mode=1)
    nvml.set_processes(0, [Process(9, 1 << 20, kind="", sm=44, run_ms=1500)])
    assert pynvml.nvmlDeviceGetAccountingPids(handle) == [9]
    stats = pynvml.nvmlDeviceGetAccountingStats(handle, 9)
    assert (stats.gpuUtilization, stats.time, stats.isRunning) == (44, 1500, 0)


def test_an_event_reaches_each_registered_set_once(nvml: FakeNvml) -> None:
    """Not what was before the registration, not another GPU's, and a time-out otherwise."""
    first, second = (pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(2))
    nvml.inject_xid(0, 13)
    one, other = pynvml.nvmlEventSetCreate(), pynvml.nvmlEventSetCreate()
    pynvml.nvmlDeviceRegisterEvents(first, XID, one)
    pynvml.nvmlDeviceRegisterEvents(first, XID, other)
    pynvml.nvmlDeviceRegisterEvents(second, pynvml.nvmlEventTypeClock, other)
    for xid in (79, 31):
        nvml.inject_xid(0, xid)
    nvml.inject_xid(1, 48)
    for event_set in (one, other):
        events = [pynvml.nvmlEventSetWait_v2(event_set, 0) for _ in range(2)]
        assert [(event.eventType, event.eventData) for event in events] == [(XID, 79), (XID, 31)]
        assert pynvml.nvmlDeviceGetIndex(events[0].device) == 0
        with pytest.raises(pynvml.NVMLError_Timeout):
            pynvml.nvmlEventSetWait_v2(event_set, 0)
    assert nvml.raw.event_sets == 2
    pynvml.nvmlEventSetFree(one)
    pynvml.nvmlEventSetFree(other)
    assert nvml.raw.event_sets == 0


def test_a_waiting_thread_wakes_for_an_event_and_for_the_time_out(nvml: FakeNvml) -> None:
    """The wait blocks its thread alone."""
    event_set = pynvml.nvmlEventSetCreate()
    pynvml.nvmlDeviceRegisterEvents(pynvml.nvmlDeviceGetHandleByIndex(0), XID, event_set)
    started = time.monotonic()
    with pytest.raises(pynvml.NVMLError_Timeout):
        pynvml.nvmlEventSetWait_v2(event_set, 50)
    assert time.monotonic() - started >= 0.05
    got: list[int] = []
    thread = threading.Thread(
        target=lambda: got.append(pynvml.nvmlEventSetWait_v2(event_set, 10_000).eventData)
    )
    thread.start()
    nvml.inject_xid(0, 94)
    thread.join(timeout=5)
    assert got == [94]


def test_mig_instances_answer_for_themselves(nvml: FakeNvml) -> None:
    """Identity, memory, processes by instance; what belongs to the board is not supported."""
    gpu = nvml.gpu(0)
    gpu.slice(
        [Instance(1, uuid="MIG-a", memory_used=3 << 30), Instance(2, memory_total=20 << 30, gpu_slices=2)]
    )
    gpu.set_processes([Process(7, sm=9, gpu_instance_id=2, compute_instance_id=0)])
    board = pynvml.nvmlDeviceGetHandleByIndex(0)
    assert pynvml.nvmlDeviceGetMigMode(board) == [1, 1]
    one, two = (pynvml.nvmlDeviceGetMigDeviceHandleByIndex(board, i) for i in range(2))
    with pytest.raises(pynvml.NVMLError_NotFound):
        pynvml.nvmlDeviceGetMigDeviceHandleByIndex(board, 2)
    assert (pynvml.nvmlDeviceGetUUID(one), pynvml.nvmlDeviceGetName(one)) == ("MIG-a", "MIG 1g.10gb")
    assert (pynvml.nvmlDeviceGetGpuInstanceId(two), pynvml.nvmlDeviceGetComputeInstanceId(two)) == (2, 0)
    assert pynvml.nvmlDeviceIsMigDeviceHandle(two).value == 1
    assert pynvml.nvmlDeviceGetMemoryInfo(one).used == 3 << 30
    assert pynvml.nvmlDeviceGetAttributes(two).memorySizeMB == 20 << 10
    assert pynvml.nvmlDeviceGetAttributes(two).gpuInstanceSliceCount == 2
    assert [pids(pynvml.nvmlDeviceGetComputeRunningProcesses(h)) for h in (one, two, board)] == [[], [7], [7]]
    assert pynvml.nvmlDeviceGetIndex(pynvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(one)) == 0
    assert pynvml.nvmlDeviceGetName(pynvml.nvmlDeviceGetHandleByUUID("MIG-a")) == "MIG 1g.10gb"
    unsupported: list[tuple[Any, ...]] = [
        (pynvml.nvmlDeviceGetPowerUsage, one),
        (pynvml.nvmlDeviceGetUtilizationRates, board),
        (pynvml.nvmlDeviceGetProcessUtilization, board, 0),
    ]
    for call, *arguments in unsupported:
        with pytest.raises(pynvml.NVMLError_NotSupported):
            call(*arguments)


def test_handles_of_instances_that_are_gone_are_invalid(nvml: FakeNvml) -> None:
    """Sliced again or not at all: the board goes on, the old handles do not."""
    gpu = nvml.gpu(0)
    board = pynvml.nvmlDeviceGetHandleByIndex(0)
    gpu.slice([Instance(1)])
    stale = pynvml.nvmlDeviceGetMigDeviceHandleByIndex(board, 0)
    gpu.slice([Instance(3), Instance(4)])
    for again in (lambda: None, gpu.unslice):
        again()
        with pytest.raises(pynvml.NVMLError_InvalidArgument):
            pynvml.nvmlDeviceGetName(stale)
    assert pynvml.nvmlDeviceGetMigMode(board) == [0, 0]
    assert pynvml.nvmlDeviceGetPowerUsage(board) == 100_000


def metric(first: Any, second: Any, number: int) -> tuple[int, float]:
    asked: Any = pynvml.c_nvmlGpmMetricsGet_t()
    asked.version, asked.numMetrics = pynvml.NVML_GPM_METRICS_GET_VERSION, 1
    asked.sample1, asked.sample2 = first, second
    asked.metrics[0].metricId = number
    pynvml.nvmlGpmMetricsGet(asked)
    return asked.metrics[0].nvmlReturn, asked.metrics[0].value


def test_gpm_needs_two_samples_and_knows_instances(nvml: FakeNvml) -> None:
    """Activity of the board and of one instance; what was not set is not supported."""
    gpu = nvml.gpu(0)
    gpu.set_gpm({pynvml.NVML_GPM_METRIC_SM_UTIL: 61.5})
    gpu.slice([Instance(5, gpm={pynvml.NVML_GPM_METRIC_SM_UTIL: 12.25})])
    board = pynvml.nvmlDeviceGetHandleByIndex(0)
    assert pynvml.nvmlGpmQueryDeviceSupport(board).isSupportedDevice == 1
    one, two = pynvml.nvmlGpmSampleAlloc(), pynvml.nvmlGpmSampleAlloc()
    pynvml.nvmlGpmSampleGet(board, one)
    with pytest.raises(pynvml.NVMLError_InvalidArgument):
        metric(one, two, 2)
    pynvml.nvmlGpmSampleGet(board, two)
    assert metric(one, two, pynvml.NVML_GPM_METRIC_SM_UTIL) == (0, 61.5)
    with pytest.raises(pynvml.NVMLError_InvalidArgument):
        metric(two, one, 2)
    assert metric(one, two, pynvml.NVML_GPM_METRIC_FP64_UTIL)[0] == pynvml.NVML_ERROR_NOT_SUPPORTED
    for sample in (one, two):
        pynvml.nvmlGpmMigSampleGet(board, 5, sample)
    assert metric(one, two, pynvml.NVML_GPM_METRIC_SM_UTIL) == (0, 12.25)
    assert nvml.raw.gpm_samples == 2
    for sample in (one, two):
        pynvml.nvmlGpmSampleFree(sample)
    assert (nvml.raw.gpm_samples, gpu.gpm_races) == (0, 0)


NVITOP_ROUND = """
from nvitop import Device
from nvitop_exporter.exporter import PrometheusExporter
from prometheus_client import CollectorRegistry, generate_latest
registry = CollectorRegistry()
exporter = PrometheusExporter(Device.all(), hostname="here", registry=registry)
for device in exporter.devices:
    exporter.update_device(device)
print(generate_latest(registry).decode())
"""


def test_nvitop_exporter_reads_it(fake_nvml: FakeNvml) -> None:
    """Another NVML program, as the benchmarks use it: one pass over two GPUs, and no value missing."""
    for slot in range(2):
        gpu = fake_nvml.add_gpu(gpu_percent=80 + slot, temperature=50 + slot)
        gpu.set_links([Link()])
        gpu.set_processes([Process(os.getpid(), 2 << 30, sm=37)])
    done = subprocess.run(
        [sys.executable, "-c", NVITOP_ROUND],
        env={**os.environ, **fake_nvml.env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    samples = [line for line in done.stdout.splitlines() if not line.startswith("#") and 'uuid="' in line]
    assert not [line for line in samples if line.endswith("NaN")]
    values = {(line.split("{")[0], 'index="1"' in line): float(line.rsplit(" ", 1)[1]) for line in samples}
    assert values["gpu_utilization_Percentage", True] == 81
    assert values["gpu_temperature_C", False] == 50
    assert values["gpu_power_usage_W", False] == 100
    assert values["process_gpu_memory_MiB", True] == 2048
    assert values["process_gpu_sm_utilization_Percentage", True] == 37
    assert fake_nvml.calls("nvmlDeviceGetPcieThroughput", gpu=0) == 2


def test_play_sets_up_any_program(tmp_path: Path) -> None:
    """The script prints what a shell needs, and pynvml then finds what was asked for."""
    script = Path(__file__).with_name("play.py")
    code = (
        "import pynvml as n; n.nvmlInit(); h = n.nvmlDeviceGetHandleByIndex(2); "
        "print(n.nvmlDeviceGetCount(), len(n.nvmlDeviceGetComputeRunningProcesses(h)))"
    )
    setup = f"{sys.executable} {script} --gpus 3 --processes 4 --dir {tmp_path}"
    done = subprocess.run(
        ["sh", "-c", f"eval \"$({setup})\"; {sys.executable} -c '{code}'"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "3 4\n", done.stderr
