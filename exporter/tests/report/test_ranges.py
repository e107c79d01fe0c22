"""What people call a time, on calendars with days of 23 and 25 hours."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from gputally.report.ranges import DAY_S, Range, knows_days, read_range

BERLIN = ZoneInfo("Europe/Berlin")
NOW = int(datetime(2026, 10, 26, 9, 30, tzinfo=BERLIN).timestamp())  # the clocks were set back yesterday
LOCAL = "%Y-%m-%d %H:%M %Z"


def ends(since: str, until: str = "", zone: ZoneInfo = BERLIN) -> tuple[str, str]:
    found = read_range(since, until, NOW, zone)
    return (found.moment(found.from_s).strftime(LOCAL), found.moment(found.until_s).strftime(LOCAL))


NOW_TEXT = "2026-10-26 09:30 CET"


@pytest.mark.parametrize(
    ("since", "until", "start", "end"),
    [
        ("24h", "", "2026-10-25 09:30 CET", NOW_TEXT),
        ("7d", "", "2026-10-19 10:30 CEST", NOW_TEXT),
        ("1h30m", "", "2026-10-26 08:00 CET", NOW_TEXT),
        ("30d", "", "2026-09-26 10:30 CEST", NOW_TEXT),
        ("today", "", "2026-10-26 00:00 CET", NOW_TEXT),
        ("yesterday", "", "2026-10-25 00:00 CEST", "2026-10-26 00:00 CET"),
        ("yesterday", "today", "2026-10-25 00:00 CEST", NOW_TEXT),
        ("month", "", "2026-10-01 00:00 CEST", NOW_TEXT),
        ("2026-03", "", "2026-03-01 00:00 CET", "2026-04-01 00:00 CEST"),
        ("2026-12", "2026-12", None, None),
        ("2025-12", "", "2025-12-01 00:00 CET", "2026-01-01 00:00 CET"),
        ("2026-02", "2026-03", "2026-02-01 00:00 CET", "2026-04-01 00:00 CEST"),
        ("2026-10-25", "", "2026-10-25 00:00 CEST", NOW_TEXT),
        ("2026-10-25", "2026-10-25", "2026-10-25 00:00 CEST", "2026-10-26 00:00 CET"),
        ("2026-03-01", "2026-03-31", "2026-03-01 00:00 CET", "2026-04-01 00:00 CEST"),
        ("2026-10-01", "2027-01-01", "2026-10-01 00:00 CEST", NOW_TEXT),
        ("2026-10-05T12:00", "2026-10-05T13:30", "2026-10-05 12:00 CEST", "2026-10-05 13:30 CEST"),
        ("2026-10-05 12:00", "2026-10-05T12:00:30", "2026-10-05 12:00 CEST", "2026-10-05 12:00 CEST"),
        ("2026-10-05T12:00Z", "2026-10-05T12:00-04:00", "2026-10-05 14:00 CEST", "2026-10-05 18:00 CEST"),
        ("2h", "2026-10-05T13:30", "2026-10-05 11:30 CEST", "2026-10-05 13:30 CEST"),
        ("24h", "2026-10-25", "2026-10-25 00:00 CET", "2026-10-26 00:00 CET"),
    ],
)
def test_a_time_means_what_a_calendar_says(since, until, start, end):
    if start is None:
        with pytest.raises(ValueError, match="in the past"):
            read_range(since, until, NOW, BERLIN)
        return
    if (since, until) == ("24h", "2026-10-25"):  # that day had 25
        start = "2026-10-25 01:00 CEST"
    assert ends(since, until) == (start, end)


@pytest.mark.parametrize(
    ("since", "until", "words"),
    [
        ("", "", "--from"),
        ("soon", "", "--from 'soon': expected 24h, 7d, today"),
        ("24h", "later", "--to 'later': expected"),
        ("24h", "7d", "--to 7d: expected a time"),
        ("2026-13", "", "--from '2026-13'"),
        ("2026-02-30", "", "--from '2026-02-30'"),
        ("2026-10-05T25:00", "", "--from"),
        ("20261005", "", "--from '20261005'"),
        ("2026-W10", "", "--from"),
        ("٢٠٢٦-03", "", "--from"),
        ("2026-10-27", "", "in the past"),
        ("2026-10-05", "2026-10-04", "before it begins"),
        ("2026-10-05T12:00", "2026-10-05T12:00", "before it begins"),
        ("9999d", "", "more than 3700 days"),
        ("0001-01", "", "--from"),
        ("-1d", "", "--from"),
    ],
)
def test_what_is_no_range_is_refused_with_its_flag(since, until, words):
    with pytest.raises(ValueError, match=words.replace("(", "\\(")):
        read_range(since, until, NOW, BERLIN)


def test_only_a_length_until_now_is_rolling_and_asks_tiles_from_a_day_on():
    rolling = {
        since: read_range(since, "", NOW, BERLIN) for since in ("23h", "24h", "7d", "today", "2026-10-01")
    }
    assert {since for since, found in rolling.items() if found.rolling} == {"23h", "24h", "7d"}
    assert {since for since, found in rolling.items() if found.by_tiles} == {"24h", "7d"}
    assert not read_range("7d", "2026-10-20", NOW, BERLIN).rolling


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", "2026-10-25", 25),
        ("Europe/Berlin", "2026-03-29", 23),
        ("Asia/Kolkata", "2026-03-29", 24),
        ("Africa/Cairo", "2026-04-24", 23),  # there is no midnight
        ("America/Santiago", "2026-09-06", 23),
        ("Pacific/Apia", "2011-12-31", 24),  # the day before it was left out
    ],
)
def test_a_day_has_as_many_hours_as_it_has(zone, day, hours):
    found = read_range(day, day, NOW, ZoneInfo(zone))
    assert found.seconds == hours * 3600
    assert [part.day for part in found.days()] == [day]


def test_days_and_parts_cover_the_range_without_gap_or_overlap():
    whole = read_range("2026-09-20T13:00", "2026-10-26T09:00", NOW, BERLIN)
    for pieces in (list(whole.days()), list(whole.parts()), list(whole.parts(3))):
        assert pieces[0].from_s == whole.from_s
        assert pieces[-1].until_s == whole.until_s
        assert all(one.until_s == two.from_s for one, two in pairwise(pieces))
        assert all(piece.seconds > 0 for piece in pieces)
    assert len(list(whole.days())) == 37
    assert max(part.seconds for part in whole.parts()) <= 7 * DAY_S + 3600
    assert all(whole.moment(part.from_s).hour == 0 for part in list(whole.days())[1:])


def test_a_range_knows_its_zone():
    whole = Range(0, 60, ZoneInfo("UTC"))
    assert whole.moment(0) == datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "knows"),
    [
        ("24h", False),
        ("0", False),
        ("month", True),
        ("2026-03", True),
        ("2026-03-05", True),
        ("today", True),
        ("2026-03-05T12:00", True),
        ("2026-03-05T12:00Z", False),
        ("2026-03-05T12:00+02:00", False),
    ],
)
def test_whether_a_text_depends_on_the_time_zone(text, knows):
    assert knows_days(text) is knows
