"""A driver call that never returns costs one GPU, for as long as it hangs and no longer."""

from __future__ import annotations

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.agent.metering import add_idle, assert_exact, counted_mj, is_up, load, true_mj, uuid_of
from tests.fakenvml import Constant, Square

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.agent.running import RunningAgent, Scrape
    from tests.fakenvml import FakeGpu, FakeNvml

INTERVAL_S = 0.25
POWER = "nvmlDeviceGetPowerUsage"  # called on cards without the driver's own average, such as the A100


def age(scrape: Scrape, gpu: str) -> float:
    """Seconds between the latest reading of a GPU and the sample that shows it."""
    sample = scrape.value("gputally_last_sample_timestamp_seconds")
    reading = scrape.value("gpu_last_reading_timestamp_seconds", gpu=gpu)
    assert sample is not None
    assert reading is not None
    return sample - reading


@pytest.mark.fault("driver-call-hangs")
def test_a_hung_power_call_costs_that_gpu_alone_and_its_energy_is_booked_when_it_returns(
    agent: Callable[..., RunningAgent], fake_nvml: FakeNvml
) -> None:
    """F1 and F2."""
    first, second, third = add_idle(fake_nvml, "full", "a100", "full")
    running = agent()
    load(running, (first, second, third), Square(100, 500, 0.3))
    running.wait_until(lambda s: (counted_mj(s, second) or 0) > 50_000)
    threads, fds = running.threads, running.fds
    fake_nvml.reset_calls()
    with running.watch(pace=0.25) as watch:
        hung_at = time.monotonic()
        fake_nvml.fault(POWER, gpu=1, hang=True)
        fake_nvml.wait_for_hang(POWER, gpu=1)
        before_mj = true_mj(second)
        down = running.wait_until(lambda s: not is_up(s, second), timeout=5.0, what="gpu_up 0")
        assert time.monotonic() - hung_at <= 5.0
        ticks = down.value("gputally_samples_total") or 0
        stuck = running.wait_until(lambda s: (s.value("gputally_samples_total") or 0) >= ticks + 4)
        frozen_mj = counted_mj(stuck, second)
        released_at = time.monotonic()
        fake_nvml.release()
        back = running.wait_until(lambda s: is_up(s, second), timeout=5.0, what="gpu_up 1 again")
        took = time.monotonic() - released_at
    for scrape in (down, stuck):
        assert scrape.label("gpu_down_info", "reason", gpu="1") == "timeout"
        assert scrape.value("gputally_stuck_workers") == 1
        assert scrape.value("gpu_power_watts", gpu="1") is None
    assert stuck.value("gputally_sample_errors_total", collector="nvml", reason="timeout") == 1
    # Energy: nothing while it hung, all of it afterwards, from the hardware counter.
    assert counted_mj(down, second) == frozen_mj
    assert frozen_mj is not None
    assert frozen_mj <= before_mj
    assert (counted_mj(back, second) or 0) > before_mj
    assert took < 2 * INTERVAL_S + 0.5  # and half a second for a loaded machine
    assert back.value("gputally_stuck_workers") == 0
    # The others, and whoever scrapes, noticed nothing.
    watch.assert_served(within=0.1)
    watch.assert_no_decrease()
    assert max(age(s, "0") for s in watch.scrapes) < 2 * INTERVAL_S
    assert max(age(s, "2") for s in watch.scrapes) < 2 * INTERVAL_S
    assert fake_nvml.in_flight_peak(1) == 1
    assert len(running.lines("is down")) == 1
    assert len(running.lines("GPU 1", "is up")) == 2  # at the start and now
    assert_exact(running, (first, second, third))
    running.until(
        lambda: (running.threads, running.fds) == (threads, fds), what="threads and files as before"
    )


