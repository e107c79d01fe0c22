"""A day with three prices, 0.09 at night, 0.22 by day and 0.36 in the evening, on a GPU that works in bursts.

Its cost is summed second by second with the wall clock and the price list; pricing has to agree to the last
unit, however the day is cut into ticks and gaps.
"""

import random
from collections import Counter
from datetime import date, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest

from gputally.tariff import MONEY_UNITS, Band, Schedule, Tariff, Version, price
from tests.tariff.oracle import HOUR, MINUTE, SECOND, local_at, ns

ZONE = "Europe/Berlin"
NIGHT, DAY, EVENING = 90_000_000, 220_000_000, 360_000_000
BANDS = (
    Band("evening", EVENING, hours=((16 * 60, 21 * 60),)),
    Band("day", DAY, hours=((6 * 60, 16 * 60), (21 * 60, 22 * 60))),
    Band("night", NIGHT, rest=True),
)
TARIFF = Tariff("EUR", (Version(BANDS),), ZONE, pue_e4=(12_500,) * 12)


def nano_at(second: int) -> int:
    """The price list, read by a person with a watch."""
    hour = datetime.fromtimestamp(second, ZoneInfo(ZONE)).hour
    if 16 <= hour < 21:
        return EVENING
    return DAY if 6 <= hour < 22 else NIGHT


def bursts(seconds: int) -> list[int]:
    """Millijoules of each second: bursts of 3 to 45 s at 550 to 700 W, gaps of 8 to 90 s at 70 to 120 W."""
    dice, energy_mj = random.Random(3), []  # noqa: S311 - no secrets
    while len(energy_mj) < seconds:
        for watts, length in (((550, 700), (3, 45)), ((70, 120), (8, 90))):
            energy_mj += [dice.randint(*watts) * 1000 + dice.randrange(1000)] * dice.randint(*length)
    return energy_mj[:seconds]


@pytest.mark.parametrize(
    ("day", "hours"), [(date(2026, 5, 6), 24), (date(2026, 3, 29), 23), (date(2026, 10, 25), 25)]
)
def test_a_day_in_ticks_of_a_second_costs_what_the_price_list_says(day, hours):
    schedule = Schedule(TARIFF)
    start_ns = schedule.day_start_ns(day)
    energy_mj = bursts(hours * 3600)
    cost, by_band, days = 0, Counter(), set()
    for at, mj in enumerate(energy_mj):
        for piece in price(schedule, mj, start_ns + at * SECOND, start_ns + (at + 1) * SECOND):
            cost += piece.energy_mj * piece.rate.cost_units
            by_band[piece.rate.tariff] += piece.energy_mj
            days.add(piece.day)
    start = start_ns // SECOND
    truth = sum(mj * nano_at(start + at) for at, mj in enumerate(energy_mj)) * 12_500
    assert cost == truth
    assert days == {day.isoformat()}
    assert sum(by_band.values()) == sum(energy_mj)
    rederived = sum(by_band[band.name] * band.price_nano for band in BANDS) * 12_500
    assert rederived == cost
    assert 4 < sum(energy_mj) / 3.6e9 < 7  # kWh
    assert 1 < Fraction(cost, MONEY_UNITS) < 2  # EUR
    one_price = sum(energy_mj) * DAY * 12_500
    assert abs(one_price / cost - 1) > 0.03  # a single price would be wrong by percents


