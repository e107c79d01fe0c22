"""Books every GPU's tick to those who used it: who was there, how it is divided, where it is kept.

Between the sampler, which brings ticks, and the rooms that know jobs (identity), divide (attribution/split)
and keep the books (attribution/book). Used by the sampler's thread only.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any

from gputally.model import FastReading, Instant, Ledger, SlowReading
from gputally.model.clock import NS_PER_SECOND
from gputally.node.attribution.book import Book
from gputally.node.attribution.idle import Baseline, idle_w, observe
from gputally.node.attribution.parties import (
    EXPORTER_DOWN,
    GAP,
    NO_PROCESS,
    Booking,
    Occupancy,
    Share,
    Split,
)
from gputally.node.attribution.split import split
from gputally.node.counters import Tick
from gputally.node.identity.protocol import Allocation, Identities
from gputally.node.roster import Entry
from gputally.node.tenancy import Departed, Present, departed, partitions, same, tenants, unchanged

logger = logging.getLogger(__name__)
BRIDGE_NS = 60 * NS_PER_SECOND  # a gap as long as this is nobody's even if nobody came or left meanwhile
DEFAULT_SLICES = 7  # of a card with MIG that does not say


@dataclass(slots=True)
class _Seat:
    """What is remembered of one GPU between two ticks."""

    shown: bool = False
    baseline: Baseline = field(default_factory=Baseline)
    idle_watts: float = 0.0  # as used for the latest tick; 0 = unknown
    method: str = ""
    present: Present = field(default_factory=dict)
    departed: Departed = field(default_factory=dict)
    slow: SlowReading | None = None  # the latest
    before_gap: Present | None = None  # who was there before a gap of which the counter has not told all yet


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
        self._failed: dict[str, str] = {}  # UUID -> what its latest split raised

    def declare(self, teams: Sequence[str]) -> None:
        """Other teams of the configuration."""
        self._book.declare(teams)

    def reprice(self, currency: str, bands: tuple[str, ...]) -> None:
        """Another tariff: the series of its currency and bands begin with zero."""
        self._book.reprice(currency, bands)

    def begin(self, now: Instant) -> None:
        """Open a tick: ask the schedulers what belongs to whom."""
        self._allocations = self.identities.allocations(now)
        for allocation in self._allocations:
            self._book.saw(allocation.sighting, now)

    def took(self, entry: Entry, tick: Tick, at: Instant) -> None:
        """Divide what a reading added to a GPU's counters. Never raises: what fails is nobody's energy."""
        uuid = entry.gpu.uuid
        seat = self._seats.setdefault(uuid, _Seat())
        if not seat.shown:
            self._book.show(uuid)
        seat.shown = True
        try:
            division = self._divide(seat, entry, tick, at)
        except Exception as error:
            if self._failed.get(uuid) != repr(error):
                logger.exception("attribution failed; the energy of GPU %s is nobody's", entry.gpu.index)
                self._failed[uuid] = repr(error)
            division = _nobodys(tick)
        else:
            self._failed.pop(uuid, None)
        seat.method = division.method
        self._book.take(uuid, division, at, tick.priced, busy_known=tick.busy_known)

    @property
    def failed(self) -> str:
        """What goes wrong in attribution at present; "" = nothing."""
        return next(iter(self._failed.values()), "")

    def end(self, now: Instant) -> None:
        """Close a tick: find out which jobs have ended."""
        self._book.absent(now, self.identities.end_of)

    def job_ids(self, uuid: str) -> dict[int, str]:
        """PID -> job of the processes on a GPU at its latest reading."""
        seat = self._seats.get(uuid)
        return (
            {}
            if seat is None
            else {pid: seen.job.job_id for (pid, _), (seen, _) in seat.present.items() if seen is not None}
        )

    def ledger(self, index_of: Mapping[str, str]) -> Ledger:
        """All that is published. `index_of`: uuid -> index of the GPUs that are known now."""
        seats = [(index, uuid, self._seats[uuid]) for uuid, index in index_of.items() if uuid in self._seats]
        return replace(
            self._book.ledger(index_of),
            idle_watts={(index, uuid): one.idle_watts for index, uuid, one in seats if one.idle_watts},
            methods={(index, uuid): one.method for index, uuid, one in seats if one.method},
            policy=self._policy,
            conflicts=dict(self.identities.conflicts()),
        )

    def to_json(self) -> dict[str, Any]:
        """What a restart must not forget."""
        return {
            "book": self._book.to_json(),
            "idle": {uuid: seat.baseline.to_json() for uuid, seat in self._seats.items()},
        }

    def restore(self, data: object, now: Instant, *, clean: bool, same_boot: bool) -> None:
        """Go on from what `to_json` wrote. What makes no sense is left out and said."""
        data = data if isinstance(data, dict) else {}
        for line in self._book.restore(data.get("book"), now, clean=clean, same_boot=same_boot):
            logger.info("%s", line)
        idle = data.get("idle")
        for uuid, stored in idle.items() if isinstance(idle, dict) else ():
            try:
                self._seats[str(uuid)] = _Seat(baseline=Baseline.from_json(stored))
            except ValueError as error:
                logger.warning("idle baseline of %s not usable: %s", uuid, error)

    def _divide(self, seat: _Seat, entry: Entry, tick: Tick, at: Instant) -> Split:
        fast, before = entry.fast, seat.present
        here = self._present(fast, at)
        seat.present = here or {}
        # Of a gap, the energy may come some readings after its end; of a read that hung, the processes.
        before_gap = before if seat.before_gap is None else seat.before_gap
        unsure = seat.before_gap is not None and not unchanged(before_gap, seat.present)
        seat.before_gap = before_gap if entry.state.open_gap else before if tick.cause == "missed" else None
        seat.departed = departed(seat.departed, before, seat.present, at)
        seat.slow = slow = entry.slow or seat.slow  # after a fault it comes some ticks later than the rest
        mig = bool(slow is not None and slow.mig_enabled)
        occupancy = Occupancy(
            tenants=None if here is None else tenants(here, seat.departed, fast, at),
            # With MIG, a scheduler's numbers are those of instances.
            allocated=() if mig else self._given(entry),
            partitions=partitions(slow.mig_instances, self._given_by_uuid()) if mig and slow else (),
            slices=_slices(entry),
        )
        given = bool(occupancy.allocated) or any(part.allocated for part in occupancy.partitions)
        watched = tick.kind == "tick"
        seat.baseline = observe(
            seat.baseline,
            energy_mj=tick.delta_mj,
            covers_ns=tick.covers_ns,
            # Busy without a process: the driver does not list them all, as where we run in a container.
            occupied=here is None or bool(here or before) or given or not watched or tick.busy_ns > 0,
            mig=mig,
        )
        seat.idle_watts = idle_w(seat.baseline, mig=mig, configured=self._configured(entry))
        bridged = _is_short(tick) and same(before_gap, here)
        booking = Booking(
            energy_mj=tick.delta_mj,
            covers_ns=tick.covers_ns,
            dt_ns=tick.dt_ns,
            busy_ns=tick.busy_ns,
            idle_w=seat.idle_watts,
            cause="" if (watched and not unsure) or bridged or tick.kind == "first" else _cause(tick),
        )
        return split(booking, occupancy, self._policy)

    def _present(self, fast: FastReading | None, at: Instant) -> Present | None:
        """The processes on a GPU and whose they are; None where the driver lists none."""
        if fast is None or fast.processes is None:
            return None
        seen = self.identities.sightings(dict.fromkeys(reading.pid for reading in fast.processes), at)
        for sighting in {sighting.job.job_id: sighting for sighting in seen.values()}.values():
            self._book.saw(sighting, at)
        return {
            (reading.pid, reading.gpu_instance_id): (seen.get(reading.pid), reading)
            for reading in fast.processes
        }

    def _given(self, entry: Entry) -> tuple[str, ...]:
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

    def _given_by_uuid(self) -> dict[str, tuple[str, ...]]:
        """The jobs to which a scheduler gave GPUs or MIG instances by UUID."""
        given: dict[str, tuple[str, ...]] = {}
        for one in self._allocations:
            for uuid in one.uuids:
                given[uuid] = (*given.get(uuid, ()), one.sighting.job.job_id)
        return given

    def _configured(self, entry: Entry) -> float | None:
        """The baseline that the configuration gives a GPU: by UUID, else by the first glob of its name."""
        given = self._configured_idle_w
        if entry.gpu.uuid in given:
            return given[entry.gpu.uuid]
        name = entry.description.name if entry.description is not None else ""
        return next((watts for pattern, watts in given.items() if name and fnmatchcase(name, pattern)), None)


def _is_short(tick: Tick) -> bool:
    """Whether a gap may be bridged. Energy that was held back over a long one may be told in a short tick."""
    return tick.cause in {"missed", "late"} and max(tick.dt_ns, tick.covers_ns) <= BRIDGE_NS


def _cause(tick: Tick) -> str:
    return EXPORTER_DOWN if tick.cause in {"resumed", "reboot"} else GAP


def _nobodys(tick: Tick) -> Split:
    reason = NO_PROCESS if tick.kind == "tick" else _cause(tick)
    busy_ns = min(tick.busy_ns, tick.dt_ns)
    return Split((Share(None, reason, tick.delta_mj, 0, tick.dt_ns, busy_ns),), "none")


def _slices(entry: Entry) -> int:
    slices = entry.description.mig_slices if entry.description is not None else None
    return slices or DEFAULT_SLICES
