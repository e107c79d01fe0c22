"""A driver that fails as a whole is waited for; functions that it lacks cost their families only."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.agent.metering import add_idle, assert_exact, counted_mj, is_up, load
from tests.fakenvml import Constant, Square, build

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.agent.running import RunningAgent, Scrape
    from tests.fakenvml import FakeNvml


def down_reason(scrape: Scrape, gpu: str) -> str | None:
    """Why a GPU is down; None while it is up."""
    return scrape.label("gpu_down_info", "reason", gpu=gpu)


@pytest.mark.fault("driver-lost")
def test_when_the_whole_driver_fails_everything_is_down_and_comes_back_by_itself(
    agent: Callable[..., RunningAgent], fake_nvml: FakeNvml
) -> None:
    """F6: 999 from every call, as after a daemon-reload under a container."""
    gpus = add_idle(fake_nvml, "full", "full")
    running = agent()
    load(running, gpus, Square(100, 500, 0.3))
    with running.watch() as watch:
        fake_nvml.fault("*", code=999)
        running.wait_until(lambda s: not any(is_up(s, gpu) for gpu in gpus))
        fake_nvml.reset_calls()
        running.wait_until(lambda s: s.value("gputally_driver_up") == 0, timeout=12.0)
        running.until(lambda: fake_nvml.calls("nvmlInitWithFlags") > 0)
        fake_nvml.clear("*")
        back = running.wait_until(lambda s: all(is_up(s, gpu) for gpu in gpus), timeout=12.0)
    watch.assert_served()
    watch.assert_no_decrease()
    reasons = {s.label("gputally_driver_down_info", "reason") for s in watch.scrapes}
    assert {"unknown"} <= reasons <= {None, "reopening", "unknown"}
    for gpu in ("0", "1"):
        assert {"unknown"} <= {down_reason(s, gpu) for s in watch.scrapes} <= {None, "unknown"}
    assert len(running.lines("is down")) == 2
    assert running.lines("is down", "daemon-reload")
    assert fake_nvml.calls("nvmlInitWithFlags") <= 3  # each attempt waits twice as long as the one before
    assert len(running.log) < 25
    assert back.value("gputally_driver_up") == 1
    assert_exact(running, gpus)


# Functions that an older driver lacks -> families that then are absent. Each row is one library.
LACKING = {
    "fields": (
        ["nvmlDeviceGetFieldValues"],
        {
            *("gpu_power_average_watts", "gpu_power_instant_watts", "gpu_memory_temperature_celsius"),
            *("gpu_pcie_transmit_bytes_total", "gpu_pcie_receive_bytes_total", "gpu_ecc_errors_total"),
            *("gpu_ecc_volatile_errors", "gpu_retired_pages", "gpu_retired_pages_pending"),
            *("gpu_remapped_rows", "gpu_row_remap_pending", "gpu_row_remap_failed", "gpu_recovery_action"),
        },
    ),
    "newest names": (
        [
            *("nvmlInitWithFlags", "nvmlEventSetWait_v2", "nvmlDeviceGetTemperatureV"),
            *("nvmlDeviceGetMemoryInfo_v2", "nvmlDeviceGetMarginTemperature", "nvmlDeviceGetFanSpeed_v2"),
            *("nvmlDeviceGetComputeRunningProcesses_v3", "nvmlDeviceGetGraphicsRunningProcesses_v3"),
            *("nvmlDeviceGetMPSComputeRunningProcesses_v3", "nvmlDeviceGetCurrentClocksEventReasons"),
            *("nvmlDeviceGetSupportedClocksEventReasons", "nvmlSystemGetCudaDriverVersion_v2"),
            "nvmlDeviceGetNumFans",
        ],
        {"gpu_memory_reserved_bytes", "gpu_temperature_margin_celsius"},
    ),
    "gauges, names, processes and events": (
        [
            *("nvmlDeviceGetUtilizationRates", "nvmlDeviceGetMemoryInfo_v2", "nvmlDeviceGetMemoryInfo"),
            *("nvmlDeviceGetPowerManagementLimit", "nvmlDeviceGetEnforcedPowerLimit"),
            *("nvmlDeviceGetClockInfo", "nvmlDeviceGetPerformanceState", "nvmlDeviceGetNumFans"),
            *("nvmlDeviceGetFanSpeed_v2", "nvmlDeviceGetFanSpeed", "nvmlDeviceGetTemperature"),
            *("nvmlDeviceGetTemperatureV", "nvmlDeviceGetEncoderUtilization", "nvmlDeviceGetMigMode"),
            *("nvmlDeviceGetDecoderUtilization", "nvmlDeviceGetJpgUtilization"),
            *("nvmlDeviceGetOfaUtilization", "nvmlDeviceGetCurrPcieLinkGeneration"),
            *("nvmlDeviceGetCurrPcieLinkWidth", "nvmlDeviceGetArchitecture", "nvmlDeviceGetSerial"),
            *("nvmlDeviceGetVbiosVersion", "nvmlDeviceGetCudaComputeCapability", "nvmlDeviceGetName"),
            *("nvmlDeviceGetPciInfo_v3", "nvmlDeviceGetPowerManagementDefaultLimit"),
            *("nvmlDeviceGetPowerManagementLimitConstraints", "nvmlDeviceGetTemperatureThreshold"),
            *("nvmlDeviceGetMaxClockInfo", "nvmlDeviceGetMaxPcieLinkGeneration"),
            *("nvmlDeviceGetMaxPcieLinkWidth", "nvmlSystemGetDriverVersion", "nvmlSystemGetNVMLVersion"),
            *("nvmlSystemGetCudaDriverVersion_v2", "nvmlSystemGetCudaDriverVersion"),
            *("nvmlDeviceGetComputeRunningProcesses_v3", "nvmlDeviceGetComputeRunningProcesses_v2"),
            *("nvmlDeviceGetGraphicsRunningProcesses_v3", "nvmlDeviceGetGraphicsRunningProcesses_v2"),
            *("nvmlDeviceGetMPSComputeRunningProcesses_v3", "nvmlDeviceGetMPSComputeRunningProcesses_v2"),
            *("nvmlDeviceGetProcessUtilization", "nvmlEventSetCreate", "nvmlEventSetFree"),
            *("nvmlDeviceRegisterEvents", "nvmlDeviceGetSupportedEventTypes"),
            *("nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons"),
        ],
        {
            *("gpu_utilization_ratio", "gpu_utilization_peak_ratio", "gpu_busy_seconds_total"),
            *("gpu_memory_utilization_ratio", "gpu_memory_total_bytes", "gpu_memory_used_bytes"),
            *("gpu_memory_free_bytes", "gpu_memory_reserved_bytes", "gpu_power_limit_watts"),
            *("gpu_power_limit_enforced_watts", "gpu_clock_hertz", "gpu_performance_state"),
            *("gpu_fan_speed_ratio", "gpu_temperature_celsius", "gpu_engine_utilization_ratio"),
            *("gpu_mig_mode", "gpu_mig_mode_pending", "gpu_pcie_link_generation", "gpu_pcie_link_width"),
            *("gpu_power_limit_default_watts", "gpu_power_limit_min_watts", "gpu_power_limit_max_watts"),
            *("gpu_temperature_limit_celsius", "gpu_clock_max_hertz", "gpu_pcie_link_generation_max"),
            *("gpu_pcie_link_width_max", "gpu_processes", "gpu_throttle_active"),
        },
    ),
}


@pytest.fixture(scope="module")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The libraries that lack something, compiled side by side."""
    folder = tmp_path_factory.mktemp("lacking")
    with ThreadPoolExecutor() as pool:
        built = pool.map(lambda row: build(folder, omit=row[0]), LACKING.values())
        return dict(zip(LACKING, built, strict=True))


