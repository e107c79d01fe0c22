"""Times of the calendar as people write them, with their offset from UTC, to and from Unix nanoseconds."""

import re
from datetime import UTC, datetime, timedelta

from gputally.model.clock import NS_PER_SECOND

# The groups are put together again in one form.
_INSTANT = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d)(:\d\d)? ?(Z|z|[+-]\d\d:\d\d)?", re.ASCII)
INSTANT_IS = "a time such as 2026-11-20T09:00:00+01:00"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def shown(at_ns: int) -> str:
    """An instant in a message."""
    return datetime.fromtimestamp(at_ns // NS_PER_SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_instant_ns(text: str) -> int:
    """Read a time of the calendar with its offset.

    Raises:
        ValueError: it is none, or it has no offset; the message says what is missing.
    """
    match = _INSTANT.fullmatch(text)
    if match is None:
        raise ValueError(f"expected {INSTANT_IS}")
    day, minutes, seconds, offset = match.groups()
    if offset is None:
        raise ValueError(f"without an offset from UTC it is another time on every clock: {INSTANT_IS}")
    try:
        at = datetime.fromisoformat(f"{day}T{minutes}{seconds or ':00'}{offset.upper()}")
        since = at - _EPOCH
    except (ValueError, OverflowError):
        raise ValueError(f"no such time; expected {INSTANT_IS}") from None
    if since.days < 0:
        raise ValueError("before 1970")
    if since.days > 365 * 230:
        raise ValueError("after 2199")
    return (since.days * 86400 + since.seconds) * NS_PER_SECOND


def offset_of(text: str) -> timedelta:
    """The offset from UTC of a time that `parse_instant_ns` has read."""
    offset = text[-6:]
    if offset[-1] in "Zz":
        return timedelta(0)
    size = timedelta(hours=int(offset[1:3]), minutes=int(offset[4:]))
    return -size if offset[0] == "-" else size
