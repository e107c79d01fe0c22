"""Letting go of the driver and beginning anew: on request, after an upgrade, after a crash inside it."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import pytest

from tests.agent.metering import add_idle, assert_exact, counted_mj, is_up, load
from tests.agent.upgrading import install, own_library, version
from tests.fakenvml import Constant, Process, Square, build

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.agent.running import RunningAgent, Scrape
    from tests.fakenvml import FakeNvml

LIST = "nvmlDeviceGetComputeRunningProcesses_v3"


@pytest.mark.fault("driver-blocks-reset")
def test_on_request_the_driver_is_let_go_for_a_while_and_what_was_used_is_booked_afterwards(
    agent: Callable[..., RunningAgent], fake_nvml: FakeNvml
) -> None:
    """SIGUSR1, for a GPU reset or a change of MIG: nothing holds the driver for the time configured."""
    gpus = add_idle(fake_nvml, "full", "full")
    running = agent("--nvml.release=2s")
    load(running, gpus, Square(100, 500, 0.3))
    assert fake_nvml.open_inits == 1
    with running.watch() as watch:
        running.ask_to_release()
        running.until(lambda: fake_nvml.open_inits == 0, timeout=2.0)
        let_go_at = time.monotonic()
        assert fake_nvml.raw.event_sets == 0
        fake_nvml.reset_calls()
        down = running.wait_until(lambda s: not any(is_up(s, gpu) for gpu in gpus))
        quiet = fake_nvml.calls_by_function()
        while fake_nvml.open_inits == 0:  # looked at after each count, which is so of the time before
            assert quiet.keys() <= {"nvmlInitWithFlags", "nvmlShutdown"}
            assert time.monotonic() - let_go_at < 10
            time.sleep(0.01)
            quiet = fake_nvml.calls_by_function()
        assert time.monotonic() - let_go_at > 1.8
        back = running.wait_until(lambda s: all(is_up(s, gpu) for gpu in gpus))
    watch.assert_served()
    watch.assert_no_decrease()
    assert {dict(labels)["reason"] for labels in down.series("gpu_down_info")} == {"released"}
    assert down.label("gputally_driver_down_info", "reason") == "released"
    for gpu in gpus:
        used_mj = (counted_mj(back, gpu) or 0) - (counted_mj(down, gpu) or 0)
        assert used_mj > 1.5 * 220_000  # a mean of 300 W, but for the square's phase
        assert back.value("gpu_device_events_total", uuid=gpu.uuid.decode(), event="lost") == 0
    assert len(running.lines("driver released")) == 1
    assert_exact(running, gpus)
    assert fake_nvml.raw.event_sets == 2
    assert running.terminate()[0] == 0
    assert fake_nvml.raw.event_sets == 0  # at the end everything is given back as well


@pytest.mark.fault("driver-blocks-reset")
def test_a_second_request_while_the_driver_is_not_there_keeps_it_away(
    agent: Callable[..., RunningAgent], fake_nvml: FakeNvml
) -> None:
    """Released before it could be opened, it is not opened just to be let go."""
    add_idle(fake_nvml, "full")
    fake_nvml.fault("nvmlInitWithFlags", code=9)
    running = agent("--source=nvml", "--nvml.release=2s")
    running.until(lambda: fake_nvml.calls("nvmlInitWithFlags") == 1)
    running.ask_to_release()
    running.wait_until(lambda s: s.label("gputally_driver_down_info", "reason") == "released")
    fake_nvml.clear("nvmlInitWithFlags")
    attempts = fake_nvml.calls("nvmlInitWithFlags")
    began = time.monotonic()
    running.wait_until(lambda s: s.value("gputally_driver_up") == 1)
    assert time.monotonic() - began > 1.5
    assert fake_nvml.calls("nvmlInitWithFlags") == attempts + 1


@pytest.mark.fault("driver-upgraded")
def test_a_driver_upgraded_underneath_is_taken_up_when_it_can_be_and_by_the_same_process_id(
    agent: Callable[..., RunningAgent], fake_nvml: FakeNvml, tmp_path: Path
) -> None:
    """F7: the library is replaced; the kernel's module follows; then another one comes too soon after."""
    installed = own_library(fake_nvml, tmp_path)
    fake_nvml.raw.kernel_version = b"580.1"
    gpus = add_idle(fake_nvml, "full", "full")
    running = agent("--nvml.release=1s", env={"LD_LIBRARY_PATH": str(installed.parent)})
    load(running, gpus, Constant(300))
    before = running.scrape()
    tries = fake_nvml.calls("nvmlInitWithFlags")
    with running.watch() as watch:
        # As after an unattended upgrade: a process started now could not open the driver until the next boot.
        install(build(tmp_path / "newer", version="590.2"), installed)
        running.until(lambda: fake_nvml.calls("nvmlInitWithFlags") > tries, timeout=12.0, what="a trial")
        tried_at = samples(running.scrape())
        running.wait_until(lambda s: samples(s) > tried_at + 5)
    watch.assert_served()
    assert mismatches(running) > 0
    assert all(is_up(s, gpu) for s in watch.scrapes for gpu in gpus)
    assert not running.lines("starting afresh")
    fake_nvml.raw.kernel_version = b"590.2"  # the module is loaded anew while the driver is let go
    asked_at = time.monotonic()
    running.ask_to_release()
    after = running.wait_until(
        lambda s: version(s) == "590.2" and all(is_up(s, gpu) for gpu in gpus), timeout=15.0
    )
    assert time.monotonic() - asked_at < 10.0 + 1.0
    assert running.lines("starting afresh")
    # The kernel's word for it: this is the same process.
    assert after.value("process_start_time_seconds") == before.value("process_start_time_seconds")
    for gpu in gpus:
        assert (counted_mj(after, gpu) or 0) >= (counted_mj(before, gpu) or 0)
    with running.watch() as watch:
        install(fake_nvml.library, installed)
        fake_nvml.raw.kernel_version = b""
        running.until(lambda: mismatches(running) > 0, timeout=12.0, what="the next change is noticed")
        noticed_at = samples(running.scrape())
        later = running.wait_until(lambda s: samples(s) > noticed_at + 5)
    watch.assert_served()
    assert all(is_up(s, gpu) for s in watch.scrapes for gpu in gpus)
    assert version(later) == "590.2"
    assert len(running.lines("starting afresh")) == 1  # a minute
    assert_exact(running, gpus)


