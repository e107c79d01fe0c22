"""Every function that the source calls, failing in every way, from the start or in mid-run.

Whatever happens to GPU 1 or to the driver as a whole: only errors of the protocol come out, GPU 0 stays
exact, and GPU 1 is read again once the fault is gone.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pynvml
import pytest

from gputally.node.sources.protocol import GpuLost, SourceError, Unavailable, VersionMismatch
from tests.fakenvml import Constant, Instance, Link, Process

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gputally.model import Reading
    from gputally.node.sources.nvml import NvmlSource

    from .conftest import Bench

CODES = (1, 2, 3, 4, 6, 7, 9, 10, 15, 16, 18, 28, 77, 999)
SYSTEM_FUNCTIONS = (
    *("nvmlInitWithFlags", "nvmlShutdown", "nvmlSystemGetDriverVersion", "nvmlSystemGetNVMLVersion"),
    *("nvmlSystemGetCudaDriverVersion_v2", "nvmlDeviceGetCount_v2", "nvmlEventSetCreate"),
    *("nvmlEventSetWait_v2", "nvmlEventSetFree", "nvmlGpmSampleAlloc", "nvmlGpmSampleFree"),
)
# Every function about a GPU that the source makes use of, on one card or another.
GPU_FUNCTIONS = (
    *("nvmlDeviceGetHandleByIndex_v2", "nvmlDeviceGetUUID", "nvmlDeviceGetName", "nvmlDeviceGetSerial"),
    *("nvmlDeviceGetVbiosVersion", "nvmlDeviceGetPciInfo_v3", "nvmlDeviceGetArchitecture"),
    *("nvmlDeviceGetCudaComputeCapability", "nvmlDeviceGetPowerManagementDefaultLimit"),
    *("nvmlDeviceGetPowerManagementLimitConstraints", "nvmlDeviceGetTemperatureThreshold"),
    *("nvmlDeviceGetMaxClockInfo", "nvmlDeviceGetMaxPcieLinkGeneration", "nvmlDeviceGetMaxPcieLinkWidth"),
    "nvmlDeviceGetMinorNumber",
    *("nvmlDeviceGetFieldValues", "nvmlDeviceGetUtilizationRates", "nvmlDeviceGetMemoryInfo_v2"),
    *("nvmlDeviceGetComputeRunningProcesses_v3", "nvmlDeviceGetGraphicsRunningProcesses_v3"),
    *("nvmlDeviceGetMPSComputeRunningProcesses_v3", "nvmlDeviceGetProcessUtilization"),
    *("nvmlDeviceGetSupportedEventTypes", "nvmlDeviceRegisterEvents", "nvmlDeviceGetTemperatureV"),
    *("nvmlDeviceGetMarginTemperature", "nvmlDeviceGetPowerManagementLimit"),
    *("nvmlDeviceGetEnforcedPowerLimit", "nvmlDeviceGetNumFans", "nvmlDeviceGetFanSpeed_v2"),
    *("nvmlDeviceGetClockInfo", "nvmlDeviceGetPerformanceState", "nvmlDeviceGetEncoderUtilization"),
    *("nvmlDeviceGetDecoderUtilization", "nvmlDeviceGetJpgUtilization", "nvmlDeviceGetOfaUtilization"),
    *("nvmlDeviceGetCurrPcieLinkGeneration", "nvmlDeviceGetCurrPcieLinkWidth"),
    *("nvmlDeviceGetSupportedClocksEventReasons", "nvmlDeviceGetCurrentClocksEventReasons"),
    *("nvmlDeviceGetMigMode", "nvmlGpmQueryDeviceSupport", "nvmlGpmSampleGet", "nvmlGpmMetricsGet"),
)
OLDER_FUNCTIONS = (
    *("nvmlDeviceGetPowerUsage", "nvmlDeviceGetTotalEnergyConsumption", "nvmlDeviceGetSamples"),
    *("nvmlDeviceGetTemperature", "nvmlDeviceGetMemoryInfo", "nvmlDeviceGetPcieReplayCounter"),
)
MIG_FUNCTIONS = (
    *("nvmlDeviceGetMaxMigDeviceCount", "nvmlDeviceGetMigDeviceHandleByIndex", "nvmlDeviceGetGpuInstanceId"),
    *("nvmlDeviceGetComputeInstanceId", "nvmlDeviceGetAttributes_v2", "nvmlGpmMigSampleGet"),
)


def two_gpus(bench: Bench) -> None:
    """Busy ones, with all that there is to read."""
    for slot in range(2):
        gpu = bench.fake.add_gpu("full", power=Constant(150 + slot))
        gpu.set_processes([Process(700 + slot, sm=50), Process(800, kind="graphics")])
        gpu.set_links([Link()] * 4)
        gpu.set_gpm({2: 50.0})


def make_old(bench: Bench) -> None:
    """Leave GPU 1 only the ways that are older than the preferred ones."""
    for field in (83, 191, 94, 185, 186):
        bench.fake.gpu(1).set_field(field, code=3)
    for function in ("nvmlDeviceGetTemperatureV", "nvmlDeviceGetMemoryInfo_v2"):
        bench.fake.fault(function, gpu=1, code=3)
    bench.fake.gpu(1).set(energy_code=3)


def read_both(bench: Bench, source: NvmlSource, ticks: int, described: set[str]) -> Reading | None:
    """Ticks as the node makes them. GPU 0 must answer with the truth; GPU 1's last reading is returned."""
    last: Reading | None = None
    for _ in range(ticks):
        bench.fake.advance(1)
        try:
            source.scan()
        except SourceError:
            return None
        for reader in source.readers():
            healthy = reader.uuids[0].endswith("0")
            try:
                if reader.key not in described:
                    reader.describe()
                    described.add(reader.key)
                reading: Reading | None = reader.read(slow=True)[reader.uuids[0]]
            except SourceError as error:
                reading, fault = None, error
            if reading is None:
                assert not healthy, fault
                assert fault.reason == fault.reason.lower() != ""
            elif healthy:
                assert reading.fast.energy_mj == bench.fake.gpu(0).counter_mj()
                assert reading.fast.power_w == 150.0
                assert (reading.failed, reading.rejected) == ({}, ())
            else:
                last = reading
    return last


