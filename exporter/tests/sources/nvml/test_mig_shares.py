"""What a split of a sliced board's energy needs: slices, activity, and in which partition each process is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gputally.model import ProcessReading
from tests.fakenvml import Instance, Process

if TYPE_CHECKING:
    from gputally.model import Description
    from gputally.node.sources.nvml import NvmlSource

    from .conftest import Bench

# 1g + 2g + 4g, the last one shared by two compute instances that leave one of its slices unused
BOARD = [
    Instance(9, 0, "MIG-1g", "MIG 1g.10gb", gpu_slices=1, compute_slices=1, gpm={2: 0.0}),
    Instance(5, 0, "MIG-2g", "MIG 2g.20gb", gpu_slices=2, compute_slices=2, gpm={2: 75.0}),
    Instance(1, 0, "MIG-4g-a", "MIG 1c.4g.40gb", gpu_slices=4, compute_slices=1, gpm={2: 30.0}),
    Instance(1, 1, "MIG-4g-b", "MIG 2c.4g.40gb", gpu_slices=4, compute_slices=2, gpm={2: 30.0}),
]
PROCESSES = [
    Process(21, 1 << 30, gpu_instance_id=5, compute_instance_id=0),
    Process(31, 1 << 30, gpu_instance_id=1, compute_instance_id=0),
    Process(32, 1 << 30, gpu_instance_id=1, compute_instance_id=1),
]


def description_of(source: NvmlSource) -> Description:
    """Of the only GPU."""
    (reader,) = source.readers()
    return reader.describe()[reader.uuids[0]]


@pytest.mark.parametrize("gpm", [True, False])
def test_a_board_of_1g_2g_and_4g(bench: Bench, *, gpm: bool) -> None:
    """Slices of a GPU instance are not the sum of its compute instances'; one instance is without process."""
    gpu = bench.fake.add_gpu()
    gpu.slice(BOARD)
    gpu.set_processes(PROCESSES)
    reader = bench.reader(gpm=gpm)
    reading = bench.tick(reader, 5, slow=True)
    assert reading.slow is not None
    assert [
        (p.gpu_instance_id, p.compute_instance_id, p.compute_slices, p.gpu_instance_slices, p.sm_active_ratio)
        for p in reading.slow.mig_instances
    ] == [
        ("9", "0", 1, 1, 0.0 if gpm else None),
        ("5", "0", 2, 2, 0.75 if gpm else None),
        ("1", "0", 1, 4, 0.3 if gpm else None),
        ("1", "1", 2, 4, 0.3 if gpm else None),
    ]
    assert bench.tick(reader).fast.processes == (
        ProcessReading(21, "compute", 1 << 30, None, 5),
        ProcessReading(31, "compute", 1 << 30, None, 1),
        ProcessReading(32, "compute", 1 << 30, None, 1),
    )


@pytest.mark.parametrize("slices", [7, 4])
def test_the_slices_of_the_board_are_told_while_it_is_sliced(bench: Bench, slices: int) -> None:
    """7 on an H100, 4 on an A30; the driver says 0 while MIG is off, which is no number of slices."""
    gpu = bench.fake.add_gpu(mig_maximum=slices)
    source = bench.opened()
    assert description_of(source).mig_slices is None
    source.close()
    gpu.slice(BOARD[:1])
    source.open()
    assert description_of(source).mig_slices == slices


@pytest.mark.parametrize("profile", ["rtx4090", "t4", "p100"])
def test_a_card_that_cannot_be_sliced_has_no_slices(bench: Bench, profile: str) -> None:
    """And is not asked how many."""
    bench.fake.add_gpu(profile)
    source = bench.opened()
    assert description_of(source).mig_slices is None
    assert "mig_slices" not in description_of(source).absent
    assert bench.fake.calls("nvmlDeviceGetMaxMigDeviceCount") == 0


def test_a_board_that_is_sliced_in_mid_run_is_described_again(bench: Bench) -> None:
    """By another reader, since one describes itself once. Its minor number may have changed as well."""
    gpu = bench.fake.add_gpu(mig_maximum=4)
    source = bench.opened()
    (first,) = source.readers()
    assert (description_of(source).mig_slices, description_of(source).minor_number) == (None, 0)
    bench.tick(first, slow=True)
    gpu.slice(BOARD[:1])
    gpu.set(minor=3)
    bench.tick(first, 6, slow=True)
    source.scan()
    (second,) = source.readers()
    assert second.key != first.key
    assert (description_of(source).mig_slices, description_of(source).minor_number) == (4, 3)
    for _ in range(4):
        bench.tick(second, 6, slow=True)
        source.scan()
        assert source.readers() == (second,)
    first.close()
    assert bench.tick(second, slow=True).failed == {}


def test_a_gpu_without_a_minor_number_says_so(bench: Bench) -> None:
    """As under WSL, where there is no /dev/nvidia0."""
    bench.fake.add_gpu()
    bench.fake.fault("nvmlDeviceGetMinorNumber", gpu=0, code=3)
    description = description_of(bench.opened())
    assert (description.minor_number, description.absent["minor_number"]) == (None, "not_supported")


def test_a_minor_number_that_can_be_none_is_dropped(bench: Bench) -> None:
    """All ones."""
    bench.fake.add_gpu(minor=0xFFFFFFFF)
    assert description_of(bench.opened()).minor_number is None
