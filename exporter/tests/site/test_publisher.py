"""When the site's figures change: to the nanosecond, over midnights and changes of the clocks."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from gputally.cli.siteagent import declared
from gputally.config.settings import SiteSettings
from tests.site.declaring import BERLIN, FULL, StoppedClock, publisher, settings


def at(one, clock, moment, early_ns=0):
    """What is published at an instant, and how soon it is due again."""
    clock.set(moment, early_ns)
    due = one.publish()
    return one.latest.site, due


@pytest.mark.parametrize(
    ("zone", "midnight", "before", "after"),
    [
        ("Europe/Berlin", datetime(2026, 7, 1, 22, 0, tzinfo=UTC), "2026-07-01", "2026-07-02"),
        ("Europe/Berlin", datetime(2026, 3, 28, 23, 0, tzinfo=UTC), "2026-03-28", "2026-03-29"),
        ("Europe/Berlin", datetime(2026, 3, 29, 22, 0, tzinfo=UTC), "2026-03-29", "2026-03-30"),  # 23 h
        ("Europe/Berlin", datetime(2026, 10, 24, 22, 0, tzinfo=UTC), "2026-10-24", "2026-10-25"),
        ("Europe/Berlin", datetime(2026, 10, 25, 23, 0, tzinfo=UTC), "2026-10-25", "2026-10-26"),  # 25 h
        ("Asia/Kathmandu", datetime(2026, 1, 1, 18, 15, tzinfo=UTC), "2026-01-01", "2026-01-02"),
        ("America/Santiago", datetime(2026, 9, 6, 4, 0, tzinfo=UTC), "2026-09-05", "2026-09-06"),  # at 01:00
        ("UTC", datetime(2026, 12, 31, 0, 0, tzinfo=UTC), "2026-12-30", "2026-12-31"),
    ],
)
def test_the_day_changes_at_the_local_midnight_and_there_is_one_at_any_time(
    tmp_path, zone, midnight, before, after
):
    clock = StoppedClock()
    one = publisher(settings(tmp_path, f"site: {{timezone: {zone}}}"), clock)
    assert at(one, clock, midnight - timedelta(hours=1))[0].day == {before: 1}
    site, due = at(one, clock, midnight, early_ns=300_000_000)
    assert (site.day, due) == ({before: 1}, 0.3)  # it comes back for the very instant
    assert at(one, clock, midnight, early_ns=1)[0].day == {before: 1}
    assert at(one, clock, midnight)[0].day == {after: 1}
    assert at(one, clock, midnight + timedelta(hours=1))[0].day == {after: 1}


@pytest.mark.parametrize(
    ("day", "hours"),
    [(datetime(2026, 3, 29), 23), (datetime(2026, 10, 25), 25), (datetime(2026, 7, 1), 24)],  # noqa: DTZ001 - Berlin's
)
def test_a_day_is_shown_for_as_long_as_it_has_hours(tmp_path, day, hours):
    clock = StoppedClock()
    one = publisher(settings(tmp_path, FULL), clock)
    start = day.replace(tzinfo=BERLIN).astimezone(UTC)
    shown = [
        next(iter(at(one, clock, start + timedelta(minutes=minute))[0].day))
        for minute in range(-60, 26 * 60, 15)
    ]
    assert shown.count(f"{day:%Y-%m-%d}") == hours * 4
    assert shown == sorted(shown)


def test_bands_follow_the_wall_clocks_on_the_days_on_which_these_are_set(tmp_path):
    """02:30 to 03:30 is half an hour where the clocks skip an hour, and 90 minutes where they repeat it."""
    text = """
site: {timezone: Europe/Berlin}
tariff:
  currency: EUR
  bands:
    - {name: odd, hours: ["02:30-03:30"], price_per_kwh: 1}
    - {name: rest, price_per_kwh: 2}
"""
    clock = StoppedClock()
    one = publisher(settings(tmp_path, text), clock)
    for day, odd in (((2026, 3, 29), 30), ((2026, 10, 25), 90), ((2026, 7, 1), 60)):
        start = datetime(*day, tzinfo=BERLIN).astimezone(UTC)
        bands = [
            next(iter(at(one, clock, start + timedelta(minutes=minute))[0].price_now))[0]
            for minute in range(6 * 60)
        ]
        assert bands.count("odd") == odd, day


def test_a_change_of_the_price_is_published_at_its_instant(tmp_path):
    clock = StoppedClock()
    one = publisher(settings(tmp_path, FULL), clock)
    evening = datetime(2026, 7, 1, 22, 0, tzinfo=BERLIN)
    site, due = at(one, clock, evening, early_ns=1_000_000)
    assert (site.price_now, due) == ({("day", "EUR"): 0.3}, 0.001)
    site, due = at(one, clock, evening)
    assert (site.price_now, due) == ({("night", "EUR"): 0.22}, 1.0)


def test_while_nothing_changes_the_figures_are_the_same_and_the_time_is_new(tmp_path):
    clock = StoppedClock()
    one = publisher(settings(tmp_path, FULL), clock)
    noon = datetime(2026, 7, 1, 12, 0, tzinfo=BERLIN)
    first, _ = at(one, clock, noon)
    before = one.latest
    second, _ = at(one, clock, noon + timedelta(seconds=1))
    assert second is first
    assert one.latest is not before
    assert one.latest.at.wall_seconds == before.at.wall_seconds + 1


def test_a_clock_that_is_set_back_brings_the_day_back(tmp_path):
    clock = StoppedClock()
    one = publisher(settings(tmp_path, FULL), clock)
    assert at(one, clock, datetime(2026, 7, 2, 0, 0, 5, tzinfo=BERLIN))[0].day == {"2026-07-02": 1}
    assert at(one, clock, datetime(2026, 7, 1, 23, 59, 5, tzinfo=BERLIN))[0].day == {"2026-07-01": 1}
    assert at(one, clock, datetime(1970, 1, 1, tzinfo=ZoneInfo("UTC")))[0].day == {"1970-01-01": 1}


def test_something_else_is_declared_from_the_next_publication_on(tmp_path):
    clock = StoppedClock()
    one = publisher(settings(tmp_path, FULL), clock)
    noon = datetime(2026, 7, 1, 12, 0, tzinfo=BERLIN)
    shown = at(one, clock, noon)[0]
    one.declare(declared(SiteSettings()))
    assert one.latest.site is shown  # a scrape sees whole snapshots only
    site, _ = at(one, clock, noon)
    assert site.price_now == {("default", "USD"): 0.12}
    assert site.owned_capital == {}
    assert (shown.thresholds["GpuCostPerDay"], site.thresholds["GpuCostPerDay"]) == (500, 0)


def test_the_process_is_looked_at_less_often_than_is_published(tmp_path):
    looks = []
    clock = StoppedClock()
    one = publisher(settings(tmp_path, FULL), clock, own_figures=lambda: looks.append(1) or {"threads": 1.0})
    for second in range(11):
        at(one, clock, datetime(2026, 7, 1, 12, 0, second, tzinfo=BERLIN))
        assert one.latest.report.process == {"threads": 1.0}
    assert len(looks) == 3
