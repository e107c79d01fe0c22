"""What the page about budgets says of teams in two currencies, and its line on the page of teams."""

from pathlib import Path

import pytest
from grafana.tests.conftest import DASHBOARDS, panels, variables
from grafana.tests.pages import column_of, query_of
from grafana.tests.written import check, constant

from gputally.model.budget import PARTS

PAGE, TEAMS = DASHBOARDS["gputally-budgets"], DASHBOARDS["gputally-teams"]
TABLE = "Budgets ($currency)"
NLP, CV = 'cluster="c", team="nlp"', 'cluster="c", team="cv"'
# The tests' $currency is USD; whatever is in SEK is of no sum.
SERIES = {
    f'site_budget_info{{{NLP}, period="month", name="2026-11", currency="USD"}}': constant(1),
    f'site_budget_info{{{CV}, period="month", name="2026-11", currency="SEK"}}': constant(1),
    f'team:gpu_budget_credit_cost:period{{{NLP}, currency="USD", part="amount"}}': constant(100),
    f'team:gpu_budget_credit_cost:period{{{NLP}, currency="USD", part="deposits"}}': constant(20),
    f'team:gpu_budget_credit_cost:period{{{CV}, currency="SEK", part="amount"}}': constant(900),
    f'team:gpu_budget_spent_cost:period{{{NLP}, currency="USD", part="energy"}}': constant(90),
    f'team:gpu_budget_spent_cost:period{{{NLP}, currency="USD", part="bills"}}': constant(60),
    f'team:gpu_budget_spent_cost:period{{{CV}, currency="SEK", part="energy"}}': constant(1),
    f'team:gpu_budget_balance_cost:period{{{NLP}, currency="USD"}}': constant(-30),
    f'team:gpu_budget_burn_cost_per_hour:avg3d{{{NLP}, currency="USD"}}': constant(0.5),
    f'team:gpu_budget_forecast_cost:period{{{NLP}, currency="USD"}}': constant(180),
    f"team:gpu_budget_used:ratio{{{NLP}}}": constant(1.25),
    f"team:gpu_budget_used:ratio{{{CV}}}": constant(0.001),
    f"team:gpu_budget_forecast:ratio{{{NLP}}}": constant(1.5),
    f"team:gpu_budget_forecast:ratio{{{CV}}}": constant(0.002),
    f"team:gpu_budget_left_days:ratio{{{NLP}}}": constant(0),
    f"team:gpu_budget_known:ratio{{{NLP}}}": constant(1),
}
ONE = f"{{{NLP}}}"


@pytest.mark.parametrize(
    ("column", "amount"),
    [
        ("Credit", 120.0),
        ("Spent", 150.0),
        ("Used", 1.25),
        ("Left", -30.0),
        ("A day", 12.0),
        ("At the end", 180.0),
        ("Forecast", 1.5),
        ("Days left", 0.0),
        ("Known", 1.0),
    ],
)
def test_a_row_is_one_teams_budget_in_the_chosen_currency(tmp_path: Path, column: str, amount: float) -> None:
    check(tmp_path, column_of(PAGE, TABLE, column), SERIES, {ONE: amount})


@pytest.mark.parametrize(
    ("tile", "amount"),
    [
        ("Credit ($currency)", 120.0),
        ("Spent ($currency)", 150.0),
        ("Left ($currency)", -30.0),
        ("Overspent budgets, of those in $currency", 1.0),
    ],
)
def test_tiles_are_of_all_budgets_of_the_currency(tmp_path: Path, tile: str, amount: float) -> None:
    check(tmp_path, query_of(PAGE, tile), SERIES, {"{}": amount})


def test_the_page_of_teams_has_a_line_of_budgets(tmp_path: Path) -> None:
    for column, amount in {
        "Credit": 120.0,
        "Spent": 150.0,
        "Used": 1.25,
        "Left": -30.0,
        "Forecast": 1.5,
    }.items():
        check(tmp_path, column_of(TEAMS, TABLE, column), SERIES, {ONE: amount})


def test_every_part_of_credit_and_cost_has_its_column() -> None:
    (paid,) = (
        str(panel["targets"]) for panel in panels(PAGE) if panel["title"] == "What was paid ($currency)"
    )
    (there,) = (
        str(panel["targets"]) for panel in panels(PAGE) if panel["title"] == "What there is ($currency)"
    )
    assert all(f'part="{part}"' in paid for part in (*PARTS, "rental"))
    assert all(f'part="{part}"' in there for part in ("amount", "carried", "deposits", "corrections"))


def test_currencies_are_those_of_budgets() -> None:
    (currency,) = (one for one in variables(PAGE, "query") if one["name"] == "currency")
    assert "site_budget_info" in currency["definition"]
