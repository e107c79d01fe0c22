"""Durations as Prometheus writes them (`250ms`, `1m30s`, `2h`, `1d`), to and from whole nanoseconds.

Integers, so that a tick of 250 ms is exact and a sum of ticks never drifts. A day is 24 hours here: calendar
days belong to the tariff, which knows a time zone.
"""

import re

_UNITS_NS = {
    "d": 86_400_000_000_000,
    "h": 3_600_000_000_000,
    "m": 60_000_000_000,
    "s": 1_000_000_000,
    "ms": 1_000_000,
}
# Each unit at most once, largest first: `1s1h` is more often a slip than a wish. Seven digits cover 27,000
# years of days and keep every sum far from any limit.
_DURATION = re.compile(
    r"(?:(?P<d>\d{1,7})d)?(?:(?P<h>\d{1,7})h)?(?:(?P<m>\d{1,7})m)?(?:(?P<s>\d{1,7})s)?(?:(?P<ms>\d{1,7})ms)?",
    re.ASCII,
)

DESCRIPTION = "a duration such as 250ms, 1s, 1m30s, 2h or 1d"


def parse_ns(text: str) -> int:
    """Read a duration; `0` needs no unit.

    Raises:
        ValueError: the text is not a duration; the message says what one looks like.
    """
    match = _DURATION.fullmatch(text)
    if text == "0":
        return 0
    if match is None or not text:
        raise ValueError(f"expected {DESCRIPTION}")
    return sum(int(count) * _UNITS_NS[unit] for unit, count in match.groupdict().items() if count)


def format_ns(duration_ns: int) -> str:
    """Write a duration so that `parse_ns` reads the same number; what is below a millisecond is cut off."""
    parts = []
    for unit, unit_ns in _UNITS_NS.items():
        count, duration_ns = divmod(duration_ns, unit_ns)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"
