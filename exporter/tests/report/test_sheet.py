"""Sums, currencies, order and pages; nothing is rounded before it is written."""

from __future__ import annotations

from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gputally.report.ranges import Range
from gputally.report.sheet import Amounts, Sheet, best_first, together

HOUR = Range(0, 3600, ZoneInfo("UTC"))
amounts_of_money = st.decimals(0, 10**9, places=13)


def amounts(numbers: dict[str, str] | None = None, **money: dict[str, str]) -> Amounts:
    made = Amounts()
    for column, value in (numbers or {}).items():
        made.add(column, Decimal(value))
    for currency, columns in money.items():
        for column, value in columns.items():
            made.add(column, Decimal(value), currency)
    return made


def test_two_currencies_are_two_rows_and_the_rest_stands_once():
    mixed = amounts({"kwh": "2"}, USD={"cost": "1"}, EUR={"cost": "3"})
    assert mixed.rows({"team": "nlp"}) == [
        {"team": "nlp", "kwh": 2, "currency": "EUR", "cost": 3},
        {"team": "nlp", "currency": "USD", "cost": 1},
    ]


def test_a_currency_in_which_nothing_was_spent_is_no_row_unless_it_is_the_only_one():
    assert [row["currency"] for row in amounts({}, USD={"cost": "0"}, EUR={"cost": "3"}).rows({})] == ["EUR"]
    assert amounts({}, USD={"cost": "0"}).rows({}) == [{"currency": "USD", "cost": 0}]
    assert amounts({"kwh": "1"}).rows({}) == [{"kwh": 1}]


@given(st.lists(st.tuples(st.sampled_from(["EUR", "USD"]), amounts_of_money), max_size=30))
def test_a_total_is_the_sum_of_its_rows_to_the_last_digit(parts):
    groups = [amounts({"kwh": str(value)}, **{currency: {"cost": str(value)}}) for currency, value in parts]
    total = together(groups)
    assert total.numbers.get("kwh", 0) == sum(value for _, value in parts)
    for currency, columns in total.money.items():
        assert columns["cost"] == sum(value for one, value in parts if one == currency)


def test_hours_not_used_are_what_was_held_and_not_busy_and_never_below_nothing():
    for busy, unused in (("3", 5), ("8", 0), ("8.001", 0)):
        some = amounts({"gpu_hours": "8", "busy_hours": busy})
        some.settle()
        assert some.numbers["unused_hours"] == unused
        assert some.rows({})[0]["utilization"] == min(1, Decimal(busy) / 8)
    nothing = amounts({"gpu_hours": "0", "busy_hours": "0"})
    nothing.settle()
    assert "utilization" not in nothing.rows({})[0]
    only = amounts({"busy_hours": "1"})
    only.settle()
    assert "unused_hours" not in only.numbers


def test_the_mean_of_a_total_is_of_sums_and_no_mean_of_means():
    total = together(
        [amounts({"gpu_hours": "9", "busy_hours": "9"}), amounts({"gpu_hours": "1", "busy_hours": "0"})]
    )
    assert total.rows({})[0]["utilization"] == Decimal("0.9")


def test_the_greatest_value_stays():
    seen = Amounts()
    for value in ("1", "3", "2"):
        seen.raise_to("kwh", Decimal(value))
        seen.raise_to("cost", Decimal(value), "EUR")
    assert (seen.numbers, seen.money) == ({"kwh": 3}, {"EUR": {"cost": 3}})


def test_the_dearest_come_first_then_those_with_more_energy_then_by_name():
    groups = {
        ("b",): amounts({"kwh": "1"}, EUR={"cost": "5"}),
        ("a",): amounts({"kwh": "1"}, EUR={"cost": "5"}),
        ("c",): amounts({"kwh": "9"}, USD={"cost": "5"}),
        ("d",): amounts({"kwh": "99"}),
        ("e",): amounts({"kwh": "1"}, EUR={"cost": "6"}),
    }
    assert [key[0] for key in best_first(groups, "cost", days=False)] == ["e", "c", "a", "b", "d"]


def test_days_are_in_order_whatever_they_cost():
    groups = {
        ("2026-03-02", "a"): amounts({}, EUR={"cost": "9"}),
        ("2026-03-01", "a"): amounts({}, EUR={"cost": "1"}),
        ("2026-03-01", "b"): amounts({}, EUR={"cost": "2"}),
    }
    found = best_first(groups, "cost", days=True)
    assert found == [("2026-03-01", "b"), ("2026-03-01", "a"), ("2026-03-02", "a")]


def test_pages_cover_all_rows_once_and_there_is_none_beyond():
    sheet = Sheet("teams", HOUR, (), [{"n": Decimal(n)} for n in range(7)], ())
    assert sheet.shown() == sheet.rows
    pages = [sheet.turned(page, 3) for page in (1, 2, 3)]
    assert [len(page.shown()) for page in pages] == [3, 3, 1]
    assert [row for page in pages for row in page.shown()] == sheet.rows
    assert pages[0].pages == 3
    with pytest.raises(ValueError, match="--page 4: there are 3, of 7 rows"):
        sheet.turned(4, 3)
    assert Sheet("teams", HOUR, (), [], ()).turned(1, 3).pages == 1


def test_nothing_is_what_is_zero_everywhere():
    assert amounts({"kwh": "0"}, EUR={"cost": "0"}).nothing()
    assert Amounts().nothing()
    assert not amounts({"kwh": "0"}, EUR={"cost": "0.0000001"}).nothing()
    assert not amounts({"jobs": "1"}).nothing()