def samples(scrape: Scrape) -> float:
    """Ticks so far."""
    return scrape.value("gputally_samples_total") or 0


def mismatches(running: RunningAgent) -> float:
    """How often it was noticed that the library does not fit."""
    found = running.scrape().series("gputally_sample_errors_total", reason="version_mismatch")
    return sum(found.values())


@pytest.mark.fault("driver-crashes")
def test_a_driver_that_crashes_in_the_process_list_is_metered_without_it(
    agent: Callable[..., RunningAgent], fake_nvml: FakeNvml
) -> None:
    """F8: the service manager starts it again each time; after three crashes the list is left alone."""
    gpus = add_idle(fake_nvml, "full", "full")
    running = agent()
    load(running, gpus, Constant(300))
    fake_nvml.set_processes(0, [Process(1)])
    fake_nvml.fault(LIST, gpu=1, segv=True)
    for crash in range(3):
        assert running.wait(timeout=10.0) == -signal.SIGSEGV, crash
        running.start(serving=False)
    back = running.wait_until(lambda s: all(is_up(s, gpu) for gpu in gpus), timeout=15.0)
    fake_nvml.reset_calls()
    ticks = back.value("gputally_samples_total") or 0
    later = running.wait_until(lambda s: (s.value("gputally_samples_total") or 0) > ticks + 4)
    assert fake_nvml.calls(LIST) == 0
    assert not later.series("gpu_processes")
    assert running.lines("processes stay off")
    assert_exact(running, gpus)
    fake_nvml.clear(LIST, gpu=1)
    running.restart()  # a clean end: the slate is wiped
    running.wait_until(lambda s: s.value("gpu_processes", gpu="0") == 1)
