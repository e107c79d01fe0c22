"""Bookings that cannot be kept together: one GPU twice, more GPUs than a host has or than a team may hold.

Intervals are half-open: who ends at ten and who begins at ten do not meet. Pure.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter

from gputally.model.reservation import Book, Reservation

_BY_START = attrgetter("start_ns", "until_ns")


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two bookings and what both want. `second` begins no earlier than `first`."""

    first: Reservation
    second: Reservation
    what: str  # "GPU 0 of gpu01"
    from_ns: int
    until_ns: int


def conflicts(book: Book) -> tuple[Conflict, ...]:
    """All of them, by the time at which they begin; of more than two that meet, each with one before it."""
    by_host: dict[str, list[Reservation]] = defaultdict(list)
    for one in sorted(book.reservations, key=_BY_START):
        if one.until_ns > one.start_ns:
            by_host[one.host].append(one)
    found: list[Conflict] = []
    for host, bookings in by_host.items():
        gpus = (book.inventory or {}).get(host)
        same = list(_same_gpu(host, bookings, gpus))
        met = {(one.first.id, one.second.id) for one in same}
        found += same
        found += [one for one in _too_many(host, bookings, gpus) if (one.first.id, one.second.id) not in met]
    return tuple(sorted(found, key=attrgetter("from_ns", "first.id", "second.id")))


def index_of(gpu: str, gpus: Sequence[str] | None) -> str:
    """A GPU by one name, however it was written: its index, where the inventory tells it."""
    if gpus is None or gpu.isdecimal():
        return gpu
    return str(gpus.index(gpu)) if gpu in gpus else gpu


def over_limit(book: Book) -> tuple[Reservation, int, int] | None:
    """The first booking with which its team holds more GPUs than it may: it, how many then, and from when."""
    most = book.policy.max_gpus_per_team
    if most is None:
        return None
    held: dict[str, int] = defaultdict(int)
    for at_ns, change, one in _steps(book.reservations):
        held[one.team] += change
        if change > 0 and held[one.team] > most:
            return one, held[one.team], at_ns
    return None


def _steps(bookings: Iterable[Reservation]) -> Iterator[tuple[int, int, Reservation]]:
    """When GPUs are taken and given back: what ends at an instant before what begins at it."""
    steps = []
    for one in bookings:
        if one.until_ns > one.start_ns:
            steps += [(one.start_ns, one.count, one), (one.until_ns, -one.count, one)]
    yield from sorted(steps, key=lambda step: (step[0], step[1] > 0))


def _same_gpu(host: str, bookings: Sequence[Reservation], gpus: Sequence[str] | None) -> Iterator[Conflict]:
    last: dict[str, Reservation] = {}  # GPU -> of those that began, the one that holds it longest
    told: set[tuple[str, str]] = set()
    for one in bookings:
        for written in one.gpus:
            gpu = index_of(written, gpus)
            for other_gpu, other in _meeting(gpu, last, gpus):
                if other.until_ns > one.start_ns and (other.id, one.id) not in told:
                    told.add((other.id, one.id))
                    until_ns = min(one.until_ns, other.until_ns)
                    yield Conflict(other, one, _shared(host, gpu, other_gpu), one.start_ns, until_ns)
        for written in one.gpus:
            gpu = index_of(written, gpus)
            if gpu not in last or last[gpu].until_ns < one.until_ns:
                last[gpu] = one


def _meeting(
    gpu: str, last: Mapping[str, Reservation], gpus: Sequence[str] | None
) -> Iterator[tuple[str, Reservation]]:
    """Who may hold this very GPU: without an inventory nobody knows which index a UUID has."""
    if gpus is not None:
        if gpu in last:
            yield gpu, last[gpu]
        return
    for other, holder in last.items():
        if other == gpu or other.isdecimal() != gpu.isdecimal():
            yield other, holder


def _shared(host: str, gpu: str, other: str) -> str:
    if gpu == other:
        return f"GPU {gpu} of {host}"
    return f"what may be one GPU of {host}, {other} and {gpu} (an inventory of UUIDs would tell)"


def _too_many(host: str, bookings: Sequence[Reservation], gpus: Sequence[str] | None) -> Iterator[Conflict]:
    if gpus is None or all(one.gpus for one in bookings):
        return
    active: list[Reservation] = []
    for at_ns, change, one in _steps(bookings):
        if change < 0:
            active.remove(one)
            continue
        wanted = sum(other.count for other in active) + one.count
        if wanted > len(gpus) and active:
            other = max(active, key=attrgetter("until_ns"))
            until_ns = min(one.until_ns, other.until_ns)
            yield Conflict(
                other, one, f"{wanted} GPUs together of {host}, which has {len(gpus)},", at_ns, until_ns
            )
        active.append(one)
