"""When so many GPUs of one host are free for so long: the next slots. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter

from gputally.config.overlaps import index_of
from gputally.model.reservation import Book, Reservation

NEVER_NS = 2**63


@dataclass(frozen=True, slots=True)
class Slot:
    """GPUs of a host that nobody has booked."""

    host: str
    gpus: tuple[str, ...]  # by index, as many as are wanted
    start_ns: int
    end_ns: int  # after the time that is wanted
    until_ns: int | None  # when they are booked; None: nobody has


def slots(book: Book, wanted: int, for_ns: int, now_ns: int, hosts: Sequence[str] = ()) -> list[Slot]:
    """All times at which a slot begins, earliest first. Of hosts without an inventory nothing is known."""
    latest_ns = NEVER_NS if book.policy.horizon_ns is None else now_ns + book.policy.horizon_ns
    found = [
        slot
        for host, gpus in (book.inventory or {}).items()
        if not hosts or host in hosts
        for slot in _of_host(_Host(book, host, gpus, now_ns), wanted, for_ns, now_ns)
        if slot.start_ns <= latest_ns
    ]
    return sorted(found, key=attrgetter("start_ns", "host"))


class _Host:
    """The bookings of one host that are not over."""

    def __init__(self, book: Book, host: str, gpus: tuple[str, ...], now_ns: int) -> None:
        self.name, self._gpus = host, gpus
        self.bookings = sorted(
            (
                one
                for one in book.reservations
                if one.host == host and one.until_ns > max(now_ns, one.start_ns)
            ),
            key=attrgetter("start_ns"),
        )

    def free(self, start_ns: int, end_ns: int) -> tuple[int, tuple[str, ...]]:
        """How many GPUs can be booked throughout, and which of them nobody has booked by name."""
        met = [one for one in self.bookings if one.start_ns < end_ns and one.until_ns > start_ns]
        named = {index_of(gpu, self._gpus) for one in met for gpu in one.gpus}
        points = [start_ns, *(one.start_ns for one in met if one.start_ns > start_ns)]
        busiest = max(_held(met, at_ns) for at_ns in points)
        names = tuple(str(index) for index in range(len(self._gpus)) if str(index) not in named)
        return min(len(self._gpus) - busiest, len(names)), names


def _held(bookings: Sequence[Reservation], at_ns: int) -> int:
    return sum(one.count for one in bookings if one.start_ns <= at_ns < one.until_ns)


def _of_host(host: _Host, wanted: int, for_ns: int, now_ns: int) -> Iterator[Slot]:
    for start_ns in sorted({now_ns, *(one.until_ns for one in host.bookings)}):
        end_ns = start_ns + for_ns
        count, names = host.free(start_ns, end_ns)
        if count >= wanted:
            later = (one.start_ns for one in host.bookings if one.start_ns >= end_ns)
            until_ns = next((at for at in later if host.free(start_ns, at + 1)[0] < wanted), None)
            yield Slot(host.name, names[:wanted], start_ns, end_ns, until_ns)
