"""What bookings mean at an instant, as series, and until when that holds. Pure: the clock is handed in."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal

from gputally.config.teams import TeamRule
from gputally.model.clock import NS_PER_SECOND
from gputally.model.reservation import ANY, Book, Reservation, ReservationFigures
from gputally.site.reservations.hours import charged

NEVER_NS = 2**63
SHOWN_AFTER_NS = 7 * 86_400 * NS_PER_SECOND  # how long what is over is still shown
MOST_SHOWN = 200
# Series, of a book that is written to be large: far below what Prometheus takes of a scrape.
MOST_GPUS = MOST_USERS = 15_000
_NOTHING = Decimal(0)
_GLOB = frozenset("*?[")

Families = Mapping[str, dict[tuple[str, ...], float]]


class Calendar:
    """A book laid on the clock. Figures are made anew at the instants at which something begins or ends."""

    def __init__(
        self, book: Book, teams: Iterable[TeamRule] = (), *, conflicts: int = 0, is_valid: bool = True
    ) -> None:
        """`conflicts` and `is_valid` are of the file as it is now, of which `book` is the last good state."""
        self._book, self._conflicts, self._is_valid = book, conflicts, is_valid
        self._members = {team.name: tuple(filter(_is_name, team.users)) for team in teams}
        self._changes = sorted({at_ns for one in book.reservations for at_ns in _changes(one)})
        self._from_ns = self._until_ns = 0
        self._figures = ReservationFigures({})

    def at(self, now_ns: int) -> tuple[ReservationFigures, int]:
        """The figures of an instant, and the next at which there are others; the same object until then."""
        if not self._from_ns <= now_ns < self._until_ns:
            earlier = [at_ns for at_ns in self._changes if at_ns <= now_ns]
            self._from_ns = earlier[-1] if earlier else 0
            self._until_ns = next((at_ns for at_ns in self._changes if at_ns > now_ns), NEVER_NS)
            self._figures = ReservationFigures(self._families(now_ns))
        return self._figures, self._until_ns

    def _families(self, now_ns: int) -> Families:
        found: dict[str, dict[tuple[str, ...], float]] = defaultdict(dict)
        active = [one for one in self._book.reservations if one.state(now_ns) == "active"]
        short = {one.id for one in active if not self._add_active(found, one)}
        shown, dropped = _shown(self._book.reservations, now_ns)
        for one in shown:
            _add_shown(found, one, now_ns)
        found["gpu_reservation_config_valid"][()] = int(self._is_valid)
        found["gpu_reservation_conflicts"][()] = self._conflicts
        found["gpu_reservation_dropped"][()] = len(dropped | short)
        return found

    def _add_active(self, found: Families, one: Reservation) -> bool:
        """Whether there was room for all of it. Users are shown all or none: of none nothing is concluded."""
        gpus, users = one.gpus or (ANY,), {*one.users, *self._members.get(one.team, ())}
        active, allowed = found["gpu_reservation_active"], found["gpu_reservation_allowed"]
        if len(active) + len(gpus) > MOST_GPUS:
            return False
        for gpu in gpus:
            active[one.id, one.host, gpu, one.team] = 1 if one.gpus else one.count
        has_room = len(allowed) + len(users) <= MOST_USERS
        for user in sorted(users) if has_room else ():
            allowed[one.id, one.host, user] = 1
        if one.price_per_gpu_hour is not None:
            per_hour = one.price_per_gpu_hour * one.count
            found["gpu_reservation_cost_per_hour"][one.id, one.team, one.currency] = float(per_hour)
        return has_room


def _add_shown(found: Families, one: Reservation, now_ns: int) -> None:
    labels = (one.id, one.host, one.team)
    found["gpu_reservation_state"][(*labels, one.state(now_ns))] = 1
    found["gpu_reservation_gpus"][labels] = one.count
    found["gpu_reservation_start_timestamp_seconds"][labels] = one.start_ns / NS_PER_SECOND
    found["gpu_reservation_end_timestamp_seconds"][labels] = one.until_ns / NS_PER_SECOND
    if one.price_per_gpu_hour is not None:
        total = sum((part.amount or _NOTHING for part in charged([one], 0, NEVER_NS)), _NOTHING)
        found["gpu_reservation_cost"][one.id, one.team, one.currency] = float(total)


def _shown(reservations: Iterable[Reservation], now_ns: int) -> tuple[list[Reservation], set[str]]:
    """Which have room: active ones, those that begin next, those that ended last; and ids of the others."""

    def rank(one: Reservation) -> tuple[int, int]:
        state = one.state(now_ns)
        if state == "active":
            return 0, one.until_ns
        return (1, one.start_ns) if state == "pending" else (2, -_over_ns(one))

    wanted = [one for one in reservations if now_ns < _over_ns(one) + SHOWN_AFTER_NS]
    chosen = {one.id for one in sorted(wanted, key=rank)[:MOST_SHOWN]}
    return [one for one in wanted if one.id in chosen], {one.id for one in wanted} - chosen


def _over_ns(one: Reservation) -> int:
    """When it became history: its end, or when it was cancelled, though that was before its start."""
    return one.end_ns if one.cancelled_ns is None else one.cancelled_ns


def _changes(one: Reservation) -> Iterator[int]:
    yield one.start_ns
    yield _over_ns(one)
    yield _over_ns(one) + SHOWN_AFTER_NS


def _is_name(pattern: str) -> bool:
    """Whether a pattern means one user, whom a rule can compare with."""
    return not _GLOB & set(pattern)