@pytest.mark.parametrize("tick_ms", [250, 700, 1000, 7_777, 60_000])
def test_ticks_that_do_not_fit_the_hour_are_split_at_the_switch(tick_ms):
    # 360 W, so that a millisecond is 360 mJ and every cut is whole.
    schedule, tick_ns = Schedule(TARIFF), tick_ms * 1_000_000
    four_ns = ns(datetime(2026, 5, 6, 16, tzinfo=ZoneInfo(ZONE)))
    begin_ns = four_ns - 10 * MINUTE - 333_000_000
    before, after = Counter(), Counter()
    count = -(-20 * MINUTE // tick_ns)
    for at in range(count):
        from_ns = begin_ns + at * tick_ns
        for piece in price(schedule, 360 * tick_ms, from_ns, from_ns + tick_ns):
            (before if from_ns < four_ns else after)[piece.rate.tariff] += piece.energy_mj
    assert before["day"] == (four_ns - begin_ns) // 1_000_000 * 360
    assert set(after) == {"evening"}
    assert before.total() + after.total() == count * tick_ms * 360


def test_a_gap_over_midnight_is_split_by_time_among_bands_and_days():
    zone = ZoneInfo(ZONE)
    from_ns = ns(datetime(2026, 5, 6, 20, tzinfo=zone))
    until_ns = ns(datetime(2026, 5, 7, 8, tzinfo=zone))
    pieces = price(Schedule(TARIFF), 12_000_000, from_ns, until_ns)
    assert [(piece.day[-2:], piece.rate.tariff, piece.energy_mj) for piece in pieces] == [
        ("06", "evening", 1_000_000),
        ("06", "day", 1_000_000),
        ("06", "night", 2_000_000),
        ("07", "night", 6_000_000),
        ("07", "day", 2_000_000),
    ]


@pytest.mark.parametrize(("day", "night_hours"), [(date(2026, 3, 29), 5), (date(2026, 10, 25), 7)])
def test_a_gap_over_a_change_of_clocks_has_an_hour_less_or_more_of_night(day, night_hours):
    schedule = Schedule(TARIFF)
    from_ns = schedule.day_start_ns(day)
    until_ns = schedule.day_start_ns(day + timedelta(days=1)) - 14 * HOUR  # 10:00
    hours = night_hours + 4
    pieces = price(schedule, hours * 1_000_000, from_ns, until_ns)
    assert [(piece.rate.tariff, piece.energy_mj) for piece in pieces] == [
        ("night", night_hours * 1_000_000),
        ("day", 4_000_000),
    ]


def test_a_gap_of_a_week_is_what_its_hours_are():
    schedule, zone = Schedule(TARIFF), ZoneInfo(ZONE)
    from_ns = ns(datetime(2026, 10, 22, 12, tzinfo=zone))
    until_ns = ns(datetime(2026, 10, 29, 12, tzinfo=zone))
    seconds = (until_ns - from_ns) // SECOND
    assert seconds == (7 * 24 + 1) * 3600
    pieces = price(schedule, seconds * 100, from_ns, until_ns)
    truth, days = Counter(), Counter()
    for at in range(0, seconds, 60):
        second = from_ns // SECOND + at
        truth[nano_at(second)] += 6000
        days[local_at(ZONE, second * SECOND).date().isoformat()] += 6000
    by_price, by_day = Counter(), Counter()
    for piece in pieces:
        by_price[piece.rate.price_nano] += piece.energy_mj
        by_day[piece.day] += piece.energy_mj
    assert by_price == truth
    assert by_day == days


def test_a_version_that_begins_within_a_gap_has_the_part_from_its_midnight_on():
    dearer = tuple(
        Band(band.name, band.price_nano * 2, band.days, band.hours, rest=band.rest) for band in BANDS
    )
    tariff = Tariff("EUR", (Version(BANDS), Version(dearer, date(2026, 7, 1))), ZONE)
    zone = ZoneInfo(ZONE)
    pieces = price(
        Schedule(tariff),
        5000,
        ns(datetime(2026, 6, 30, 22, tzinfo=zone)),
        ns(datetime(2026, 7, 1, 3, tzinfo=zone)),
    )
    assert [(piece.rate.price_nano, piece.energy_mj) for piece in pieces] == [
        (NIGHT, 2000),
        (2 * NIGHT, 3000),
    ]
    assert {piece.rate.tariff for piece in pieces} == {"night"}


def test_a_year_of_constant_power_by_band_is_what_minutes_counted_one_by_one_are():
    week = (
        Band("holiday", 4, days=frozenset({7})),
        Band("weekend", 3, days=frozenset({5, 6})),
        Band("winter", 2, frozenset(range(5)), ((7 * 60 + 30, 20 * 60),), frozenset({11, 12, 1, 2, 3})),
        Band("summer", 1, frozenset(range(5)), ((9 * 60, 19 * 60 + 45),), frozenset(range(4, 11))),
        Band("rest", 5, rest=True),
    )
    holidays = frozenset(
        {date(2026, 1, 1), date(2026, 4, 3), date(2026, 5, 1), date(2026, 10, 3), date(2026, 12, 25)}
    )
    schedule = Schedule(Tariff("EUR", (Version(week),), ZONE, holidays))
    start_ns, end_ns = schedule.day_start_ns(date(2026, 1, 1)), schedule.day_start_ns(date(2027, 1, 1))
    metered, dice = Counter(), random.Random(1)  # noqa: S311 - no secret
    at_ns = start_ns
    while at_ns < end_ns:
        then_ns = min(end_ns, at_ns + dice.choice((1, 13, 47, 400, 7000)) * MINUTE)
        for piece in price(schedule, (then_ns - at_ns) // MINUTE * 18_000_000, at_ns, then_ns):  # 300 W
            metered[piece.rate.tariff] += piece.energy_mj
        at_ns = then_ns
    counted = Counter()
    for second in range(start_ns // SECOND, end_ns // SECOND, 60):
        counted[_by_the_wall(datetime.fromtimestamp(second, ZoneInfo(ZONE)), holidays)] += 18_000_000
    assert metered == counted
    assert metered.total() == 365 * 24 * 60 * 18_000_000
    assert len(metered) == 5


def _by_the_wall(local: datetime, holidays: frozenset[date]) -> str:
    clock = (local.hour, local.minute)
    if local.date() in holidays:
        return "holiday"
    if local.weekday() >= 5:
        return "weekend"
    if local.month in (11, 12, 1, 2, 3):
        return "winter" if (7, 30) <= clock < (20, 0) else "rest"
    return "summer" if (9, 0) <= clock < (19, 45) else "rest"
