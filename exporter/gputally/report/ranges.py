"""From what people call a time (`7d`, `month`, `2026-03`, `2026-03-05T12:00`) to seconds of Unix time.

Days and months are the site's. Half-open: what happens at the last instant belongs to the next range.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from gputally.config.durations import parse_ns
from gputally.model.clock import NS_PER_SECOND

DAY_S = 86_400
_MOST_DAYS = 3_700
_WORDS = ("month", "today", "yesterday")
_MONTH = re.compile(r"(\d{4})-(\d\d)", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d)?", re.ASCII)
DESCRIPTION = "24h, 7d, today, yesterday, month, 2026-03, 2026-03-05 or 2026-03-05T12:00"


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a range, in one day or in several."""

    from_s: int
    until_s: int
    day: str = ""  # the site's day that it lies in, where it was asked for by day

    @property
    def seconds(self) -> int:
        """Its length."""
        return self.until_s - self.from_s


@dataclass(frozen=True, slots=True)
class Range:
    """What a report is about."""

    from_s: int
    until_s: int
    zone: ZoneInfo
    rolling: bool = False  # so long until now, and not from a date

    @property
    def seconds(self) -> int:
        """Its length."""
        return self.until_s - self.from_s

    @property
    def by_tiles(self) -> bool:
        """Whether dashboards add up hourly tiles for it."""
        return self.rolling and self.seconds >= DAY_S

    @property
    def step(self) -> str:
        """From one look to the next, at a series that comes and goes."""
        return "1m" if self.seconds <= DAY_S else "5m"

    def moment(self, second: int) -> datetime:
        """On the clocks of the site."""
        return datetime.fromtimestamp(second, self.zone)

    def days(self) -> Iterator[Part]:
        """Day by day of the site's calendar: 23, 24 or 25 hours, and less at both ends."""
        start_s = self.from_s
        while start_s < self.until_s:
            day = self.moment(start_s).date()
            end_s = min(midnight(day + timedelta(days=1), self.zone), self.until_s)
            yield Part(start_s, end_s, day.isoformat())
            start_s = end_s

    def parts(self, most_days: int = 7) -> Iterator[Part]:
        """Some days at a time, so that no single question is too much."""
        days = list(self.days())
        for at in range(0, len(days), most_days):
            some = days[at : at + most_days]
            yield Part(some[0].from_s, some[-1].until_s)


def midnight(day: date, zone: ZoneInfo) -> int:
    """The first instant of a day."""
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC).timestamp())


def knows_days(text: str) -> bool:
    """Whether a text means different instants in different time zones."""
    try:
        parse_ns(text)
    except ValueError:
        return not re.search(r"(Z|[+-]\d\d:\d\d)$", text[10:])
    return False


def read_range(from_text: str, to_text: str, now_s: int, zone: ZoneInfo) -> Range:
    """What `--from` and `--to` mean. Raises ValueError with one line that names the flag."""
    start, end = _read("--from", from_text, now_s, zone), _read("--to", to_text, now_s, zone)
    if isinstance(end, int):
        raise ValueError(  # noqa: TRY004 - of the right type, and of no use
            f"--to {to_text}: expected a time, such as {DESCRIPTION}; only --from can be a length"
        )
    until_s = now_s
    if end is not None:
        until_s = end.until_s
    elif isinstance(start, Part) and (from_text in _WORDS or _MONTH.fullmatch(from_text)):
        until_s = start.until_s
    until_s = min(until_s, now_s)
    from_s = until_s - start if isinstance(start, int) else start.from_s if start is not None else 0
    if from_s >= until_s:
        raise ValueError(
            f"--from {from_text}: the range would end before it begins, or before it is in the past"
        )
    if until_s - from_s > _MOST_DAYS * DAY_S or from_s < 0:
        raise ValueError(f"--from {from_text}: more than {_MOST_DAYS} days")
    return Range(from_s, until_s, zone, rolling=isinstance(start, int) and end is None)


def _read(flag: str, text: str, now_s: int, zone: ZoneInfo) -> Part | int | None:
    """A length in seconds, or the period that a text means (an instant is an empty one), or None for ""."""
    if not text:
        return None
    try:
        return max(1, parse_ns(text) // NS_PER_SECOND)
    except ValueError:
        pass
    today = datetime.fromtimestamp(now_s, zone).date()
    try:
        if text in ("today", "yesterday") or _DATE.fullmatch(text):
            back = {"today": 0, "yesterday": 1}.get(text)
            day = date.fromisoformat(text) if back is None else today - timedelta(days=back)
            return Part(midnight(day, zone), midnight(day + timedelta(days=1), zone))
        if text == "month" or _MONTH.fullmatch(text):
            day = today.replace(day=1) if text == "month" else date.fromisoformat(f"{text}-01")
            return Part(midnight(day, zone), midnight((day + timedelta(days=31)).replace(day=1), zone))
        if _MOMENT.fullmatch(text):
            moment = datetime.fromisoformat(text)
            second = int((moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)).timestamp())
            return Part(second, second)
    except (ValueError, OverflowError):
        pass
    raise ValueError(f"{flag} {text!r}: expected {DESCRIPTION}")
