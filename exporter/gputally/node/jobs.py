"""Books every GPU's tick to those who used it: who was there, how it is divided, where it is kept.

Between the sampler, which brings ticks, and the rooms that know jobs (identity), divide (attribution/split)
and keep the books (attribution/book). Used by the sampler's thread only.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any

from gputally.model import FastReading, Instant, Ledger, MigInstance, ProcessReading
from gputally.model.clock import NS_PER_SECOND
from gputally.node.attribution.book import Book
from gputally.node.attribution.idle import Baseline, idle_w, observe
from gputally.node.attribution.parties import (
    EXPORTER_DOWN,
    GAP,
    NO_PROCESS,
    Booking,
    Occupancy,
    Partition,
    Share,
    Split,
    Tenant,
)
from gputally.node.attribution.split import split
from gputally.node.counters import Tick
from gputally.node.identity.protocol import Allocation, Identities, Sighting
from gputally.node.roster import Entry

logger = logging.getLogger(__name__)
BRIDGE_NS = 60 * NS_PER_SECOND  # a gap as long as this is nobody's even if nobody came or left meanwhile
DEFAULT_SLICES = 7  # of a card with MIG that does not say


@dataclass(slots=True)
class _Seat:
    """What is remembered of one GPU between two ticks."""

    index: str = ""
    baseline: Baseline = field(default_factory=Baseline)
    idle_watts: float = 0.0  # as used for the latest tick; 0 = unknown
    method: str = ""
    present: dict[int, tuple[Sighting | None, ProcessReading]] = field(default_factory=dict)  # by PID


class Jobs:
    """Attribution of one node's GPUs."""

    def __init__(
        self, identities: Identities, book: Book, policy: str, configured_idle_w: Mapping[str, float]
    ) -> None:
        self.identities = identities
        self._book, self._policy = book, policy
        self._configured_idle_w = configured_idle_w
        self._seats: dict[str, _Seat] = {}
        self._allocations: Sequence[Allocation] = ()
        self._failed = ""  # what the latest split raised

    def begin(self, now: Instant) -> None:
        """Open a tick: ask the schedulers what belongs to whom."""
        self._allocations = self.identities.allocations(now)
        for allocation in self._allocations:
            self._book.saw(allocation.sighting, now)

    def took(self, entry: Entry, tick: Tick, at: Instant) -> None:
        """Divide what a reading added to a GPU's counters. Never raises: what fails is nobody's energy."""
        uuid = entry.gpu.uuid
        seat = self._seats.setdefault(uuid, _Seat())
        seat.index = entry.gpu.index
        try:
            division = self._divide(seat, entry, tick, at)
        except Exception as error:
            if self._failed != repr(error):
                logger.exception("attribution failed; the energy of the tick is nobody's")
                self._failed = repr(error)
            division = _nobodys(tick)
        else:
            self._failed = ""
        seat.method = division.method
        self._book.take(uuid, division, at)

    @property
    def failed(self) -> str:
        """What goes wrong in attribution at present; "" = nothing."""
        return self._failed

    def end(self, now: Instant) -> None:
        """Close a tick: find out which jobs have ended."""
        self._book.absent(now, self.identities.end_of)

    def job_ids(self, uuid: str) -> dict[int, str]:
        """PID -> job of the processes on a GPU at its latest reading."""
        seat = self._seats.get(uuid)
        return (
            {}
            if seat is None
            else {pid: seen.job.job_id for pid, (seen, _) in seat.present.items() if seen is not None}
        )

    def ledger(self) -> Ledger:
        """All that is published."""
        index_of = {uuid: seat.index for uuid, seat in self._seats.items()}
        return replace(
            self._book.ledger(index_of),
            idle_watts={(one.index, u): one.idle_watts for u, one in self._seats.items() if one.idle_watts},
            methods={(one.index, u): one.method for u, one in self._seats.items() if one.method},
            policy=self._policy,
            conflicts=dict(self.identities.conflicts()),
        )

    def to_json(self) -> dict[str, Any]:
        """What a restart must not forget."""
        return {
            "book": self._book.to_json(),
            "idle": {uuid: [seat.index, seat.baseline.to_json()] for uuid, seat in self._seats.items()},
        }

    def restore(self, data: object, now: Instant, *, clean: bool, same_boot: bool) -> None:
        """Go on from what `to_json` wrote. What makes no sense is left out and said."""
        data = data if isinstance(data, dict) else {}
        for line in self._book.restore(data.get("book"), now, clean=clean, same_boot=same_boot):
            logger.info("%s", line)
        idle = data.get("idle")
        for uuid, stored in idle.items() if isinstance(idle, dict) else ():
            try:
                index, baseline = stored
                self._seats[str(uuid)] = _Seat(str(index), Baseline.from_json(baseline))
            except (TypeError, ValueError) as error:
                logger.warning("idle baseline of %s not usable: %s", uuid, error)

    def _divide(self, seat: _Seat, entry: Entry, tick: Tick, at: Instant) -> Split:
        fast = entry.fast
        before = seat.present
        here = self._present(fast, at)
        seat.present = here or {}
        mig = bool(entry.slow is not None and entry.slow.mig_enabled)
        allocated = self._allocated(entry)
        occupied = here is None or bool(here) or bool(before) or bool(allocated)
        watched = tick.kind == "tick"
        seat.baseline = observe(
            seat.baseline,
            energy_mj=tick.delta_mj,
            covers_ns=tick.covers_ns,
            occupied=occupied or not watched,
            mig=mig,
        )
        seat.idle_watts = idle_w(seat.baseline, mig=mig, configured=self._configured(entry))
        bridged = tick.cause in {"missed", "late"} and tick.dt_ns <= BRIDGE_NS and _same(before, here)
        booking = Booking(
            energy_mj=tick.delta_mj,
            covers_ns=tick.covers_ns,
            dt_ns=tick.dt_ns,
            busy_ns=tick.busy_ns,
            idle_w=seat.idle_watts,
            cause="" if watched or bridged or tick.kind == "first" else _cause(tick),
        )
        occupancy = Occupancy(
            tenants=None if here is None else _tenants(here, before, fast),
            allocated=allocated,
            partitions=_partitions(entry.slow.mig_instances) if mig and entry.slow is not None else (),
            slices=_slices(entry),
        )
        return split(booking, occupancy, self._policy)

    def _present(
        self, fast: FastReading | None, at: Instant
    ) -> dict[int, tuple[Sighting | None, ProcessReading]] | None:
        """The processes on a GPU and whose they are; None where the driver lists none."""
        if fast is None or fast.processes is None:
            return None
        readings = {reading.pid: reading for reading in fast.processes}
        seen = self.identities.sightings(readings.keys(), at)
        for sighting in {sighting.job.job_id: sighting for sighting in seen.values()}.values():
            self._book.saw(sighting, at)
        return {pid: (seen.get(pid), reading) for pid, reading in readings.items()}

    def _allocated(self, entry: Entry) -> tuple[str, ...]:
        """The jobs to which a scheduler gave the whole GPU."""
        minor = entry.description.minor_number if entry.description is not None else None
        number = minor if minor is not None else int(entry.gpu.index) if entry.gpu.index.isdigit() else None
        return tuple(
            dict.fromkeys(
                one.sighting.job.job_id
                for one in self._allocations
                if entry.gpu.uuid in one.uuids or (number is not None and number in one.minors)
            )
        )

    def _configured(self, entry: Entry) -> float | None:
        """The baseline that the configuration gives a GPU: by UUID, else by the first glob of its name."""
        given = self._configured_idle_w
        if entry.gpu.uuid in given:
            return given[entry.gpu.uuid]
        name = entry.description.name if entry.description is not None else ""
        return next((watts for pattern, watts in given.items() if name and fnmatchcase(name, pattern)), None)