@pytest.mark.fault("scrapes-parallel")
def test_fifty_scrapes_at_once_while_a_gpu_hangs_read_the_same_in_time(
    agent: Callable[..., RunningAgent], fake_nvml: FakeNvml
) -> None:
    """F25: they wait for no driver, and within a tick each gets the very same bytes."""
    first, second = add_idle(fake_nvml, "full", "a100")
    running = agent("--sample.interval=1s")
    running.wait_until(lambda s: is_up(s, first) and is_up(s, second))
    fake_nvml.fault(POWER, gpu=1, hang=True)
    fake_nvml.wait_for_hang(POWER, gpu=1)
    running.wait_until(lambda s: not is_up(s, second))
    began = time.monotonic()
    with ThreadPoolExecutor(50) as scrapers:
        scrapes = list(scrapers.map(lambda _: running.scrape(), range(400)))
    ticks = int(time.monotonic() - began) + 2  # that there may have been meanwhile
    took = sorted(scrape.seconds for scrape in scrapes)
    assert {scrape.status for scrape in scrapes} == {200}
    assert took[len(took) * 9 // 10] < 0.5  # of fifty at once, whose clients have the same two cores
    assert len({scrape.body for scrape in scrapes}) <= ticks
    assert all(not is_up(scrape, second) for scrape in scrapes[::100])


@pytest.mark.fault("driver-scan-hangs")
def test_a_gpu_that_is_pulled_out_and_whose_event_set_cannot_be_freed_stops_nobody(
    agent: Callable[..., RunningAgent], fake_nvml: FakeNvml
) -> None:
    """Giving back what a reader held is a driver call too, and may hang like any other."""
    first, second = add_idle(fake_nvml, "full", "full")
    running = agent()
    load(running, (first, second), Constant(200))
    fake_nvml.fault("nvmlEventSetFree", hang=True)
    fake_nvml.order([0])
    fake_nvml.wait_for_hang("nvmlEventSetFree")
    with running.watch() as watch:
        running.wait_until(lambda s: s.value("gputally_stuck_workers") == 1)
    assert max(age(s, "0") for s in watch.scrapes) < 2 * INTERVAL_S
    fake_nvml.order([0, 1])
    fake_nvml.release()
    running.wait_until(lambda s: is_up(s, second) and s.value("gputally_stuck_workers") == 0)
    assert_exact(running, (first, second))


@pytest.mark.fault("driver-open-hangs")
def test_a_driver_that_hangs_while_it_is_opened_leaves_the_exporter_answering(
    new_agent: Callable[..., RunningAgent], fake_nvml: FakeNvml, tmp_path: Path
) -> None:
    """F3: HTTP within 2 s, not ready, healthy, READY=1 sent; then everything once the driver answers."""
    (gpu,) = add_idle(fake_nvml, "full")
    fake_nvml.fault("nvmlInitWithFlags", hang=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(10)
        running = new_agent(env={"NOTIFY_SOCKET": str(tmp_path / "notify")})
        began = time.monotonic()
        running.start()
        assert time.monotonic() - began < 2.0
        assert manager.recv(100) == b"READY=1"
    fake_nvml.wait_for_hang("nvmlInitWithFlags")
    with running.watch(pace=0.1) as watch:
        scrape = running.wait_until(lambda s: (s.value("gputally_samples_total") or 0) > 4)
        assert scrape.value("gputally_driver_up") == 0
        assert scrape.label("gputally_driver_down_info", "reason") is not None
        assert running.get("/-/ready")[0] == 503
        assert running.get("/-/healthy")[0] == 200
        fake_nvml.release()
        load(running, [gpu], Constant(300))
        assert running.get("/-/ready")[0] == 200
    watch.assert_served()
    assert fake_nvml.open_inits == 1
    assert_exact(running, [gpu])


@pytest.mark.fault("driver-scan-hangs")
def test_a_hung_search_for_changes_stops_no_metering_not_even_when_asked_to_let_go(
    agent: Callable[..., RunningAgent], fake_nvml: FakeNvml
) -> None:
    """The driver's count of GPUs hangs; SIGUSR1 cannot be served meanwhile and must not cost readings."""
    first, second = add_idle(fake_nvml, "full", "full")
    running = agent("--nvml.release=1s")
    load(running, (first, second), Constant(300))
    fake_nvml.fault("nvmlDeviceGetCount_v2", hang=True)
    fake_nvml.wait_for_hang("nvmlDeviceGetCount_v2")
    fake_nvml.order([0])  # it leaves unnoticed by the search, but answers no more
    running.ask_to_release()
    asked = running.scrape()
    later = running.wait_until(
        lambda s: read_at(s, first) > read_at(asked, first) + 1.0, timeout=8.0, what="readings go on"
    )
    assert later.value("gputally_driver_up") == 1
    assert running.lines("cannot release the driver")
    running.wait_until(lambda s: s.label("gpu_down_info", "reason", uuid=uuid_of(second)) == "lost")
    fake_nvml.order([0, 1])
    fake_nvml.release()
    running.wait_until(lambda s: is_up(s, first) and is_up(s, second))
    assert_exact(running, (first, second))


def read_at(scrape: Scrape, gpu: FakeGpu) -> float:
    """Unix time of the latest good reading of a GPU."""
    return scrape.value("gpu_last_reading_timestamp_seconds", uuid=uuid_of(gpu)) or 0.0


@pytest.mark.fault("signals-storm")
def test_the_end_does_not_wait_for_a_hung_call_and_loses_nothing(
    agent: Callable[..., RunningAgent], fake_nvml: FakeNvml
) -> None:
    """F32: SIGTERM during a hang: exit 0 within 2 s, state saved, counters go on afterwards."""
    first, second = add_idle(fake_nvml, "full", "a100")
    running = agent()
    load(running, (first, second), Constant(300))
    running.wait_until(lambda s: (counted_mj(s, second) or 0) > 100_000)
    fake_nvml.fault(POWER, gpu=1, hang=True)
    fake_nvml.wait_for_hang(POWER, gpu=1)
    before = running.scrape()
    status, seconds = running.terminate()
    assert (status, seconds < 2.0) == (0, True), seconds
    fake_nvml.clear(POWER, gpu=1)
    running.start()
    after = running.wait_until(lambda s: is_up(s, first) and is_up(s, second))
    for gpu in (first, second):
        assert (counted_mj(after, gpu) or 0) >= (counted_mj(before, gpu) or 0) > 0
    assert after.value("gputally_state_recovered") == 0
    assert_exact(running, (first, second))


def test_the_end_does_not_wait_for_the_interval_either(
    agent: Callable[..., RunningAgent], fake_nvml: FakeNvml
) -> None:
    """With samples 10 s apart a tick may wait 8 s for a hung call; SIGTERM is answered at once."""
    (gpu,) = add_idle(fake_nvml, "a100")
    fake_nvml.fault("nvmlDeviceGetUtilizationRates", gpu=0, hang=True)
    running = agent("--sample.interval=10s", "--no-collector.host")
    fake_nvml.wait_for_hang("nvmlDeviceGetUtilizationRates", gpu=0)
    status, seconds = running.terminate()
    assert (status, seconds < 2.0) == (0, True), seconds
    assert uuid_of(gpu) in (running.state_dir / "counters.json").read_text()
