"""What makes a version whole: one price for every minute, and no band that never holds."""

import pytest

from gputally.tariff import Band, Series, Version
from gputally.tariff.declared import ALL_DAYS, HOLIDAY, complaint

WORKDAYS, WEEKEND = frozenset(range(5)), frozenset({5, 6})
DAY = ((6 * 60, 22 * 60),)
NIGHT = ((0, 6 * 60), (22 * 60, 24 * 60))
REST = Band("rest", 1, rest=True)
NO_HOLIDAYS = ALL_DAYS - {HOLIDAY}

CASES = {
    "flat": ([REST], ""),
    "day and rest": ([Band("day", 1, hours=DAY), REST], ""),
    "day and night": ([Band("day", 1, hours=DAY), Band("night", 1, hours=NIGHT)], ""),
    "two rests": (
        [REST, Band("more", 1, rest=True)],
        "bands rest and more are both for the rest of the time",
    ),
    "two hours of one name": ([Band("peak", 1, hours=DAY), Band("peak", 1, hours=NIGHT)], ""),
    "no band at night": ([Band("day", 1, hours=DAY)], "no band for mon 00:00 in jan"),
    "no band in the evening": ([Band("day", 1, hours=((0, 22 * 60),))], "no band for mon 22:00 in jan"),
    "no band for a minute": (
        [Band("day", 1, hours=DAY), Band("night", 1, hours=((0, 359), (1320, 1440)))],
        "no band for mon 05:59 in jan",
    ),
    "no band on holidays": (
        [Band("work", 1, WORKDAYS), Band("weekend", 1, WEEKEND)],
        "no band for holiday 00:00 in jan",
    ),
    "no band in a month": (
        [Band("most", 1, months=frozenset(range(1, 13)) - {8})],
        "no band for mon 00:00 in aug",
    ),
    "overlap of an hour": (
        [Band("day", 1, hours=DAY), Band("evening", 1, hours=((21 * 60, 24 * 60),)), REST],
        "bands day and evening overlap on mon 21:00 in jan",
    ),
    "overlap of a day": (
        [Band("work", 1, WORKDAYS), Band("late", 1, frozenset({4, 5})), REST],
        "bands work and late overlap on fri 00:00 in jan",
    ),
    "overlap in a month": (
        [Band("a", 1, months=frozenset({1, 2})), Band("b", 1, months=frozenset({2, 3})), REST],
        "bands a and b overlap on mon 00:00 in feb",
    ),
    "rest without time": (
        [Band("day", 1, hours=DAY), Band("night", 1, hours=NIGHT), REST],
        "band rest never holds: the others leave no time for it",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_wrong_with_a_version_is_said_with_the_moment(name):
    bands, message = CASES[name]
    assert complaint(Version(tuple(bands))) == message


def test_without_holidays_nobody_needs_a_price_for_them_nor_may_have_one():
    work_and_weekend = (Band("work", 1, WORKDAYS), Band("weekend", 1, WEEKEND))
    assert complaint(Version(work_and_weekend), NO_HOLIDAYS) == ""
    holiday = Band("free", 1, frozenset({HOLIDAY}))
    assert complaint(Version((*work_and_weekend, holiday))) == ""
    assert complaint(Version((*work_and_weekend, holiday)), NO_HOLIDAYS) == (
        "band free never holds: it is for holidays, and none are listed"
    )


def test_a_series_holds_from_its_first_start_to_its_end_and_changes_at_each_start():
    series = Series([10, 20, 35], [1, 2, 3], 40)
    assert [series.at(at) for at in (9, 10, 19, 20, 34, 35, 39, 40)] == [None, 1, 1, 2, 2, 3, 3, None]
    assert list(series.edges(0, 100)) == [10, 20, 35, 40]
    assert list(series.edges(10, 35)) == [20]
    assert list(series.edges(35, 40)) == []
    assert list(series.edges(36, 41)) == [40]
    assert Series().at(0) is None


def test_an_hour_without_a_band_is_an_error_of_the_caller():
    with pytest.raises(LookupError, match=r"no price for tue 03:00 in feb"):
        Version((Band("day", 1, hours=DAY),)).band(2, 1, 180)
