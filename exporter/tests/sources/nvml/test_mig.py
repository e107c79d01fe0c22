"""MIG: partitions that come and go, what they hold, and what the whole GPU still answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gputally.model import MigInstance
from gputally.node.sources.nvml.mig import profile_of
from tests.fakenvml import Constant, Instance

if TYPE_CHECKING:
    from gputally.model import SlowReading
    from gputally.node.sources.protocol import Reader

    from .conftest import Bench

GIB = 1 << 30


def slow_read(bench: Bench, reader: Reader) -> SlowReading:
    """A slow read, 5 s later."""
    slow = bench.tick(reader, 5, slow=True).slow
    assert slow is not None
    return slow


def test_partitions_are_described_with_their_own_memory(bench: Bench) -> None:
    """IDs as text, for labels; the profile without the card's name."""
    gpu = bench.fake.add_gpu()
    gpu.slice(
        [
            Instance(
                *(1, 0, "MIG-a", "NVIDIA H100 80GB HBM3 MIG 3g.40gb", 40 * GIB, 30 * GIB),
                gpu_slices=3,
                compute_slices=3,
            ),
            Instance(
                *(9, 1, "MIG-b", "NVIDIA H100 80GB HBM3 MIG 1c.2g.20gb", 20 * GIB, GIB),
                gpu_slices=2,
                compute_slices=1,
            ),
        ]
    )
    slow = slow_read(bench, bench.reader())
    assert (slow.mig_enabled, slow.mig_pending) == (True, True)
    assert slow.mig_instances == (
        MigInstance("1", "0", "MIG-a", "3g.40gb", 3, 40 * GIB, 30 * GIB, gpu_instance_slices=3),
        MigInstance("9", "1", "MIG-b", "1c.2g.20gb", 1, 20 * GIB, GIB, gpu_instance_slices=2),
    )


def test_slicing_again_replaces_the_partitions_at_the_next_slow_read(bench: Bench) -> None:
    """The old handles are invalid by then; the board's counters go on."""
    gpu = bench.fake.add_gpu(power=Constant(200))
    gpu.slice([Instance(n, uuid=f"MIG-old-{n}") for n in range(7)])
    reader = bench.reader()
    before = bench.tick(reader).fast.energy_mj
    gpu.slice([Instance(3, uuid="MIG-new", memory_total=40 * GIB)])
    reading = bench.tick(reader, 5, slow=True)
    assert reading.slow is not None
    assert [p.uuid for p in reading.slow.mig_instances] == ["MIG-new"]
    assert (reading.failed, reading.rejected) == ({}, ())
    assert reading.fast.energy_mj == (before or 0) + 1_000_000


@pytest.mark.fault("mig-resliced")
def test_a_partition_behind_a_handle_used_before_is_noticed(bench: Bench) -> None:
    """The driver may hand out an old pointer for a new partition; three slow reads later it is known."""
    gpu = bench.fake.add_gpu()
    gpu.slice([Instance(1, uuid="MIG-old")])
    reader = bench.reader()
    assert slow_read(bench, reader).mig_instances[0].uuid == "MIG-old"
    with gpu.edit() as raw:
        raw.instances[0].uuid = b"MIG-new"
        raw.instances[0].gpu_instance_id = 5
    seen = [slow_read(bench, reader).mig_instances[0] for _ in range(3)]
    assert (seen[-1].uuid, seen[-1].gpu_instance_id) == ("MIG-new", "5")


def test_partitions_made_after_mig_was_off_are_never_taken_for_those_before(bench: Bench) -> None:
    """Not even at the first read, and behind the very same handle."""
    gpu = bench.fake.add_gpu()
    gpu.slice([Instance(1, uuid="MIG-old")])
    generation = gpu.raw.mig_generation
    reader = bench.reader()
    assert slow_read(bench, reader).mig_instances[0].uuid == "MIG-old"
    gpu.unslice()
    assert slow_read(bench, reader).mig_instances == ()
    gpu.slice([Instance(1, uuid="MIG-new")])
    gpu.raw.mig_generation = generation
    assert slow_read(bench, reader).mig_instances[0].uuid == "MIG-new"


def test_readings_that_mig_takes_away_come_back_when_it_is_switched_off(bench: Bench) -> None:
    """Utilisation is not defined on a sliced GPU: absent, not zero; and no verdict for ever."""
    gpu = bench.fake.add_gpu(gpu_percent=40)
    reader = bench.reader()
    assert bench.tick(reader).fast.utilization_ratio == 0.4
    gpu.slice([Instance(1)])
    for _ in range(2):
        reading = bench.tick(reader, slow=True)
        assert reading.failed == {}
    assert reading.fast.utilization_ratio is None
    gpu.unslice()
    bench.tick(reader, slow=True)
    reading = bench.tick(reader, slow=True)
    assert reading.fast.utilization_ratio == 0.4
    assert reading.slow is not None
    assert (reading.slow.mig_enabled, reading.slow.mig_instances) == (False, ())
    assert "encoder" in reading.slow.engine_ratio


def test_gpm_is_measured_for_each_gpu_instance(bench: Bench) -> None:
    """Compute instances of one GPU instance share its figure; buffers go with the partition."""
    gpu = bench.fake.add_gpu()
    gpu.slice([Instance(1, 0, gpm={2: 40.0}), Instance(1, 1, gpm={2: 40.0}), Instance(2, 0, gpm={2: 10.0})])
    reader = bench.reader(gpm=True)
    slow = slow_read(bench, reader)
    assert [p.sm_active_ratio for p in slow.mig_instances] == pytest.approx([0.4, 0.4, 0.1])
    assert bench.fake.raw.gpm_samples == 2 + 2 * 2
    gpu.slice([Instance(2, 0, gpm={2: 90.0})])
    slow_read(bench, reader)
    assert [p.sm_active_ratio for p in slow_read(bench, reader).mig_instances] == [0.9]
    assert bench.fake.raw.gpm_samples == 2 + 2
    reader.close()
    assert bench.fake.raw.gpm_samples == 0


def test_a_partition_without_a_readable_name_is_listed_all_the_same(bench: Bench) -> None:
    """Bytes that are no UTF-8, no profile in it."""
    bench.fake.add_gpu().slice([Instance(4, uuid=b"MIG-\xff", name=b"\xfe\xfe")])
    partition = slow_read(bench, bench.reader()).mig_instances[0]
    assert (partition.uuid, partition.profile) == ("MIG-\ufffd", None)


@pytest.mark.parametrize(
    ("name", "profile"),
    [
        ("NVIDIA A100-SXM4-40GB MIG 1g.5gb+me", "1g.5gb+me"),
        ("MIG 7g.80gb", "7g.80gb"),
        ("", None),
        ("MIG", None),
    ],
)
def test_the_profile_is_the_last_word_of_the_name(name: str, profile: str | None) -> None:
    """As the driver writes it."""
    assert profile_of(name) == profile
