"""Which GPUs there are: identity by UUID, indices that move, newcomers, leavers, and GPUs nobody can name."""

from __future__ import annotations

from threading import Thread
from typing import TYPE_CHECKING

import pytest

from gputally.node.sources.protocol import GpuLost, SourceError, Unavailable

if TYPE_CHECKING:
    from pathlib import Path

    from gputally.model import Inventory

    from .conftest import Bench


def listed(inventory: Inventory) -> list[tuple[str, str]]:
    """Index and UUID, in order."""
    return [(gpu.index, gpu.uuid) for gpu in inventory.gpus]


def test_gpus_are_listed_in_the_drivers_order_with_their_uuid_verbatim(bench: Bench) -> None:
    """Prefix, case and all."""
    bench.fake.add_gpu(uuid="GPU-AbC")
    bench.fake.add_gpu(uuid="GPU-11111111-2222")
    assert listed(bench.source().open()) == [("0", "GPU-AbC"), ("1", "GPU-11111111-2222")]


def test_no_look_is_taken_at_a_gpu_that_holds_a_call(bench: Bench) -> None:
    """It would be a second call on it, and might hang the scout as well."""
    bench.fake.add_gpu(uuid="GPU-a")
    bench.fake.add_gpu(uuid="GPU-b")
    source = bench.opened()
    stuck = source.readers()[1]
    stuck.describe()
    bench.fake.fault("nvmlDeviceGetFieldValues", gpu=1, hang=True)
    thread = Thread(target=lambda: stuck.read(slow=False), daemon=True)
    thread.start()
    bench.fake.wait_for_hang("nvmlDeviceGetFieldValues", gpu=1)
    bench.fake.advance(100.0)
    looks = bench.fake.calls("nvmlDeviceGetUUID")
    assert listed(source.scan()) == [("0", "GPU-a"), ("1", "GPU-b")]
    assert bench.fake.calls("nvmlDeviceGetUUID") == looks
    bench.fake.release()
    thread.join(10)
    assert not thread.is_alive()
    source.scan()
    assert bench.fake.calls("nvmlDeviceGetUUID") == looks + 2


def test_a_machine_without_gpus_is_open_and_empty(bench: Bench) -> None:
    """A GPU may be plugged in later."""
    source = bench.source()
    assert listed(source.open()) == []
    assert list(source.readers()) == []
    bench.fake.add_gpu(uuid="GPU-late")
    assert listed(source.scan()) == [("0", "GPU-late")]


def test_unplugged_and_back_in_another_order_the_index_follows_the_uuid(bench: Bench) -> None:
    """Two, one, two swapped: each UUID keeps its own reader while its handle lives."""
    bench.fake.add_gpu(uuid="GPU-a", temperature=41)
    bench.fake.add_gpu(uuid="GPU-b", temperature=42)
    source = bench.opened()
    reader_a, reader_b = source.readers()
    bench.fake.order([1])
    assert listed(source.scan()) == [("0", "GPU-b")]
    assert list(source.readers()) == [reader_b]
    bench.fake.order([1, 0])
    assert listed(source.scan()) == [("0", "GPU-b"), ("1", "GPU-a")]
    assert source.readers()[0] is reader_b
    assert source.readers()[1].key != reader_a.key
    temperatures = [slow.temperature_c for r in source.readers() if (slow := bench.tick(r, slow=True).slow)]
    assert temperatures == [42.0, 41.0]


def test_swapped_indices_without_a_change_of_count_are_found_in_time(bench: Bench) -> None:
    """By the closer look that is due every 30 s."""
    bench.fake.add_gpu(uuid="GPU-a")
    bench.fake.add_gpu(uuid="GPU-b")
    source = bench.opened()
    readers = {reader.uuids[0]: reader for reader in source.readers()}
    bench.fake.order([1, 0])
    bench.fake.advance(29)
    assert listed(source.scan()) == [("0", "GPU-a"), ("1", "GPU-b")]
    bench.fake.advance(1)
    assert listed(source.scan()) == [("0", "GPU-b"), ("1", "GPU-a")]
    assert {reader.uuids[0]: reader for reader in source.readers()} == readers


