"""Energy laid over time and divided among shares: whole millijoules, whole money, in proportion."""

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gputally.tariff import DEFAULT, EMISSION_UNITS, MONEY_UNITS, Priced, Rate, Schedule, divide, price
from tests.tariff.oracle import HOUR, SECOND, calendars

RATE = Rate("day", "EUR", 220_000_001, 13_333, 380_000)
ENERGY = st.integers(0, 10**18)  # more than a float can count
RATES = [Rate(f"b{at}", "EUR", 10**8 * at - 7, 10_000 + at, at * 99) for at in range(-2, 5)]


@settings(deadline=None)
@given(calendars(), ENERGY, st.integers(-4 * HOUR, 30 * HOUR), st.integers(0, 80 * HOUR))
def test_energy_of_any_interval_is_conserved_and_laid_evenly_over_its_time(case, energy_mj, start_ns, ns):
    calendar, day = case
    schedule = Schedule(calendar.tariff())
    from_ns = schedule.day_start_ns(day) + start_ns
    pieces = price(schedule, energy_mj, from_ns, from_ns + ns)
    assert sum(piece.energy_mj for piece in pieces) == energy_mj
    assert all(piece.energy_mj >= 0 for piece in pieces)
    by_day_and_rate: dict[tuple, int] = {}
    for span, part_ns in Schedule(calendar.tariff()).over(from_ns, from_ns + ns):
        key = span.day, span.rate
        by_day_and_rate[key] = by_day_and_rate.get(key, 0) + part_ns
    for key, part_ns in by_day_and_rate.items():
        mine = [piece.energy_mj for piece in pieces if (piece.day, piece.rate) == key]
        assert mine
        if ns:
            assert abs(sum(mine) - Fraction(energy_mj * part_ns, ns)) < len(mine)
    assert {(piece.day, piece.rate) for piece in pieces} == set(by_day_and_rate)
    assert all((one.day, one.rate) != (two.day, two.rate) for one, two in pairwise(pieces))


def test_an_interval_without_length_is_priced_where_it_ends():
    schedule = Schedule(DEFAULT)
    for at_ns in (0, 24 * HOUR, 24 * HOUR - 1):
        (piece,) = price(schedule, 5, at_ns, at_ns)
        assert piece == Priced(5, schedule.at(at_ns).rate, schedule.at(at_ns).day)


def test_clocks_that_were_set_back_lose_no_energy():
    assert price(Schedule(DEFAULT), 7, 99 * HOUR, 50 * HOUR) == (
        Priced(7, Schedule(DEFAULT).at(0).rate, "1970-01-03"),
    )


def test_a_tick_that_ends_at_midnight_belongs_to_the_day_before():
    midnight_ns = 24 * HOUR
    (piece,) = price(Schedule(DEFAULT), 1000, midnight_ns - SECOND, midnight_ns)
    assert piece.day == "1970-01-01"
    (piece,) = price(Schedule(DEFAULT), 1000, midnight_ns, midnight_ns + SECOND)
    assert piece.day == "1970-01-02"


@st.composite
def ticks(draw: st.DrawFn) -> tuple[list[Priced], list[int]]:
    """Pieces and shares of the same energy."""
    size = st.one_of(st.integers(0, 5), ENERGY)
    shares = draw(st.lists(size, min_size=1, max_size=12))
    total = sum(shares)
    cuts = sorted(draw(st.lists(st.integers(0, total), max_size=12)))
    sizes = [after - before for before, after in zip([0, *cuts], [*cuts, total], strict=True)]
    return [Priced(mj, RATES[at % len(RATES)], f"day {at}") for at, mj in enumerate(sizes)], shares


