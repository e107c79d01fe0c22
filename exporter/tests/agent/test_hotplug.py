"""GPUs that leave, return in another order, or arrive for the first time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.agent.metering import add_idle, assert_exact, counted_mj, is_up, load, samples, uuid_of
from tests.fakenvml import Constant, Square

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.agent.running import RunningAgent, Scrape
    from tests.fakenvml import FakeGpu, FakeNvml

READ = "nvmlDeviceGetMemoryInfo_v2"  # one call a read
FIRST = "nvmlDeviceGetFieldValues"  # the first call of a read


def index_of(scrape: Scrape, gpu: FakeGpu) -> str | None:
    """The index label of a GPU."""
    return scrape.label("gpu_up", "gpu", uuid=uuid_of(gpu))


def events(scrape: Scrape, gpu: FakeGpu) -> dict[str, float]:
    """What has happened to a GPU."""
    found = scrape.series("gpu_device_events_total", uuid=uuid_of(gpu))
    return {dict(labels)["event"]: count for labels, count in found.items() if count}


@pytest.mark.fault("gpu-unplugged")
def test_a_gpu_pulled_out_and_put_back_at_another_index_keeps_its_counters(
    agent: Callable[..., RunningAgent], fake_nvml: FakeNvml
) -> None:
    """F5: and the other GPU misses no sample; then a third one arrives."""
    first, second = add_idle(fake_nvml, "full", "full")
    running = agent()
    load(running, (first, second), Square(100, 500, 0.3))
    running.wait_until(lambda s: (counted_mj(s, second) or 0) > 20_000)
    with running.watch(pace=0.1) as watch:
        start = samples(running.scrape())
        calls = fake_nvml.calls(READ, gpu=0)
        before = running.scrape()
        fake_nvml.order([0])
        gone = running.wait_until(
            lambda s: s.label("gpu_down_info", "reason", uuid=uuid_of(second)) == "gone"
        )
        assert samples(gone) - samples(before) <= 3  # the one under way, and two
        assert (counted_mj(gone, second) or 0) >= (counted_mj(before, second) or 0)
        before = running.scrape()
        fake_nvml.order([1, 0])
        back = running.wait_until(lambda s: is_up(s, second))
        assert samples(back) - samples(before) <= 3
        assert (index_of(back, first), index_of(back, second)) == ("1", "0")
        (third,) = add_idle(fake_nvml, "full")
        grown = running.wait_until(lambda s: is_up(s, third) and s.value("gpu_power_watts", gpu="2") == 0)
        assert samples(grown) - samples(back) <= 3
        last = running.scrape()
        read = fake_nvml.calls(READ, gpu=0) - calls
    watch.assert_served()
    watch.assert_no_decrease()
    assert read >= samples(last) - start - 1, "the other GPU missed samples"
    assert events(last, first) == {"added": 1}
    assert events(last, third) == {"added": 1}
    assert events(last, second).pop("lost", 1) == 1  # a read may have met the loss before the list did
    assert events(last, second) | {"lost": 1} == {"added": 1, "removed": 1, "returned": 1, "lost": 1}
    assert {index_of(scrape, first) for scrape in watch.scrapes} == {"0", "1"}
    load(running, [third], Constant(200))
    assert_exact(running, (first, second, third))


@pytest.mark.fault("gpu-unplugged")
def test_a_gpu_that_has_left_stays_gone_whatever_its_last_call_comes_to(
    agent: Callable[..., RunningAgent], fake_nvml: FakeNvml
) -> None:
    """In the tick after it was pulled out the list is there first, and the read of it fails later."""
    first, second = add_idle(fake_nvml, "full", "full")
    running = agent()
    load(running, (first, second), Constant(200))
    fake_nvml.fault(FIRST, gpu=1, delay_us=100_000)
    calls = fake_nvml.calls(FIRST, gpu=1)
    running.until(lambda: fake_nvml.calls(FIRST, gpu=1) > calls + 1)
    time.sleep(0.12)  # between two reads; in the middle of one, the loss may be met first
    fake_nvml.order([0])
    with running.watch(pace=0.05) as watch:
        gone = running.wait_until(
            lambda s: s.label("gpu_down_info", "reason", uuid=uuid_of(second)) == "gone"
        )
        running.wait_until(lambda s: samples(s) > samples(gone) + 3)
    reasons = [s.label("gpu_down_info", "reason", uuid=uuid_of(second)) for s in watch.scrapes]
    assert set(reasons[reasons.index("gone") :]) == {"gone"}
    assert len(running.lines("is down: gone")) == 1
    assert events(running.scrape(), second).get("removed") == 1
    assert not any("is down: lost" in line for line in running.lines("is down")[1:])
