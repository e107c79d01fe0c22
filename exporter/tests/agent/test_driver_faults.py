"""Errors, nonsense and missing functions of the driver cost the readings concerned and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gputally.catalogue import DEVICES
from tests.agent.metering import add_idle, assert_exact, counted_mj, is_up, load, uuid_of
from tests.fakenvml import Constant, Square, build

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.agent.running import RunningAgent, Scrape
    from tests.fakenvml import FakeNvml

# What is read anew, as against what is known of a GPU once and for all, and what has been counted.
READINGS = {family.name for family in DEVICES if family.record in ("fast", "slow")}
SENTINEL = 0xFFFFFFFF


def down_reason(scrape: Scrape, gpu: str) -> str | None:
    """Why a GPU is down; None while it is up."""
    return scrape.label("gpu_down_info", "reason", gpu=gpu)


def test_a_gpu_that_answers_nothing_but_lost_shows_its_counters_and_no_reading(
    agent: Callable[..., RunningAgent], fake_nvml: FakeNvml
) -> None:
    """F4."""
    first, second = add_idle(fake_nvml, "full", "full")
    running = agent()
    load(running, (first, second), Square(100, 500, 0.3))
    running.wait_until(lambda s: (counted_mj(s, second) or 0) > 20_000)
    before = running.scrape()
    counters = {name for name in before.families(gpu="1") if name.endswith("_total")}
    with running.watch() as watch:
        fake_nvml.fault("*", gpu=1, code=15)
        down = running.wait_until(lambda s: not is_up(s, second))
        ticks = down.value("gputally_samples_total") or 0
        later = running.wait_until(lambda s: (s.value("gputally_samples_total") or 0) > ticks + 8)
        fake_nvml.clear("*", gpu=1)
        running.wait_until(lambda s: is_up(s, second), timeout=2.0)
    watch.assert_served()
    watch.assert_no_decrease()
    assert down_reason(later, "1") == "lost"
    assert READINGS & before.families(gpu="1")
    assert not READINGS & later.families(gpu="1")
    assert counters <= later.families(gpu="1")
    for name in counters - {"gpu_device_events_total"}:
        assert down.series(name, gpu="1") == later.series(name, gpu="1"), f"{name} did not stand still"
    assert len(running.lines("is down")) == 1
    back = running.scrape()
    assert back.value("gpu_device_events_total", gpu="1", event="lost") == 1
    assert back.value("gpu_device_events_total", gpu="1", event="returned") == 1
    assert_exact(running, (first, second))


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
    assert reasons == {None, "reopening", "unknown"}
    assert {down_reason(s, "0") for s in watch.scrapes} == {None, "unknown"}
    assert {down_reason(s, "1") for s in watch.scrapes} == {None, "unknown"}
    assert len(running.lines("is down")) == 2
    assert running.lines("is down", "daemon-reload")
    assert fake_nvml.calls("nvmlInitWithFlags") <= 3  # each attempt waits twice as long as the one before
    assert len(running.log) < 25
    assert back.value("gputally_driver_up") == 1
    assert_exact(running, gpus)


def test_impossible_values_are_dropped_and_counted_and_never_shown(
    agent: Callable[..., RunningAgent], fake_nvml: FakeNvml
) -> None:
    """F10."""
    gpus = add_idle(fake_nvml, "full", "full", "a100", "full")
    busy, memory, power, healthy = gpus
    for gpu in gpus:
        gpu.set(gpu_percent=40, temperature=55)
    busy.set(temperature=SENTINEL)
    running = agent()
    load(running, gpus, Square(100, 500, 0.3))
    busy.set(gpu_percent=SENTINEL, memory_percent=808_334)
    memory.set(memory_used=2**64 - 1, memory_free=2**64 - 1)
    power.set_field(186, 3_690_000_000_000_000)
    power.set(power_override_mw=SENTINEL)
    absent = {
        "gpu_utilization_ratio": busy,
        "gpu_memory_utilization_ratio": busy,
        "gpu_temperature_celsius": busy,
        "gpu_memory_used_bytes": memory,
        "gpu_memory_free_bytes": memory,
        "gpu_power_instant_watts": power,
        "gpu_power_watts": power,
    }

    def all_dropped(scrape: Scrape) -> bool:
        return all(scrape.value(name, uuid=uuid_of(gpu)) is None for name, gpu in absent.items())

    dropped = running.wait_until(all_dropped)
    rejected = {dict(labels)["reading"] for labels in dropped.series("gputally_rejected_readings_total")}
    assert rejected >= {
        *("utilization_ratio", "memory_utilization_ratio", "temperature_c", "memory_used_bytes"),
        *("memory_free_bytes", "power_instant_w", "power_w"),
    }
    for name in absent:
        assert dropped.value(name, uuid=uuid_of(healthy)) is not None
    for gpu in gpus:
        assert is_up(dropped, gpu)
    before = dropped.value("gputally_rejected_readings_total", reading="utilization_ratio") or 0
    running.wait_until(
        lambda s: (s.value("gputally_rejected_readings_total", reading="utilization_ratio") or 0) > before
    )
    power.clear_field(186)
    power.set(power_override_mw=-1)
    busy.set(gpu_percent=40, memory_percent=10)
    memory.set(memory_used=1 << 30)
    del absent["gpu_temperature_celsius"]
    running.wait_until(
        lambda s: all(s.value(name, uuid=uuid_of(gpu)) is not None for name, gpu in absent.items())
    )
    assert_exact(running, gpus)
    assert running.scrape().value("gpu_energy_clamped_joules_total", uuid=uuid_of(power)) == 0
    peak = running.scrape().value("gpu_power_peak_watts", uuid=uuid_of(power))
    assert peak is not None
    assert peak <= 700


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
    "gauges": (
        [
            *("nvmlDeviceGetUtilizationRates", "nvmlDeviceGetMemoryInfo_v2", "nvmlDeviceGetMemoryInfo"),
            *("nvmlDeviceGetPowerManagementLimit", "nvmlDeviceGetEnforcedPowerLimit"),
            *("nvmlDeviceGetClockInfo", "nvmlDeviceGetPerformanceState", "nvmlDeviceGetNumFans"),
            *("nvmlDeviceGetFanSpeed_v2", "nvmlDeviceGetFanSpeed", "nvmlDeviceGetTemperature"),
            *("nvmlDeviceGetTemperatureV", "nvmlDeviceGetEncoderUtilization", "nvmlDeviceGetMigMode"),
            *("nvmlDeviceGetDecoderUtilization", "nvmlDeviceGetJpgUtilization"),
            *("nvmlDeviceGetOfaUtilization", "nvmlDeviceGetCurrPcieLinkGeneration"),
            "nvmlDeviceGetCurrPcieLinkWidth",
        ],
        {
            *("gpu_utilization_ratio", "gpu_utilization_peak_ratio", "gpu_busy_seconds_total"),
            *("gpu_memory_utilization_ratio", "gpu_memory_total_bytes", "gpu_memory_used_bytes"),
            *("gpu_memory_free_bytes", "gpu_memory_reserved_bytes", "gpu_power_limit_watts"),
            *("gpu_power_limit_enforced_watts", "gpu_clock_hertz", "gpu_performance_state"),
            *("gpu_fan_speed_ratio", "gpu_temperature_celsius", "gpu_engine_utilization_ratio"),
            *("gpu_mig_mode", "gpu_mig_mode_pending", "gpu_pcie_link_generation", "gpu_pcie_link_width"),
        },
    ),
    "description": (
        [
            *("nvmlDeviceGetArchitecture", "nvmlDeviceGetSerial", "nvmlDeviceGetVbiosVersion"),
            *("nvmlDeviceGetCudaComputeCapability", "nvmlDeviceGetPciInfo_v3", "nvmlDeviceGetName"),
            *("nvmlDeviceGetPowerManagementDefaultLimit", "nvmlDeviceGetPowerManagementLimitConstraints"),
            *("nvmlDeviceGetTemperatureThreshold", "nvmlDeviceGetMaxClockInfo"),
            *("nvmlDeviceGetMaxPcieLinkGeneration", "nvmlDeviceGetMaxPcieLinkWidth"),
            *("nvmlSystemGetDriverVersion", "nvmlSystemGetNVMLVersion", "nvmlSystemGetCudaDriverVersion"),
        ],
        {
            *("gpu_power_limit_default_watts", "gpu_power_limit_min_watts", "gpu_power_limit_max_watts"),
            *("gpu_temperature_limit_celsius", "gpu_clock_max_hertz"),
            *("gpu_pcie_link_generation_max", "gpu_pcie_link_width_max"),
        },
    ),
    "processes and events": (
        [
            *("nvmlDeviceGetComputeRunningProcesses_v3", "nvmlDeviceGetComputeRunningProcesses_v2"),
            *("nvmlDeviceGetGraphicsRunningProcesses_v3", "nvmlDeviceGetGraphicsRunningProcesses_v2"),
            *("nvmlDeviceGetMPSComputeRunningProcesses_v3", "nvmlDeviceGetMPSComputeRunningProcesses_v2"),
            *("nvmlDeviceGetProcessUtilization", "nvmlEventSetCreate", "nvmlEventSetFree"),
            *("nvmlDeviceRegisterEvents", "nvmlDeviceGetSupportedEventTypes"),
            *("nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons"),
        ],
        {"gpu_processes", "gpu_throttle_active"},
    ),
}


@pytest.fixture(scope="module")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where libraries that lack something are built, each once."""
    return tmp_path_factory.mktemp("lacking")


def test_functions_that_an_old_driver_lacks_cost_their_families_only(
    agent: Callable[..., RunningAgent],
    new_agent: Callable[..., RunningAgent],
    fake_nvml: FakeNvml,
    libraries: Path,
) -> None:
    """F9: one agent a library, side by side; what they show is what a full one shows, less some families."""
    gpus = add_idle(fake_nvml, "full", "full")
    older = {
        name: new_agent(env={"LD_LIBRARY_PATH": str(build(libraries, omit=omit).parent)})
        for name, (omit, _) in LACKING.items()
    }
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
