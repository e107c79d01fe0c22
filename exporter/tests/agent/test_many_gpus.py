"""F40: no driver, no GPU, a GPU that comes late, and as many as a machine can hold."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING

import pytest

from tests.agent.metering import add_idle, assert_exact, is_up, load, samples, uuid_of
from tests.fakenvml import Constant, Process, Rate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.agent.running import RunningAgent, Scrape
    from tests.fakenvml import FakeNvml

OWN = {
    *("gputally_build_info", "gputally_samples_total", "gputally_driver_up", "gputally_stuck_workers"),
    *("gputally_sample_gaps_total", "gputally_last_sample_timestamp_seconds", "gputally_state_write_success"),
    *("gputally_sample_interval_seconds", "process_resident_memory_bytes", "host_cpus"),
}


def published_at(scrape: Scrape) -> float:
    """Unix time of the latest tick."""
    return scrape.value("gputally_last_sample_timestamp_seconds") or 0.0


@pytest.mark.fault("driver-late")
def test_without_a_driver_the_exporter_tells_about_itself_and_takes_the_driver_when_it_is_installed(
    agent: Callable[..., RunningAgent], fake_nvml: FakeNvml, tmp_path: Path
) -> None:
    """No library at all; then one without GPUs; then a GPU."""
    empty = tmp_path / "lib"
    empty.mkdir()
    running = agent("--source=nvml", env={"LD_LIBRARY_PATH": str(empty)})
    nothing = running.wait_until(lambda s: samples(s) > 2)
    assert nothing.families() >= OWN
    assert nothing.value("gputally_driver_up") == 0
    assert nothing.label("gputally_driver_down_info", "reason") == "library_not_found"
    assert not {name for name in nothing.families() if name.startswith("gpu_")}
    assert running.get("/-/ready")[0] == 503
    assert running.get("/-/healthy")[0] == 200
    shutil.copy(fake_nvml.library, empty)
    bare = running.wait_until(lambda s: s.value("gputally_driver_up") == 1, timeout=10.0)
    assert not bare.series("gpu_up")
    assert bare.families() >= OWN
    assert running.get("/-/ready")[0] == 200
    (gpu,) = add_idle(fake_nvml, "full")
    load(running, [gpu], Constant(300))
    assert running.scrape().value("gpu_device_events_total", event="added") == 1
    assert_exact(running, [gpu])


@pytest.mark.fault("driver-late")
def test_a_driver_that_is_loaded_late_is_found_by_trying_less_and_less_often(
    agent: Callable[..., RunningAgent], fake_nvml: FakeNvml
) -> None:
    """The library is there at boot, the kernel module is not."""
    (gpu,) = add_idle(fake_nvml, "full")
    fake_nvml.fault("nvmlInitWithFlags", code=9)
    running = agent("--source=nvml")
    running.until(lambda: fake_nvml.calls("nvmlInitWithFlags") == 2)
    tried_at = time.monotonic()
    down = running.scrape()
    assert down.label("gputally_driver_down_info", "reason") == "driver_not_loaded"
    assert len(running.lines("kernel module is not loaded")) == 1
    fake_nvml.clear("nvmlInitWithFlags")
    running.until(lambda: fake_nvml.calls("nvmlInitWithFlags") == 3)
    assert time.monotonic() - tried_at > 1.5  # after 2 s, having been 1 s the first time
    load(running, [gpu], Constant(300))
    assert_exact(running, [gpu])


@pytest.mark.fault("gpu-crowd")
@pytest.mark.parametrize("count", [16, 64])
def test_many_gpus_are_all_metered_at_every_tick_of_250_ms(
    agent: Callable[..., RunningAgent], fake_nvml: FakeNvml, count: int
) -> None:
    """All series are there, no tick is late, and the sums are exact."""
    profiles = [("full", "a100", "rtx4090", "t4")[slot % 4] for slot in range(count)]
    gpus = add_idle(fake_nvml, *profiles)
    running = agent()
    for gpu in gpus:
        gpu.set(gpu_percent=50, pcie_transmit_bytes=Rate(0, 1e9))
        gpu.set_processes([Process(1, sm=30), Process(running.pid, sm=20)])
    load(running, gpus, Constant(300))
    start = running.scrape()
    end = running.wait_until(lambda s: samples(s) >= samples(start) + 8)
    assert end.value("gputally_sample_gaps_total") == 0
    assert all(is_up(end, gpu) for gpu in gpus)
    for slot, gpu in enumerate(gpus):
        assert end.families(uuid=uuid_of(gpu)) == end.families(uuid=uuid_of(gpus[slot % 4])), slot
    seconds = published_at(end) - published_at(start)
    assert seconds / (samples(end) - samples(start)) < 0.3
    assert_exact(running, gpus)
