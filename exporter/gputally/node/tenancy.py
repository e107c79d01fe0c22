"""Who was on a GPU in a tick, from what the driver lists and who the processes are. Values in, values out."""

from collections.abc import Mapping, Sequence

from gputally.model import FastReading, Instant, MigInstance, ProcessReading
from gputally.model.clock import NS_PER_SECOND
from gputally.node.attribution.parties import Partition, Tenant
from gputally.node.identity.protocol import Sighting

Key = tuple[int, int | None]  # PID, MIG GPU instance
Present = dict[Key, tuple[Sighting | None, ProcessReading]]
Departed = dict[Key, tuple[Sighting | None, ProcessReading, Instant]]  # and when it was missed first
TOLD_NS = 2 * NS_PER_SECOND  # for which samples of a process that has left may still come


def departed(known: Departed, before: Present, here: Present, at: Instant) -> Departed:
    """Those who left a GPU lately. A PID that somebody else has now has left, too."""
    left = {
        key: one for key, one in known.items() if key not in here and at.boot_ns - one[2].boot_ns <= TOLD_NS
    }
    for key, (seen, reading) in before.items():
        if key not in here or here[key][0] != seen:
            left[key] = (seen, reading, at)
    return left


def tenants(here: Present, left: Departed, fast: FastReading | None, at: Instant) -> tuple[Tenant, ...]:
    """Who is there, and who has left: the last part of a tick is still its own.

    Who left in this tick was there for some of it, samples or not; later only new samples speak for him.
    """
    told = {reading.pid: reading.sm_ratio for reading in (fast.departed if fast is not None else ())}
    shares = bool(told) or any(reading.sm_ratio is not None for _, reading in here.values())
    found = [_tenant(seen, reading, reading.sm_ratio) for seen, reading in here.values()]
    for (pid, _), (seen, reading, missed) in left.items():
        if pid in told or missed == at:
            found.append(_tenant(seen, reading, told.get(pid, 0.0 if shares else None)))
    return tuple(found)


def same(before: Present, here: Present | None) -> bool:
    """Whether the same processes are there as at the reading before, all of them known; or again nobody."""
    known = all(seen is not None for seen, _ in before.values())
    return known and here is not None and unchanged(before, here)


def unchanged(before: Present, here: Present) -> bool:
    """Whether the same processes are there as before, and each works for the same job."""
    return {key: _job_id(seen) for key, (seen, _) in before.items()} == {
        key: _job_id(seen) for key, (seen, _) in here.items()
    }


def partitions(
    instances: Sequence[MigInstance], given: Mapping[str, tuple[str, ...]]
) -> tuple[Partition, ...]:
    """GPU instances from compute instances, of which one may hold several. `given`: MIG UUID -> jobs."""
    by_gpu_instance: dict[str, list[MigInstance]] = {}
    for instance in instances:
        by_gpu_instance.setdefault(instance.gpu_instance_id, []).append(instance)
    return tuple(
        Partition(
            name,
            slices=parts[0].gpu_instance_slices or sum(part.compute_slices or 0 for part in parts) or 1,
            active_ratio=parts[0].sm_active_ratio,  # of the GPU instance: the same on all
            allocated=tuple(dict.fromkeys(job for part in parts for job in given.get(part.uuid, ()))),
        )
        for name, parts in by_gpu_instance.items()
    )


def _tenant(seen: Sighting | None, reading: ProcessReading, sm_ratio: float | None) -> Tenant:
    return Tenant(
        job_id=_job_id(seen),
        sm_ratio=sm_ratio,
        partition=None if reading.gpu_instance_id is None else str(reading.gpu_instance_id),
        scheduled=seen is not None and seen.scheduled,
    )


def _job_id(seen: Sighting | None) -> str | None:
    return seen.job.job_id if seen is not None else None
