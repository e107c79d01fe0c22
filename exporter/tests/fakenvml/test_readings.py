"""Everything a GPU of the fake driver says, through pynvml."""

from __future__ import annotations

import time
from typing import Any

import pynvml
import pytest

from tests.fakenvml import FakeNvml

UINT_MAX = 0xFFFFFFFF
GIB = 1 << 30


def struct(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name, *_ in value._fields_}


CASES: list[tuple[str, tuple[Any, ...], Any]] = [
    ("nvmlDeviceGetName", (), "Tester"),
    ("nvmlDeviceGetUUID", (), "GPU-aa"),
    ("nvmlDeviceGetSerial", (), "1650000000000"),
    ("nvmlDeviceGetVbiosVersion", (), "96.00.74.00.01"),
    ("nvmlDeviceGetBoardPartNumber", (), "692-2G520-0200-000"),
    ("nvmlDeviceGetGspFirmwareVersion", (), b"580.1"),
    ("nvmlDeviceGetMinorNumber", (), 0),
    ("nvmlDeviceGetBoardId", (), 0x1000),
    ("nvmlDeviceGetMultiGpuBoard", (), 0),
    ("nvmlDeviceGetBrand", (), pynvml.NVML_BRAND_NVIDIA),
    ("nvmlDeviceGetArchitecture", (), pynvml.NVML_DEVICE_ARCH_HOPPER),
    ("nvmlDeviceGetCudaComputeCapability", (), (9, 0)),
    ("nvmlDeviceGetNumGpuCores", (), 16896),
    ("nvmlDeviceGetMemoryBusWidth", (), 5120),
    ("nvmlDeviceGetNumaNodeId", (), 0),
    ("nvmlDeviceGetEncoderUtilization", (), [11, 167_000]),
    ("nvmlDeviceGetDecoderUtilization", (), [12, 167_000]),
    ("nvmlDeviceGetJpgUtilization", (), [13, 167_000]),
    ("nvmlDeviceGetOfaUtilization", (), [14, 167_000]),
    ("nvmlDeviceGetEncoderStats", (), (3, 60, 900)),
    ("nvmlDeviceGetTemperature", (0,), 71),
    ("nvmlDeviceGetTemperature", (1,), 88),
    ("nvmlDeviceGetTemperatureV", (0,), 71),
    ("nvmlDeviceGetMarginTemperature", (), -4),
    ("nvmlDeviceGetTemperatureThreshold", (1,), 89),
    ("nvmlDeviceGetNumFans", (), 2),
    ("nvmlDeviceGetFanSpeed", (), 40),
    ("nvmlDeviceGetFanSpeed_v2", (1,), 41),
    ("nvmlDeviceGetFanSpeedRPM", (), 2000),
    ("nvmlDeviceGetClockInfo", (2,), 2619),
    ("nvmlDeviceGetMaxClockInfo", (1,), 1980),
    ("nvmlDeviceGetClock", (0, 0), 1200),
    ("nvmlDeviceGetApplicationsClock", (0,), 1980),
    ("nvmlDeviceGetPerformanceState", (), 2),
    ("nvmlDeviceGetPowerState", (), 2),
    ("nvmlDeviceGetPowerManagementMode", (), 1),
    ("nvmlDeviceGetPowerManagementLimit", (), 500_000),
    ("nvmlDeviceGetPowerManagementDefaultLimit", (), 700_000),
    ("nvmlDeviceGetPowerManagementLimitConstraints", (), [200_000, 700_000]),
    ("nvmlDeviceGetEnforcedPowerLimit", (), 490_000),
    ("nvmlDeviceGetCurrentClocksEventReasons", (), 0x24),
    ("nvmlDeviceGetCurrentClocksThrottleReasons", (), 0x24),
    ("nvmlDeviceGetSupportedClocksEventReasons", (), 0x1FF),
    ("nvmlDeviceGetSupportedClocksThrottleReasons", (), 0x1FF),
    ("nvmlDeviceGetPersistenceMode", (), 1),
    ("nvmlDeviceGetComputeMode", (), 3),
    ("nvmlDeviceGetEccMode", (), [1, 0]),
    ("nvmlDeviceGetDisplayActive", (), 0),
    ("nvmlDeviceGetDisplayMode", (), 0),
    ("nvmlDeviceGetAccountingMode", (), 0),
    ("nvmlDeviceGetTotalEccErrors", (1, 0), 7),
    ("nvmlDeviceGetMemoryErrorCounter", (0, 1, 2), 21),
    ("nvmlDeviceGetRetiredPages", (1,), [0xABC]),
    ("nvmlDeviceGetRetiredPages", (0,), []),
    ("nvmlDeviceGetRetiredPages_v2", (1,), [{"address": 0xABC, "timestamp": 0}]),
    ("nvmlDeviceGetRetiredPagesPendingStatus", (), 1),
    ("nvmlDeviceGetRemappedRows", (), (1, 2, 1, 0)),
    ("nvmlDeviceGetCurrPcieLinkGeneration", (), 1),
    ("nvmlDeviceGetMaxPcieLinkGeneration", (), 5),
    ("nvmlDeviceGetGpuMaxPcieLinkGeneration", (), 5),
    ("nvmlDeviceGetCurrPcieLinkWidth", (), 8),
    ("nvmlDeviceGetMaxPcieLinkWidth", (), 16),
    ("nvmlDeviceGetPcieReplayCounter", (), 5),
    ("nvmlDeviceGetPcieThroughput", (0,), 333),
    ("nvmlDeviceGetPcieThroughput", (1,), 2_000_000),
    ("nvmlDeviceGetSupportedEventTypes", (), 0xFF9F),
    ("nvmlDeviceGetMigMode", (), [0, 0]),
    ("nvmlDeviceGetMaxMigDeviceCount", (), 0),
]


