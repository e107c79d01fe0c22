"""A file of reservations before and after a change: what is refused, and the new text, read again. Pure."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone

import yaml

from gputally.config.durations import format_ns
from gputally.config.instants import offset_of, shown
from gputally.config.reservations import ConflictError, parse_reservations, say
from gputally.config.strict import parse
from gputally.model.clock import NS_PER_SECOND
from gputally.model.reservation import Book, Reservation
from gputally.site.reservations.edit import LayoutError, Row, with_row, with_value

PAST_NS = 300 * NS_PER_SECOND  # how long ago a new booking may have begun: somebody typed the command
_BOM = b"\xef\xbb\xbf"


class RefusedError(Exception):
    """A change that is not made; one line."""


@dataclass(frozen=True, slots=True)
class Changed:
    """The file after a change, and the booking that is meant."""

    data: bytes
    book: Book
    reservation: Reservation


def add(data: bytes, name: str, row: Row, now_ns: int) -> Changed:
    """Make a booking. `name` is the file's, for messages.

    Raises:
        ConfigError: the file is not right, or not with the new booking.
        RefusedError: the booking begins too early or too late.
    """
    before = parse_reservations(data, name)
    try:
        after = _edited(data, name, lambda text: with_row(text, row))
    except ConflictError as error:
        known = replace(error.book, lines=before.lines)  # the new one stands in no line yet
        raise RefusedError("; ".join(say(conflict, known) for conflict in error.found)) from None
    *others, new = after[1].reservations or (None,)
    if new is None or tuple(others) != before.reservations or not _same_terms(before, after[1]):
        raise _unclear(name)
    if new.start_ns < now_ns - PAST_NS:
        raise RefusedError(f"{new.id} would begin in the past, at {shown(new.start_ns)}")
    horizon_ns = before.policy.horizon_ns
    if horizon_ns is not None and new.start_ns > now_ns + horizon_ns:
        raise RefusedError(
            f"{new.id} would begin more than {format_ns(horizon_ns)} ahead, the policy's horizon"
        )
    return Changed(*after, new)


def extend(data: bytes, name: str, which: str, later_ns: Callable[[int], int], now_ns: int) -> Changed:
    """Give a booking a later end, of its old one, in the offset in which that is written. Raises as `add`."""
    before, old = _find(data, name, which)
    if (state := old.state(now_ns)) not in ("pending", "active"):
        raise RefusedError(f"{which} is {state}: make a new reservation")
    end_ns = later_ns(old.end_ns)
    if end_ns % NS_PER_SECOND:
        raise RefusedError("times of reservations are whole seconds")
    if end_ns <= old.end_ns:
        raise RefusedError(f"{which} ends at {shown(old.end_ns)} already; to end it earlier, cancel it")
    text = written(end_ns, _offset(data, name, which))
    return _with_value(data, name, before, replace(old, end_ns=end_ns), ("end", text))


def cancel(data: bytes, name: str, which: str, now_ns: int) -> Changed:
    """Give a booking back from now on; it stays in the file. Raises as `add`."""
    before, old = _find(data, name, which)
    now_ns -= now_ns % NS_PER_SECOND
    if (state := old.state(now_ns)) not in ("pending", "active") or old.cancelled_ns is not None:
        raise RefusedError(f"{which} is {'cancelled' if old.cancelled_ns is not None else state} already")
    text = written(now_ns, _offset(data, name, which))
    return _with_value(data, name, before, replace(old, cancelled_ns=now_ns), ("cancelled", text))


def written(at_ns: int, offset: timedelta) -> str:
    """An instant as it stands in the file."""
    text = datetime.fromtimestamp(at_ns // NS_PER_SECOND, timezone(offset) if offset else UTC).isoformat()
    return text.replace("+00:00", "Z")


def _find(data: bytes, name: str, which: str) -> tuple[Book, Reservation]:
    before = parse_reservations(data, name)
    found = before.find(which)
    if found is None:
        raise RefusedError(f"no reservation is called {which} in {name}")
    return before, found


def _with_value(data: bytes, name: str, before: Book, meant: Reservation, change: tuple[str, str]) -> Changed:
    try:
        after = _edited(data, name, lambda text: with_value(text, meant.id, *change))
    except ConflictError as error:
        raise RefusedError("; ".join(error.lines)) from None
    expected = tuple(meant if one.id == meant.id else one for one in before.reservations)
    if after[1].reservations != expected or not _same_terms(before, after[1]):
        raise _unclear(name)
    return Changed(*after, meant)


def _edited(data: bytes, name: str, edit: Callable[[str], str]) -> tuple[bytes, Book]:
    """The file with a change, and what is read from it."""
    mark = _BOM if data.startswith(_BOM) else b""
    try:
        text = edit(data[len(mark) :].decode())
    except LayoutError as error:
        raise RefusedError(f"{name} has to be changed by hand: {error}") from None
    except yaml.YAMLError as error:  # a tab, say, with which the stricter of the two parsers cannot do
        why, at = getattr(error, "problem", None) or "not YAML", getattr(error, "problem_mark", None)
        place = f"{name}:{at.line + 1}" if at is not None else name
        raise RefusedError(f"{place} has to be changed by hand: {why}") from None
    changed = mark + text.encode()
    return changed, parse_reservations(changed, name)


def _same_terms(one: Book, other: Book) -> bool:
    return replace(one, reservations=()) == replace(other, reservations=())


def _offset(data: bytes, name: str, which: str) -> timedelta:
    """The offset from UTC in which a booking has its end."""
    for value in parse(data, name).list("reservations"):
        row = value.mapping()
        if row.string("id") == which:
            return offset_of(row.string("end"))
    return timedelta(0)


def _unclear(name: str) -> RefusedError:
    return RefusedError(f"{name} has to be changed by hand: it is written in an unusual way")