def is_whole(reading: Reading | None) -> bool:
    """Whether GPU 1 answers as it should."""
    return reading is not None and reading.failed == {} and reading.fast.power_w == 151.0


def try_function(bench: Bench, function: str, code: int, *, from_start: bool) -> None:
    """One function of GPU 1 fails for a while, from the first call or from the fourth tick on."""
    source = bench.source(gpm=True)
    described: set[str] = set()
    if from_start:
        bench.fake.fault(function, gpu=1, code=code)
    source.open()
    if not from_start:
        assert is_whole(read_both(bench, source, 3, described))
        bench.fake.fault(function, gpu=1, code=code)
    read_both(bench, source, 4, described)
    bench.fake.clear(function, gpu=1)
    source.close()
    again = bench.opened(gpm=True)
    assert is_whole(read_both(bench, again, 2, set()))
    again.close()
    assert (bench.fake.open_inits, bench.fake.raw.event_sets, bench.fake.raw.gpm_samples) == (0, 0, 0)


@pytest.mark.fault("driver-function-fails")
@pytest.mark.parametrize("from_start", [True, False], ids=["from_start", "in_mid_run"])
@pytest.mark.parametrize("function", GPU_FUNCTIONS)
def test_a_failing_function_of_one_gpu_harms_no_other(
    bench: Bench, function: str, *, from_start: bool
) -> None:
    """Every code; nothing leaks; the next epoch finds all in order."""
    two_gpus(bench)
    for code in CODES:
        try_function(bench, function, code, from_start=from_start)


@pytest.mark.fault("driver-function-fails")
@pytest.mark.parametrize("function", OLDER_FUNCTIONS)
def test_a_failing_fallback_of_one_gpu_harms_no_other(bench: Bench, function: str) -> None:
    """The same for cards and drivers that need the older ways."""
    two_gpus(bench)
    make_old(bench)
    for code in CODES:
        if function == "nvmlDeviceGetTotalEnergyConsumption":
            bench.fake.gpu(1).set(energy_code=0)
        try_function(bench, function, code, from_start=True)
        try_function(bench, function, code, from_start=False)


@pytest.mark.fault("driver-function-fails")
@pytest.mark.parametrize("function", MIG_FUNCTIONS)
def test_a_failing_mig_function_harms_no_other(bench: Bench, function: str) -> None:
    """The board's own readings go on in any case that does not concern the board."""
    two_gpus(bench)
    bench.fake.gpu(1).slice([Instance(1), Instance(2)])
    for code in CODES:
        try_function(bench, function, code, from_start=False)