Present = dict[int, tuple[Sighting | None, ProcessReading]]


def _cause(tick: Tick) -> str:
    return EXPORTER_DOWN if tick.cause in {"resumed", "reboot"} else GAP


def _nobodys(tick: Tick) -> Split:
    reason = NO_PROCESS if tick.kind == "tick" else _cause(tick)
    busy_ns = min(tick.busy_ns, tick.dt_ns)
    return Split((Share(None, reason, tick.delta_mj, 0, tick.dt_ns, busy_ns),), "none")


def _same(before: Present, here: Present | None) -> bool:
    """Whether the same processes are there as at the reading before, all of them known."""
    if not before or here is None or before.keys() != here.keys():
        return False
    return all(seen is not None and seen == here[pid][0] for pid, (seen, _) in before.items())


def _tenants(here: Present, before: Present, fast: FastReading | None) -> tuple[Tenant, ...]:
    """Who is there, and who left since the tick before: its last part of a tick is still its own."""
    gone = {reading.pid: reading.sm_ratio for reading in (fast.departed if fast is not None else ())}
    shares = any(reading.sm_ratio is not None for _, reading in here.values()) or bool(gone)
    tenants = [_tenant(seen, reading, reading.sm_ratio) for seen, reading in here.values()]
    tenants += [
        _tenant(seen, reading, gone.get(pid, 0.0 if shares else None))
        for pid, (seen, reading) in before.items()
        if pid not in here or here[pid][0] != seen
    ]
    return tuple(tenants)


def _tenant(seen: Sighting | None, reading: ProcessReading, sm_ratio: float | None) -> Tenant:
    return Tenant(
        job_id=seen.job.job_id if seen is not None else None,
        sm_ratio=sm_ratio,
        partition=None if reading.gpu_instance_id is None else str(reading.gpu_instance_id),
        scheduled=seen is not None and seen.scheduled,
    )


def _partitions(instances: Sequence[MigInstance]) -> tuple[Partition, ...]:
    """GPU instances from compute instances, of which one may hold several."""
    by_gpu_instance: dict[str, list[MigInstance]] = {}
    for instance in instances:
        by_gpu_instance.setdefault(instance.gpu_instance_id, []).append(instance)
    return tuple(
        Partition(
            name,
            slices=sum(part.compute_slices or 0 for part in parts) or 1,
            active_ratio=_activity(parts),
        )
        for name, parts in by_gpu_instance.items()
    )


def _activity(parts: Sequence[MigInstance]) -> float | None:
    known = [part.sm_active_ratio for part in parts if part.sm_active_ratio is not None]
    return sum(known) / len(known) if len(known) == len(parts) and known else None


def _slices(entry: Entry) -> int:
    slices = entry.description.mig_slices if entry.description is not None else None
    return slices or DEFAULT_SLICES
