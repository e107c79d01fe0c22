"""Days, hours and months of a band: what people write and what is meant by it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gputally.config import strict
from gputally.config.bands import read_band
from gputally.config.strict import ConfigError
from gputally.tariff.declared import ALL_DAYS, ALL_MONTHS, DAY_NAMES, HOLIDAY, MONTH_NAMES, Band

NO_HOLIDAYS = ALL_DAYS - {HOLIDAY}


def band(conditions: str, kinds: frozenset[int] = ALL_DAYS) -> Band:
    text = f"band: {{name: x, price_per_kwh: 0.1, {conditions}}}"
    return read_band(strict.parse(text.encode(), "f.yml").get("band"), "EUR", 0, kinds)


def days(text: str) -> str:
    return " ".join(DAY_NAMES[day] for day in sorted(band(f"days: [{text}]").days))


def months(text: str) -> str:
    return " ".join(MONTH_NAMES[month - 1] for month in sorted(band(f"months: [{text}]").months))


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("mon", "mon"),
        ("mon-fri", "mon tue wed thu fri"),
        ("sat-sun", "sat sun"),
        ("sat, sun, holiday", "sat sun holiday"),
        ("fri-mon", "mon fri sat sun"),  # round the weekend, holidays not among them
        ("sun-sat", "mon tue wed thu fri sat sun"),
        ("tue-tue", "tue"),
        ("holiday", "holiday"),
        ("mon-wed, fri", "mon tue wed fri"),
    ],
)
def test_days(text, meant):
    assert days(text) == meant


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("feb", "feb"),
        ("apr-sep", "apr may jun jul aug sep"),
        ("nov-feb", "jan feb nov dec"),
        ("dec-jan", "jan dec"),
        ("jan-dec", " ".join(MONTH_NAMES)),
    ],
)
def test_months(text, meant):
    assert months(text) == meant


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ('"06:00-22:00"', ((360, 1320),)),
        ("06:00-22:00", ((360, 1320),)),  # without quotes, too: nothing here is ever a number
        ('"00:00-24:00"', ((0, 1440),)),
        ('"23:59-24:00"', ((1439, 1440),)),
        ('"00:00-00:01"', ((0, 1),)),
        ('"22:00-06:00"', ((1320, 1440), (0, 360))),
        ('"22:00-00:00"', ((1320, 1440),)),
        ('"07:00-09:00", "17:00-20:00"', ((420, 540), (1020, 1200))),
        ('"17:00-20:00", "07:00-17:00"', ((1020, 1200), (420, 1020))),
        ('"06:30-22:15"', ((390, 1335),)),
    ],
)
def test_hours(text, pairs):
    assert band(f"hours: [{text}]").hours == pairs


def test_what_is_not_said_is_always_and_without_a_word_it_is_for_the_rest():
    weekend = band("days: [sat-sun]")
    assert (weekend.hours, weekend.months, weekend.rest) == (((0, 1440),), ALL_MONTHS, False)
    night = band('hours: ["22:00-06:00"]')
    assert (night.days, night.rest) == (ALL_DAYS, False)
    assert not band("months: [jan-dec]").rest
    assert band("").rest


@pytest.mark.parametrize(
    ("conditions", "kinds"),
    [
        ('hours: ["22:00-06:00"]', ALL_DAYS),
        ('days: [mon-sun, holiday], hours: ["22:00-06:00"]', ALL_DAYS),
        ('days: [mon-sun], hours: ["22:00-06:00"]', NO_HOLIDAYS),
        ('days: [mon-fri], hours: ["22:00-24:00", "00:00-06:00"]', ALL_DAYS),
        ('days: [mon-fri], hours: ["22:00-00:00"]', ALL_DAYS),
        ('months: [jan], hours: ["22:00-06:00"]', ALL_DAYS),
    ],
)
def test_hours_over_midnight_are_plain_where_all_days_are_alike(conditions, kinds):
    assert (1320, 1440) in band(conditions, kinds).hours


@pytest.mark.parametrize(
    ("conditions", "kinds"),
    [
        ('days: [fri], hours: ["22:00-06:00"]', ALL_DAYS),
        ('days: [mon-sun], hours: ["22:00-06:00"]', ALL_DAYS),  # whose is the morning of a holiday?
        ('days: [mon-sat], hours: ["08:00-10:00", "22:00-06:00"]', NO_HOLIDAYS),
    ],
)
def test_hours_over_midnight_are_refused_where_the_next_day_is_another(conditions, kinds):
    with pytest.raises(ConfigError, match=r"f\.yml:1:\d+ band\.hours: whose morning is it\?"):
        band(conditions, kinds)


@given(st.sampled_from(DAY_NAMES[:7]), st.sampled_from(DAY_NAMES[:7]))
def test_a_range_begins_and_ends_where_it_says_and_its_complement_is_the_other_way_round(first, last):
    found = band(f"days: [{first}-{last}]").days
    assert {DAY_NAMES.index(first), DAY_NAMES.index(last)} <= found
    steps = (DAY_NAMES.index(last) - DAY_NAMES.index(first)) % 7
    assert found == {(DAY_NAMES.index(first) + step) % 7 for step in range(steps + 1)}


@given(st.integers(0, 1439), st.integers(0, 1439))
def test_hours_hold_from_their_first_minute_to_before_their_last(start, end):
    if start == end:
        return
    text = f"{start // 60:02}:{start % 60:02}-{end // 60:02}:{end % 60:02}"
    found = band(f"hours: ['{text}']")
    minute, held = start, set()
    while minute != end:
        held.add(minute)
        minute = (minute + 1) % 1440
    assert {at for at in range(1440) if found.holds(1, 0, at)} == held