@pytest.mark.fault("gpu-lost")
@pytest.mark.parametrize("code", CODES)
def test_all_functions_of_one_gpu_failing_harm_no_other(bench: Bench, code: int) -> None:
    """As when it has fallen off the bus."""
    two_gpus(bench)
    try_function(bench, "*", code, from_start=True)
    try_function(bench, "*", code, from_start=False)


def read_through(bench: Bench, source: NvmlSource) -> None:
    """Three ticks during which anything may fail. Raises SourceError where the source or a reader does."""
    described: set[str] = set()
    for _ in range(3):
        bench.fake.advance(1)
        source.scan()
        for reader in source.readers():
            if reader.key not in described:
                reader.describe()
                described.add(reader.key)
            reader.read(slow=True)


@pytest.mark.fault("driver-function-fails")
@pytest.mark.parametrize("from_start", [True, False], ids=["from_start", "in_mid_run"])
@pytest.mark.parametrize("function", SYSTEM_FUNCTIONS)
def test_a_failing_function_of_the_driver_is_an_error_of_the_protocol(
    bench: Bench, function: str, *, from_start: bool
) -> None:
    """Every code; nothing else comes out, and all is well once it is over."""
    two_gpus(bench)
    for code in CODES:
        source = bench.source(gpm=True)
        if from_start:
            bench.fake.fault(function, code=code)
        with suppress(SourceError):
            source.open()
            bench.fake.fault(function, code=code)
            read_through(bench, source)
        source.close()
        bench.fake.clear(function)
        source.close()
        again = bench.opened(gpm=True)
        assert is_whole(read_both(bench, again, 2, set()))
        again.close()


def test_the_tables_above_name_every_function_that_is_called(bench: Bench) -> None:
    """One that is missing would go untried; one too many would try nothing."""
    two_gpus(bench)
    make_old(bench)
    bench.fake.fault("nvmlDeviceGetTotalEnergyConsumption", gpu=1, code=3)
    bench.fake.add_gpu().slice([Instance(1)])
    source = bench.opened(gpm=True)
    for _ in range(2):
        for reader in source.readers():
            reader.describe()
            bench.tick(reader, slow=True)
    source.close()
    named = {*SYSTEM_FUNCTIONS, *GPU_FUNCTIONS, *OLDER_FUNCTIONS, *MIG_FUNCTIONS}
    assert bench.fake.calls_by_function().keys() == named


@pytest.mark.parametrize(
    ("function", "code", "error", "reason"),
    [
        ("nvmlDeviceGetTemperatureV", 15, GpuLost, "lost"),
        ("nvmlDeviceGetClockInfo", 16, GpuLost, "reset_required"),
        ("nvmlDeviceGetUtilizationRates", 6, GpuLost, "not_found"),
        ("nvmlDeviceGetFieldValues", 999, GpuLost, "unknown"),
        ("nvmlDeviceGetUtilizationRates", 2, GpuLost, "stale_handle"),
        ("nvmlDeviceGetMemoryInfo_v2", 28, GpuLost, "not_found"),
        ("nvmlDeviceGetUtilizationRates", 9, Unavailable, "driver_not_loaded"),
        ("nvmlDeviceGetUtilizationRates", 1, Unavailable, "uninitialized"),
        ("nvmlDeviceGetUtilizationRates", 18, VersionMismatch, "version_mismatch"),
    ],
)
def test_a_fault_is_told_in_the_words_of_the_protocol(
    bench: Bench, function: str, code: int, error: type[SourceError], reason: str
) -> None:
    """So that the node knows what to do and the label what to say."""
    bench.fake.add_gpu()
    reader = bench.reader()
    bench.fake.fault(function, gpu=0, code=code)
    with pytest.raises(error) as caught:
        bench.tick(reader, slow=True)
    assert type(caught.value) is error
    assert caught.value.reason == reason
    bench.fake.clear(gpu=0)
    assert bench.tick(reader, slow=True).failed == {}


