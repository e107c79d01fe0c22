"""GPUs that leave, return in another order, arrive for the first time, or are sliced."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.agent.metering import add_idle, assert_exact, counted_mj, is_up, load, uuid_of
from tests.fakenvml import Constant, Instance, Square

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.agent.running import RunningAgent, Scrape
    from tests.fakenvml import FakeGpu, FakeNvml

READ = "nvmlDeviceGetMemoryInfo_v2"  # one call a read


def samples(scrape: Scrape) -> int:
    """Ticks so far."""
    return int(scrape.value("gputally_samples_total") or 0)


def index_of(scrape: Scrape, gpu: FakeGpu) -> str | None:
    """The index label of a GPU."""
    return scrape.label("gpu_up", "gpu", uuid=uuid_of(gpu))


def events(scrape: Scrape, gpu: FakeGpu) -> dict[str, float]:
    """What has happened to a GPU."""
    found = scrape.series("gpu_device_events_total", uuid=uuid_of(gpu))
    return {dict(labels)["event"]: count for labels, count in found.items() if count}


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


def test_slicing_ends_and_begins_partition_series_while_the_board_goes_on_counting(
    agent: Callable[..., RunningAgent], fake_nvml: FakeNvml
) -> None:
    """F14: one GPU is sliced, one sliced anew between two looks, and one made whole."""
    boards = add_idle(fake_nvml, "h100", "h100", "h100")
    whole, sliced, divided = boards
    sliced.slice([Instance(1), Instance(2)])
    divided.slice([Instance(3)])
    running = agent()
    load(running, boards, Square(100, 500, 0.3))

    def partitions(scrape: Scrape) -> list[set[str]]:
        found = [scrape.series("gpu_mig_info", uuid=uuid_of(board)) for board in boards]
        return [{dict(labels)["gpu_instance_id"] for labels in board} for board in found]

    before = running.scrape()
    assert partitions(before) == [set(), {"1", "2"}, {"3"}]
    assert before.value("gpu_mig_memory_total_bytes", gpu_instance_id="1") == 10 << 30
    assert before.value("gpu_utilization_ratio", uuid=uuid_of(divided)) is None
    with running.watch() as watch:
        whole.slice([Instance(9)])
        sliced.slice([Instance(5, name="MIG 3g.40gb", compute_slices=3)])
        divided.unslice()
        after = running.wait_until(lambda s: partitions(s) == [{"9"}, {"5"}, set()])
        running.wait_until(lambda s: s.value("gpu_utilization_ratio", uuid=uuid_of(divided)) is not None)
    watch.assert_served()
    watch.assert_no_decrease()
    modes = [after.value("gpu_mig_mode", uuid=uuid_of(board)) for board in boards]
    assert modes == [1, 1, 0]
    assert after.value("gpu_mig_compute_slices", gpu_instance_id="5") == 3
    shown = {name for name in after.families(uuid=uuid_of(divided)) if name.startswith("gpu_mig")}
    assert shown == {"gpu_mig_mode", "gpu_mig_mode_pending"}
    # Board values stand once a board and never pause.
    for scrape in watch.scrapes:
        assert len(scrape.series("gpu_power_watts")) == 3
        assert sum(scrape.series("gpu_up").values()) == 3
    assert_exact(running, boards)