def test_a_scan_in_which_nothing_changed_is_one_call(bench: Bench) -> None:
    """The count, and nothing about any GPU."""
    bench.fake.add_gpu()
    bench.fake.add_gpu()
    source = bench.opened()
    bench.fake.reset_calls()
    for _ in range(10):
        bench.fake.advance(1)
        source.scan()
    assert bench.fake.calls_by_function() == {"nvmlDeviceGetCount_v2": 10}


def test_a_loss_makes_the_next_scan_look_closer_but_not_at_every_tick(bench: Bench) -> None:
    """The lost GPU stays listed while the driver counts it: it is down, not gone."""
    bench.fake.add_gpu(uuid="GPU-a")
    bench.fake.add_gpu(uuid="GPU-b")
    source = bench.opened()
    lost = source.readers()[1]
    bench.fake.fault("*", gpu=1, code=15)
    bench.fake.reset_calls()
    for _ in range(10):
        with pytest.raises(GpuLost):
            bench.tick(lost)
        assert listed(source.scan()) == [("0", "GPU-a"), ("1", "GPU-b")]
        assert source.readers()[1] is lost
    assert bench.fake.calls("nvmlDeviceGetHandleByIndex_v2", gpu=0) == 2
    bench.fake.clear(gpu=1)
    assert bench.tick(lost).failed == {}