@pytest.mark.parametrize(("function", "arguments", "expected"), CASES, ids=lambda value: str(value)[:40])
def test_a_reading_is_what_was_set(
    device: Any, function: str, arguments: tuple[Any, ...], expected: Any
) -> None:
    assert getattr(pynvml, function)(device, *arguments) == expected


def test_readings_that_are_structures(device: Any) -> None:
    """Utilisation, memory in both versions, PCI identity, violations, the remapper's histogram."""
    assert struct(pynvml.nvmlDeviceGetUtilizationRates(device)) == {"gpu": 55, "memory": 33}
    old = pynvml.nvmlDeviceGetMemoryInfo(device)
    new = pynvml.nvmlDeviceGetMemoryInfo(device, version=pynvml.nvmlMemory_v2)
    assert (new.total, new.used, new.reserved, new.free) == (80 * GIB, 10 * GIB, GIB // 2, 69.5 * GIB)
    assert (old.total, old.used, old.free) == (80 * GIB, 10.5 * GIB, 69.5 * GIB)
    assert pynvml.nvmlDeviceGetBAR1MemoryInfo(device).bar1Free == 128 * GIB - (1 << 20)
    pci = pynvml.nvmlDeviceGetPciInfo(device)
    assert (pci.busId, pci.busIdLegacy, pci.bus) == ("00000000:10:00.0", "0000:10:00.0", 0x10)
    assert pynvml.nvmlDeviceGetHandleByPciBusId(b"0000:10:00.0")
    assert pynvml.nvmlDeviceGetHandleBySerial(b"1650000000000")
    assert pynvml.nvmlDeviceGetViolationStatus(device, 0).violationTime == 1_000
    assert pynvml.nvmlDeviceGetRowRemapperHistogram(device).max == 2560


def test_pcie_throughput_keeps_its_caller_waiting(device: Any) -> None:
    """20 ms a call, as the driver's documentation says."""
    started = time.monotonic()
    pynvml.nvmlDeviceGetPcieThroughput(device, pynvml.NVML_PCIE_UTIL_TX_BYTES)
    assert time.monotonic() - started >= 0.02


def test_sentinels_come_through_as_numbers(device: Any, nvml: FakeNvml) -> None:
    """What broken drivers return for "unknown"."""
    nvml.gpu(0).set(gpu_percent=UINT_MAX, memory_percent=808_334, memory_used=2**64 - 1, temperature=-1)
    rates = pynvml.nvmlDeviceGetUtilizationRates(device)
    assert (rates.gpu, rates.memory) == (UINT_MAX, 808_334)
    assert pynvml.nvmlDeviceGetMemoryInfo(device).used == 2**64 - 1
    assert pynvml.nvmlDeviceGetMemoryInfo(device, version=pynvml.nvmlMemory_v2).used == 2**64 - 1
    assert pynvml.nvmlDeviceGetTemperature(device, 0) == UINT_MAX
    assert pynvml.nvmlDeviceGetTemperatureV(device, 0) == -1


def test_names_may_be_any_bytes(device: Any, nvml: FakeNvml) -> None:
    """Not UTF-8, empty, or one UUID for two GPUs."""
    nvml.gpu(0).set(name=b"Bad \xff\xfe", uuid="")
    with pytest.raises(UnicodeDecodeError):
        pynvml.nvmlDeviceGetName(device)
    assert pynvml.nvmlDeviceGetUUID(device) == ""
    nvml.gpu(0).set(uuid=nvml.gpu(1).uuid)
    assert pynvml.nvmlDeviceGetUUID(device).encode() == nvml.gpu(1).uuid
    with pytest.raises(KeyError, match="nonsense"):
        nvml.gpu(0).set(nonsense=1)


def test_cards_that_can_less(fake_nvml: FakeNvml) -> None:
    """The profiles leave out what the real cards leave out."""
    for profile in ("p100", "rtx4090", "h100", "a100", "t4"):
        fake_nvml.add_gpu(profile)
    fake_nvml.load_in_process()
    pynvml.nvmlInit()
    p100, rtx4090, h100, a100, t4 = (pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(5))
    absent: list[tuple[Any, Any, tuple[int, ...]]] = [
        (pynvml.nvmlDeviceGetTotalEnergyConsumption, p100, ()),
        (pynvml.nvmlDeviceGetTotalEccErrors, rtx4090, (0, 0)),
        (pynvml.nvmlDeviceGetMigMode, rtx4090, ()),
        (pynvml.nvmlDeviceGetFanSpeed, h100, ()),
        (pynvml.nvmlDeviceGetMarginTemperature, a100, ()),
        (pynvml.nvmlDeviceGetRemappedRows, t4, ()),
    ]
    for function, handle, arguments in absent:
        with pytest.raises(pynvml.NVMLError_NotSupported):
            function(handle, *arguments)
    assert pynvml.nvmlDeviceGetFieldValues(a100, [185])[0].nvmlReturn == pynvml.NVML_ERROR_NOT_SUPPORTED
    assert pynvml.nvmlDeviceGetTotalEnergyConsumption(t4) >= 0


def test_64_gpus(fake_nvml: FakeNvml) -> None:
    """As many as a control file holds, each with an identity of its own."""
    for _ in range(64):
        fake_nvml.add_gpu()
    with pytest.raises(ValueError, match="at most"):
        fake_nvml.add_gpu()
    fake_nvml.load_in_process()
    pynvml.nvmlInit()
    handles = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
    assert len({pynvml.nvmlDeviceGetUUID(handle) for handle in handles}) == 64
