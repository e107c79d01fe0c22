"""GPUs that are booked: for whom, from when until when. It is observed here and enforced by nobody."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from gputally.model.market import Series

STATES = ("pending", "active", "completed", "cancelled")
ANY = "any"  # stands for the GPUs of a booking that names none


@dataclass(frozen=True, slots=True)
class Reservation:
    """One booking, of one host, for the half-open interval [start, end). Times are Unix nanoseconds."""

    id: str
    team: str
    users: tuple[str, ...]  # who may run there, beside the team's own members
    host: str  # as Prometheus calls the machine, without its port
    gpus: tuple[str, ...]  # indexes or UUIDs as written; empty where only a number is booked
    count: int  # of GPUs, named or not
    start_ns: int
    end_ns: int
    note: str = ""
    cancelled_ns: int | None = None  # from then on it holds nothing
    price_per_gpu_hour: Decimal | None = None  # None: nothing is charged
    currency: str = ""

    @property
    def until_ns(self) -> int:
        """Until when it holds its GPUs; its start, where it was cancelled before."""
        if self.cancelled_ns is None:
            return self.end_ns
        return max(self.start_ns, min(self.end_ns, self.cancelled_ns))

    def state(self, now_ns: int) -> str:
        """One of STATES."""
        if self.cancelled_ns is not None and now_ns >= self.cancelled_ns:
            return "cancelled"
        if now_ns < self.start_ns:
            return "pending"
        return "active" if now_ns < self.end_ns else "completed"


@dataclass(frozen=True, slots=True)
class Policy:
    """What may be booked at all. None: no such limit."""

    min_duration_ns: int | None = None
    max_duration_ns: int | None = None
    horizon_ns: int | None = None  # how far ahead a booking may begin; looked at when one is made
    max_gpus_per_team: int | None = None  # at any one time


_ANYTHING = Policy()


@dataclass(frozen=True, slots=True)
class Book:
    """All bookings, in the order of the file."""

    reservations: tuple[Reservation, ...] = ()
    policy: Policy = _ANYTHING
    # Host -> its GPUs by index, as UUIDs where they are told, else as indexes. None: not declared.
    inventory: Mapping[str, tuple[str, ...]] | None = None
    price_per_gpu_hour: Decimal | None = None
    currency: str = ""
    lines: Mapping[str, int] = field(default_factory=dict, compare=False)  # id -> line of the file

    def find(self, name: str) -> Reservation | None:
        """The booking of that id."""
        return next((one for one in self.reservations if one.id == name), None)


@dataclass(frozen=True, slots=True, eq=False)
class ReservationFigures:
    """What a scrape shows of reservations: family -> series. Equal only to itself: texts are kept by it."""

    families: Mapping[str, Series]