def test_a_gpu_that_is_lost_from_the_start_is_skipped_with_a_reason_and_found_later(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """The others are there at once, and the log says once who is not: no series of it ever was."""
    bench.fake.add_gpu(uuid="GPU-a")
    bench.fake.add_gpu(uuid="GPU-b")
    bench.fake.fault("nvmlDeviceGetHandleByIndex_v2", gpu=1, code=15)
    source = bench.source()
    assert listed(source.open()) == [("0", "GPU-a")]
    bench.fake.advance(30)
    assert listed(source.scan()) == [("0", "GPU-a")]
    assert caplog.messages == ["GPU 1 is there and not read: lost"]
    bench.fake.clear(gpu=1)
    bench.fake.advance(30)
    assert listed(source.scan()) == [("0", "GPU-a"), ("1", "GPU-b")]
    bench.fake.fault("nvmlDeviceGetHandleByIndex_v2", gpu=1, code=15)
    bench.fake.advance(30)
    assert listed(source.scan()) == [("0", "GPU-a"), ("1", "GPU-b")], "known: it may recover"
    assert len(caplog.messages) == 1


def test_a_driver_whose_every_gpu_is_lost_says_so(bench: Bench) -> None:
    """Rather than that there is none."""
    bench.fake.add_gpu()
    bench.fake.fault("nvmlDeviceGetHandleByIndex_v2", gpu=0, code=15)
    with pytest.raises(GpuLost):
        bench.source().open()
    assert bench.fake.open_inits == 0


@pytest.mark.fault("gpu-names")
@pytest.mark.parametrize(
    ("uuids", "kept", "skipped"),
    [
        ((b"", b"GPU-b"), [("1", "GPU-b")], ["GPU 0 is there and not read: empty_uuid"]),
        (
            (b"GPU-a", b"GPU-a", b"GPU-c"),
            [("0", "GPU-a"), ("2", "GPU-c")],
            ["GPU 1 is there and not read: duplicate_uuid"],
        ),
        ((b"GPU-\xff\xfe",), [("0", "GPU-\ufffd\ufffd")], []),
    ],
)
def test_a_gpu_without_an_identity_of_its_own_is_skipped(
    bench: Bench,
    caplog: pytest.LogCaptureFixture,
    uuids: tuple[bytes, ...],
    kept: list[tuple[str, str]],
    skipped: list[str],
) -> None:
    """Two GPUs under one UUID would make duplicate series; bytes that are no text are shown as such."""
    for uuid in uuids:
        bench.fake.add_gpu(uuid=uuid)
    source = bench.source()
    assert listed(source.open()) == kept
    bench.fake.advance(30)
    assert listed(source.scan()) == kept
    assert caplog.messages == skipped
    assert len(source.readers()) == len(kept)


def test_a_name_that_is_no_utf8_is_shown_with_replacement_characters(bench: Bench) -> None:
    """By itself pynvml would raise UnicodeDecodeError."""
    bench.fake.add_gpu(name=b"NVIDIA \xff\xfe X", serial=b"\x80")
    reader = bench.opened().readers()[0]
    description = reader.describe()[reader.uuids[0]]
    assert (description.name, description.serial) == ("NVIDIA \ufffd\ufffd X", "\ufffd")


def kernel_lists(bench: Bench, *addresses: str) -> Path:
    """/proc/driver/nvidia/gpus of the kernel module."""
    folder = bench.folder / "proc" / "driver" / "nvidia" / "gpus"
    for address in addresses:
        (folder / address).mkdir(parents=True, exist_ok=True)
    return folder


def test_a_gpu_that_only_the_kernel_module_sees_asks_for_a_fresh_start(bench: Bench) -> None:
    """NVML counts a hot-plugged GPU after nvmlInit only; opened again, all is well."""
    bench.fake.raw.enumerate_at_init = 1
    bench.fake.add_gpu(uuid="GPU-a")
    kernel_lists(bench, "0000:10:00.0")
    source = bench.opened()
    assert len(source.scan().gpus) == 1
    bench.fake.add_gpu(uuid="GPU-b")
    kernel_lists(bench, "0000:11:00.0")
    with pytest.raises(GpuLost):
        source.scan()
    source.close()
    again = bench.source()
    assert len(again.open().gpus) == 2
    assert len(again.scan().gpus) == 2


def test_gpus_of_the_host_that_a_container_may_not_use_are_no_reason_to_start_afresh(bench: Bench) -> None:
    """The kernel's list shows them from the beginning and for ever."""
    bench.fake.add_gpu()
    kernel_lists(bench, "0000:10:00.0", "0000:11:00.0", "0000:12:00.0")
    source = bench.opened()
    for _ in range(3):
        bench.fake.advance(31)
        assert len(source.scan().gpus) == 1


def test_a_gpu_leaving_the_kernels_list_makes_the_scan_look_closer(bench: Bench) -> None:
    """Even while NVML still counts it."""
    bench.fake.add_gpu()
    folder = kernel_lists(bench, "0000:10:00.0", "0000:11:00.0")
    source = bench.opened()
    bench.fake.reset_calls()
    (folder / "0000:11:00.0").rmdir()
    source.scan()
    assert bench.fake.calls("nvmlDeviceGetUUID") == 1


def test_a_count_that_fails_for_once_changes_nothing(bench: Bench) -> None:
    """One that is refused for good makes the driver unavailable."""
    bench.fake.add_gpu()
    source = bench.opened()
    bench.fake.fault("nvmlDeviceGetCount_v2", code=77)
    assert len(source.scan().gpus) == 1
    bench.fake.fault("nvmlDeviceGetCount_v2", code=4)
    with pytest.raises(Unavailable) as caught:
        source.scan()
    assert caught.value.reason == "no_permission"


def test_an_abandoned_source_of_many_scans_keeps_no_readers(bench: Bench) -> None:
    """Readers that the node has closed are forgotten, however often a GPU comes and goes."""
    bench.fake.add_gpu()
    bench.fake.add_gpu()
    source = bench.opened()
    for order in ([0], [0, 1]) * 20:
        before = set(source.readers())
        bench.fake.order(order)
        source.scan()
        for reader in before - set(source.readers()):
            reader.close()
    assert len(source._readers) <= 3


def test_a_lost_gpu_that_is_described_again_and_again_costs_no_memory(bench: Bench) -> None:
    """The node asks at every tick until it answers."""
    bench.fake.add_gpu()
    source = bench.opened()
    reader = source.readers()[0]
    reader.describe()
    bench.fake.fault("*", gpu=0, code=15)
    sizes = set()
    for _ in range(5):
        with pytest.raises(SourceError):
            reader.describe()
        sizes.add(len(source._readers[0]._device._forget))
    assert len(sizes) == 1