def test_a_quirk_of_an_optional_call_does_not_take_the_gpu_down(bench: Bench) -> None:
    """999 and 6 mean a loss only where every healthy GPU answers."""
    bench.fake.add_gpu()
    reader = bench.reader()
    for code, word in ((999, "unknown"), (6, "not_found")):
        bench.fake.fault("nvmlDeviceGetPerformanceState", gpu=0, code=code)
        reading = bench.tick(reader, slow=True)
        assert (reading.failed, reading.fast.power_w) == ({"performance_state": word}, 100.0)


def test_a_gpu_whose_every_vital_call_fails_is_not_up(bench: Bench) -> None:
    """A reading without a single figure would pass for a healthy GPU."""
    bench.fake.add_gpu()
    reader = bench.reader()
    bench.fake.fault("*", gpu=0, code=77)
    with pytest.raises(SourceError) as caught:
        bench.tick(reader)
    assert caught.value.reason == "unrecognised_code"


def test_a_lost_gpu_in_a_field_of_the_batch_is_lost(bench: Bench) -> None:
    """Fields have return codes of their own."""
    gpu = bench.fake.add_gpu()
    reader = bench.reader()
    gpu.set_field(186, code=15)
    with pytest.raises(GpuLost):
        bench.tick(reader)


class LibraryWithout:
    """What pynvml has loaded, less some functions: an older driver's library."""

    def __init__(self, library: ctypes.CDLL, missing: set[str]) -> None:
        self._library, self._missing = library, missing

    def __getattr__(self, name: str) -> Any:
        """The function, unless it is missing."""
        if name in self._missing:
            raise AttributeError(name)
        return getattr(self._library, name)


@pytest.fixture
def older_library(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[set[str]]:
    """Names put into this set are missing from the library that pynvml has loaded."""
    bench.opened().close()
    missing: set[str] = set()
    monkeypatch.setattr(pynvml, "nvmlLib", LibraryWithout(pynvml.nvmlLib, missing))
    monkeypatch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})
    yield missing
    missing.clear()


@pytest.mark.fault("driver-old")
@pytest.mark.parametrize("function", [*GPU_FUNCTIONS, *SYSTEM_FUNCTIONS])
def test_a_function_that_the_driver_lacks_costs_its_readings_only(
    bench: Bench, older_library: set[str], function: str
) -> None:
    """Nothing fails, nothing is rejected, and whatever can be read another way is."""
    two_gpus(bench)
    older_library.add(function)
    source = bench.source(gpm=True)
    if function == "nvmlDeviceGetUUID":
        with pytest.raises(SourceError) as caught:
            source.open()
        assert caught.value.reason == "function_missing"
        return
    source.open()
    for reader in source.readers():
        reader.describe()
        for _ in range(3):
            reading = bench.tick(reader, 5, slow=True)
            assert (reading.failed, reading.rejected) == ({}, ())
        truth = bench.fake.gpu(int(reader.uuids[0][-1]))
        assert reading.fast.energy_mj == truth.counter_mj()
        assert reading.fast.power_w is not None
    assert len(source.readers()) == 2


def test_an_old_driver_is_read_by_the_older_names(bench: Bench, older_library: set[str]) -> None:
    """All of the newest names missing at once, as before driver 510."""
    two_gpus(bench)
    older_library |= {
        *("nvmlDeviceGetMemoryInfo_v2", "nvmlDeviceGetComputeRunningProcesses_v3"),
        *("nvmlDeviceGetGraphicsRunningProcesses_v3", "nvmlDeviceGetMPSComputeRunningProcesses_v3"),
        *("nvmlDeviceGetTemperatureV", "nvmlDeviceGetMarginTemperature", "nvmlDeviceGetNumFans"),
        *("nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetSupportedClocksEventReasons"),
        *("nvmlInitWithFlags", "nvmlEventSetWait_v2", "nvmlDeviceGetFieldValues"),
    }
    reader = bench.reader()
    reading = bench.tick(reader, slow=True)
    assert reading.failed == {}
    assert {(p.pid, p.kind) for p in reading.fast.processes or ()} == {(700, "compute"), (800, "graphics")}
    assert reading.fast.memory_used_bytes is not None
    assert reading.fast.energy_mj == bench.fake.gpu(0).counter_mj()
    assert reading.slow is not None
    assert reading.slow.temperature_c == 40.0
    assert reading.slow.fan_ratio == {"0": 0.3}
    assert reading.slow.throttle_active["hw_thermal"] is False
    bench.fake.inject_xid(0, 45)
    assert bench.tick(reader).fast.new_xids == (45,)