@settings(max_examples=200)
@given(ticks())
def test_division_conserves_both_ways_and_is_proportional_within_a_millijoule(case):
    pieces, shares = case
    parts = divide(pieces, shares)
    assert [sum(part.energy_mj for part in mine) for mine in parts] == shares
    total = sum(shares)
    for piece in pieces:
        mine = [sum(p.energy_mj for p in one if (p.rate, p.day) == (piece.rate, piece.day)) for one in parts]
        assert sum(mine) == piece.energy_mj
        assert all(mj >= 0 for mj in mine)
        if total:
            off = [abs(mj - Fraction(piece.energy_mj * s, total)) for mj, s in zip(mine, shares, strict=True)]
            assert max(off) <= 1


@settings(max_examples=100)
@given(ticks())
def test_money_and_emissions_divided_are_whole(case):
    pieces, shares = case
    for units in ("cost_units", "credit_units", "emission_units"):
        whole = sum(piece.energy_mj * getattr(piece.rate, units) for piece in pieces)
        divided = sum(p.energy_mj * getattr(p.rate, units) for mine in divide(pieces, shares) for p in mine)
        assert divided == whole


def test_shares_of_many_pieces_do_not_drift():
    pieces = [Priced(100 + at % 2, RATE, str(at)) for at in range(30)]
    parts = divide(pieces, [2010, 1004, 1])
    assert [sum(part.energy_mj for part in mine) for mine in parts] == [2010, 1004, 1]
    assert {part.energy_mj for part in parts[0]} <= {66, 67, 68}
    assert {part.energy_mj for part in parts[1]} <= {33, 34}
    assert [part.energy_mj for part in parts[2]] == [1]


def test_one_piece_and_one_share_need_no_division():
    piece = Priced(9, RATE, "today")
    assert divide([piece], [9]) == [(piece,)]
    assert divide([piece], [4, 0, 5]) == [
        (Priced(4, RATE, "today"),),
        (Priced(0, RATE, "today"),),
        (Priced(5, RATE, "today"),),
    ]


def test_a_tick_over_a_change_of_prices_is_divided_like_its_time():
    cheap, dear = RATES[3], RATES[4]
    parts = divide([Priced(3000, cheap, "a"), Priced(1000, dear, "b")], [2400, 1600])
    assert parts == [
        (Priced(1800, cheap, "a"), Priced(600, dear, "b")),
        (Priced(1200, cheap, "a"), Priced(400, dear, "b")),
    ]


@pytest.mark.parametrize(
    ("price_nano", "cost", "credit"), [(120_000_000, "0.12", "0"), (0, "0", "0"), (-50_000_000, "0", "0.05")]
)
def test_a_kwh_costs_its_price_and_a_negative_price_is_a_credit(price_nano, cost, credit):
    rate = Rate("b", "EUR", price_nano, 10_000, 475_000)
    kwh_mj = 3_600_000_000
    assert Fraction(kwh_mj * rate.cost_units, MONEY_UNITS) == Fraction(cost)
    assert Fraction(kwh_mj * rate.credit_units, MONEY_UNITS) == Fraction(credit)
    assert Fraction(kwh_mj * rate.emission_units, EMISSION_UNITS) == 475


def test_pue_is_in_money_and_emissions():
    assert Fraction(3_600_000_000 * RATE.cost_units, MONEY_UNITS) == Fraction("0.220000001") * Fraction(
        "1.3333"
    )
    assert Fraction(3_600_000_000 * RATE.emission_units, EMISSION_UNITS) == 380 * Fraction("1.3333")
    paid_back = replace(RATE, price_nano=-RATE.price_nano)
    assert (paid_back.credit_units, paid_back.cost_units) == (RATE.cost_units, 0)


def test_ticks_of_a_quarter_second_sum_to_what_the_hour_is():
    schedule = Schedule(DEFAULT)
    ticks = [
        price(schedule, 150_001 + at % 7, at * SECOND // 4, (at + 1) * SECOND // 4) for at in range(4 * 3600)
    ]
    together = sum(piece.energy_mj * piece.rate.cost_units for pieces in ticks for piece in pieces)
    assert together == sum(150_001 + at % 7 for at in range(4 * 3600)) * 120_000_000 * 10_000
    assert all(len(pieces) == 1 for pieces in ticks)
