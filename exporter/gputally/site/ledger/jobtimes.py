"""Times of jobs as tables write them -> Unix seconds.

`sacct` writes the clocks of the machine that it runs on, without an offset; by SLURM_TIME_FORMAT seconds or
offsets. A time without an offset needs a zone, and in the hour that comes twice a year it is two instants:
which of them is meant, the job's length says, or nobody.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo

from gputally.site.ledger.jobwords import BadTable

_EPOCH = re.compile(r"[0-9]{9,11}", re.ASCII)
_NEVER = frozenset({"", "unknown", "none", "null", "n/a"})
FIRST_YEAR, LAST_YEAR = 2000, 2100
_LONGEST_S = 10 * 366 * 86_400
_EXAMPLE = "2026-11-05T12:00:00+01:00 or Unix seconds"


class BadTime(ValueError):
    """A time that cannot be read; the text is the reason."""


def instants(text: str, zone: tzinfo | None) -> tuple[int, ...]:
    """What a time may mean: nothing for `Unknown`, one instant, or two.

    Raises BadTime; BadTable for one without an offset where nobody has said whose clocks are meant.
    """
    text = text.strip()
    if text.lower() in _NEVER:
        return ()
    if _EPOCH.fullmatch(text):
        return (int(text),)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadTime(f"{text[:40]!r} is no time: expected one such as {_EXAMPLE}") from None
    if len(text) < len("2026-11-05T12:00"):
        raise BadTime(f"{text!r} is a day: expected a time such as {_EXAMPLE}")
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise BadTime(f"{text!r} is of no year from {FIRST_YEAR} to {LAST_YEAR}")
    if moment.tzinfo is None:
        if zone is None:
            raise BadTable(
                f"{text} has no offset: say whose clocks are meant with --timezone, or let sacct write "
                "seconds, with SLURM_TIME_FORMAT=%s"
            )
        return _local(moment, zone)
    return (int(moment.timestamp()),)


def _local(moment: datetime, zone: tzinfo) -> tuple[int, ...]:
    found = []
    for fold in (0, 1):
        there = moment.replace(tzinfo=zone, fold=fold).astimezone(UTC)
        if there.astimezone(zone).replace(tzinfo=None) == moment:
            found.append(int(there.timestamp()))
    if not found:
        raise BadTime(f"{moment.isoformat()} was never: the clocks of {zone} went forward over it")
    return tuple(dict.fromkeys(found))


def span(
    starts: Sequence[int], ends: Sequence[int], elapsed_s: int | None, latest_s: int
) -> tuple[int, int | None]:
    """The start, of which there is one or two, and the end, if any. Raises BadTime.

    Args:
        starts: what the start may mean.
        ends: what the end may mean; nothing where there is none.
        elapsed_s: how long it took, if that is known.
        latest_s: nothing is later than this.
    """
    pairs = [(start, end) for start in starts for end in (ends or (None,))]
    if len(pairs) > 1 and elapsed_s is not None:
        pairs = [one for one in pairs if one[1] is not None and one[1] - one[0] == elapsed_s] or pairs
    if len(pairs) > 1:
        raise BadTime("the clocks showed this time twice that day: an offset or ElapsedRaw would tell")
    start, end = pairs[0]
    if end is not None and end < start:
        raise BadTime("it ends before it starts")
    if max(start, start if end is None else end) > latest_s:
        raise BadTime("it is in the future")
    if end is not None and end - start > _LONGEST_S:
        raise BadTime("it took more than ten years")
    return start, end