@pytest.mark.fault("driver-old")
def test_functions_that_an_old_driver_lacks_cost_their_families_only(
    agent: Callable[..., RunningAgent],
    new_agent: Callable[..., RunningAgent],
    fake_nvml: FakeNvml,
    libraries: dict[str, Path],
) -> None:
    """F9: one agent a library, side by side; what they show is what a full one shows, less some families."""
    gpus = add_idle(fake_nvml, "full", "full")
    older = {name: new_agent(env={"LD_LIBRARY_PATH": str(libraries[name].parent)}) for name in LACKING}
    everything = agent()
    for one in older.values():
        one.start(serving=False)
    load(everything, gpus, Constant(250))
    full = everything.wait_until(lambda s: s.value("gpu_temperature_celsius", gpu="1") is not None)
    for name, running in older.items():
        lacking = running.wait_until(
            lambda s: all(is_up(s, gpu) and (counted_mj(s, gpu) or 0) > 5_000 for gpu in gpus), timeout=20
        )
        for gpu in ("0", "1"):
            absent = full.families(gpu=gpu) - lacking.families(gpu=gpu)
            assert absent == LACKING[name][1], name
        assert not lacking.series("gputally_rejected_readings_total"), name
        assert not lacking.series("gputally_sample_errors_total"), name
        assert not running.lines("level=error"), running.tail()
        assert not running.lines("cannot be read"), running.tail()
        assert lacking.value("gputally_left_out_families") == 0
    assert_exact(everything, gpus)
