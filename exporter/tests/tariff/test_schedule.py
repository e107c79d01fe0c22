"""Spans against the wall clocks themselves: any tariff, any zone, any day, minute by minute."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gputally.tariff import DEFAULT, Band, Carbon, Schedule, Series, Tariff, Version
from tests.tariff.oracle import (
    DAY_GROUPS,
    HOUR,
    MINUTE,
    SECOND,
    ZONES,
    Calendar,
    Table,
    calendars,
    local_at,
    ns,
)

# Clocks that are set in uncommon ways.
STRANGE = {
    "23 hours": ("Europe/Berlin", date(2026, 3, 29), 23),
    "25 hours": ("Europe/Berlin", date(2026, 10, 25), 25),
    "23.5 hours": ("Australia/Lord_Howe", date(2026, 10, 4), 23.5),
    "24.5 hours": ("Australia/Lord_Howe", date(2026, 4, 5), 24.5),
    "begins at 01:00": ("America/Havana", date(2026, 3, 8), 23),
    "midnight twice": ("America/Havana", date(2026, 11, 1), 25),
    "begins at 01:00 in the east": ("Asia/Beirut", date(2026, 3, 29), 23),
    "ends twice": ("Asia/Beirut", date(2026, 10, 24), 25),
    "begins at 01:00 in the south": ("America/Sao_Paulo", date(2018, 11, 4), 23),
    "ends twice in the south": ("America/Sao_Paulo", date(2018, 2, 17), 25),
    "never begins": ("Pacific/Apia", date(2011, 12, 30), 0),
    "before one that never begins": ("Pacific/Apia", date(2011, 12, 29), 24),
    "after one that never begins": ("Pacific/Apia", date(2011, 12, 31), 24),
    "Ramadan begins": ("Africa/Casablanca", date(2026, 2, 15), 25),
    "Ramadan ends": ("Africa/Casablanca", date(2026, 3, 22), 23),
    "half an hour for ever": ("Asia/Pyongyang", date(2018, 5, 4), 23.5),
    "another half an hour for ever": ("America/Caracas", date(2016, 5, 1), 23.5),
    "12 hours and 45 minutes ahead": ("Pacific/Chatham", date(2026, 9, 27), 23),
    "ends at 23:00": ("America/Nuuk", date(2026, 3, 28), 23),
}
PLAIN = Table((7 * 60, 21 * 60 + 30), frozenset({1, 2}), tuple(f"band{1 + at % 5}" for at in range(18)))


def is_as_the_wall_clock_says(calendar: Calendar, from_ns: int, until_ns: int) -> None:
    schedule = Schedule(calendar.tariff())
    at_ns = from_ns
    for span, part_ns in schedule.over(from_ns, until_ns):
        assert span.from_ns <= at_ns < span.until_ns
        assert part_ns == min(span.until_ns, until_ns) - at_ns
        at_ns += part_ns
        here = (span.day, span.rate.tariff, span.rate.price_nano, span.rate.pue_e4)
        for edge_ns in (span.from_ns, span.until_ns - 1):
            assert calendar.says(edge_ns) == here
    assert at_ns == until_ns
    for minute_ns in range(from_ns, until_ns, MINUTE):
        span = schedule.at(minute_ns)
        here = (span.day, span.rate.tariff, span.rate.price_nano, span.rate.pue_e4)
        assert calendar.says(minute_ns) == here, local_at(calendar.zone, minute_ns)


@settings(max_examples=100, deadline=None)
@given(calendars())
def test_spans_tile_any_day_of_any_zone_and_say_what_the_wall_clock_says(case):
    calendar, day = case
    schedule = Schedule(calendar.tariff())
    start_ns, end_ns = schedule.day_start_ns(day), schedule.day_start_ns(day + timedelta(days=1))
    assert 22 * HOUR <= end_ns - start_ns <= 26 * HOUR or end_ns - start_ns in (0, 48 * HOUR)
    is_as_the_wall_clock_says(calendar, start_ns - 2 * HOUR, end_ns + 2 * HOUR)


@pytest.mark.parametrize("name", STRANGE)
def test_days_of_uncommon_length_are_tiled(name):
    zone, day, hours = STRANGE[name]
    calendar = Calendar(zone, (PLAIN,), frozenset({day}))
    schedule = Schedule(calendar.tariff())
    start_ns, end_ns = schedule.day_start_ns(day), schedule.day_start_ns(day + timedelta(days=1))
    assert end_ns - start_ns == hours * HOUR
    spans = [span for span, part_ns in schedule.over(start_ns, end_ns) if part_ns]
    assert {span.day for span in spans} == ({day.isoformat()} if hours else set())
    is_as_the_wall_clock_says(calendar, start_ns - 3 * HOUR, end_ns + 3 * HOUR)


@pytest.mark.parametrize("year", [2009, 2010])
def test_an_evening_that_comes_back_after_midnight_belongs_to_its_own_day(year):
    # Until 2011 clocks in Newfoundland went from 00:01 back to 23:01.
    calendar = Calendar("America/St_Johns", (PLAIN,))
    change = datetime(year, 11, 1 if year == 2009 else 7, 2, 31, tzinfo=UTC)
    around = [Schedule(calendar.tariff()).at(ns(change) + at * MINUTE).day[-2:] for at in (-2, -1, 0, 58, 59)]
    today, before = f"{change.day:02}", f"{(change - timedelta(days=1)).day:02}"
    assert around == [before, today, before, before, today]
    is_as_the_wall_clock_says(calendar, ns(change) - 4 * HOUR, ns(change) + 4 * HOUR)


@settings(deadline=None)
@given(st.sampled_from(ZONES), st.dates(date(2000, 1, 2), date(2040, 1, 1)))
@example("America/St_Johns", date(2009, 11, 1))
@example("Pacific/Apia", date(2011, 12, 30))
@example("America/Toronto", date(1919, 3, 31))  # from 23:30 to 00:30
def test_a_day_starts_at_the_first_instant_that_has_its_date(zone, day):
    start_ns = Schedule(Tariff("EUR", DEFAULT.versions, zone)).day_start_ns(day)
    assert local_at(zone, start_ns).date() >= day
    assert all(local_at(zone, start_ns - SECOND - at * 5 * MINUTE).date() < day for at in range(26 * 12))


@settings(deadline=None)
@given(calendars(), st.lists(st.integers(-5 * 24 * 60, 5 * 24 * 60), min_size=1))
def test_what_was_asked_before_does_not_matter(case, minutes):
    calendar, day = case
    schedule = Schedule(calendar.tariff())
    noon_ns = schedule.day_start_ns(day) + 12 * HOUR
    for minute in minutes:
        wall_ns = noon_ns + minute * MINUTE
        assert schedule.at(wall_ns) == Schedule(calendar.tariff()).at(wall_ns)


def test_it_remembers_few_blocks_and_finds_the_first_one_again():
    schedule = Schedule(DEFAULT)
    first = schedule.at(0)
    for day in range(20):
        schedule.at(day * 24 * HOUR)
    assert len(schedule._blocks) == 4
    assert schedule.at(0) == first


def test_an_instant_is_in_one_span_and_an_edge_in_the_one_that_it_begins():
    schedule = Schedule(Calendar("Europe/Berlin", (PLAIN,)).tariff())
    seven_ns = ns(datetime(2026, 5, 4, 7, tzinfo=ZoneInfo("Europe/Berlin")))
    assert schedule.at(seven_ns).from_ns == seven_ns == schedule.at(seven_ns - 1).until_ns
    assert [(span.from_ns, part_ns) for span, part_ns in schedule.over(seven_ns, seven_ns)] == [(seven_ns, 0)]


def test_the_first_version_holds_before_its_day_and_each_from_its_first_minute():
    bands = [Version((Band(f"v{at}", at, rest=True),), date(2026, at, 1)) for at in (3, 4, 6)]
    schedule = Schedule(Tariff("EUR", tuple(bands), "Asia/Tokyo"))

    def name(*when: int) -> str:
        return schedule.at(ns(datetime(*when, tzinfo=ZoneInfo("Asia/Tokyo")))).rate.tariff

    assert name(2020, 1, 1) == name(2026, 3, 31, 23, 59) == "v3"
    assert (name(2026, 4, 1), name(2026, 5, 31, 23, 59), name(2026, 6, 1)) == ("v4", "v4", "v6")
    assert schedule.version_at(ns(datetime(2026, 3, 31, 15, tzinfo=UTC))) == bands[1]
    assert schedule.names == ("v3", "v4", "v6")


def test_a_file_goes_before_the_bands_where_it_has_a_price_and_its_name_is_that_of_the_prices():
    starts = [100 * HOUR, 101 * HOUR, 102 * HOUR]
    prices = Series(starts, [5, -7, 9], 103 * HOUR)
    version = Version((Band("fallback", 3, rest=True),), None, prices, "spot")
    carbon = Carbon(1000, "declared", Series([101 * HOUR + MINUTE], [2000], 102 * HOUR + MINUTE))
    schedule = Schedule(Tariff("EUR", (version,), carbon=carbon))
    spans = [
        (span.rate.tariff, span.rate.price_nano, span.rate.carbon_mg, part_ns)
        for span, part_ns in schedule.over(99 * HOUR, 104 * HOUR)
    ]
    assert spans == [
        ("fallback", 3, 1000, HOUR),
        ("spot", 5, 1000, HOUR),
        ("spot", -7, 1000, MINUTE),
        ("spot", -7, 2000, HOUR - MINUTE),
        ("spot", 9, 2000, MINUTE),
        ("spot", 9, 1000, HOUR - MINUTE),
        ("fallback", 3, 1000, HOUR),
    ]
    assert schedule.names == ("spot", "fallback")


def test_a_zero_in_a_file_is_a_price_and_an_intensity():
    version = Version((Band("fallback", 3, rest=True),), None, Series([0], [0], HOUR), "spot")
    carbon = Carbon(1000, "declared", Series([0], [0], HOUR))
    rate = Schedule(Tariff("EUR", (version,), carbon=carbon)).at(0).rate
    assert (rate.tariff, rate.price_nano, rate.carbon_mg) == ("spot", 0, 0)


def test_a_file_of_one_version_says_nothing_about_another():
    prices = Series([0], [5], 400_000 * HOUR)
    old = Version((Band("fallback", 3, rest=True),), None, prices, "spot")
    new = Version((Band("flat", 4, rest=True),), date(1970, 1, 3))
    schedule = Schedule(Tariff("EUR", (old, new)))
    assert [span.rate.tariff for span, _ in schedule.over(0, 72 * HOUR)] == ["spot", "spot", "flat"]


@pytest.mark.parametrize(
    ("valid_until", "file_end_ns", "end_ns"),
    [
        (None, None, None),
        (None, 5 * HOUR, 5 * HOUR),
        (date(1970, 1, 1), None, 23 * HOUR),  # Paris is an hour ahead
        (date(1970, 1, 1), 5 * HOUR, 5 * HOUR),
        (date(1970, 1, 1), 99 * HOUR, 23 * HOUR),
    ],
)
def test_prices_end_with_their_last_day_or_with_their_file(valid_until, file_end_ns, end_ns):
    prices = Series([0], [5], file_end_ns) if file_end_ns else None
    version = Version((Band("fallback", 3, rest=True),), None, prices, "spot" if prices else "")
    schedule = Schedule(Tariff("EUR", (version,), "Europe/Paris", valid_until=valid_until))
    assert schedule.end_ns() == end_ns


def test_the_last_day_has_its_25_hours():
    schedule = Schedule(Tariff("EUR", DEFAULT.versions, "Europe/Berlin", valid_until=date(2026, 10, 25)))
    assert schedule.end_ns() - schedule.day_start_ns(date(2026, 10, 25)) == 25 * HOUR


def test_without_a_tariff_it_is_twelve_cents_and_475_grams_and_says_default():
    rate = Schedule(DEFAULT).at(0).rate
    assert (rate.tariff, rate.currency, rate.price_nano) == ("default", "USD", 120_000_000)
    assert (rate.pue_e4, rate.carbon_mg, DEFAULT.source) == (10_000, 475_000, "default")


def test_the_tables_of_these_tests_say_different_things_on_different_days():
    assert len({PLAIN.name(1, min(kinds), 0) for kinds in DAY_GROUPS}) == 3
    assert PLAIN.name(1, 0, 419) != PLAIN.name(1, 0, 420)
    assert PLAIN.name(2, 0, 0) != PLAIN.name(3, 0, 0)
