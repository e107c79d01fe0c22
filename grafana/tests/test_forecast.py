"""Forecast and comparisons against sums done by hand, in promtool: weeks that no test can wait for.

Its clock begins on 1 January 1970. The site's is two hours ahead, and day d of January costs d, evenly.
"""

import subprocess
from collections.abc import Callable, Iterable
from datetime import date, timedelta
from pathlib import Path

import pytest
import yaml
from grafana.compared import week
from grafana.forecast import forecast, month_to_date
from grafana.ledger import before
from grafana.queries import select
from grafana.tests.chosen import filled

from gputally.report.questions import TEAM

STEP_S = 300
SAMPLES_A_DAY = 86400 // STEP_S
AHEAD = 2 * 3600 // STEP_S
NEW_YEAR = date(1970, 1, 1)
Row = dict[str, str]


def row(name: str, labels: str, begin: int, values: Iterable[float]) -> Row:
    """A series from a sample of the test on; there are none before its beginning."""
    shown = [f"{value:.9g}" for value in list(values)[max(0, -begin) :]]
    return {"series": f"{name}{{{labels}}}", "values": " ".join(["_"] * max(0, begin) + shown + ["stale"])}


def days(first: int, count: int, cost: Callable[[int], float] = float) -> list[Row]:
    """Days from the n-th of January on, as the site agent and the rules would tell them."""
    rows = []
    for number in range(first, first + count):
        day = f'cluster="c", day="{NEW_YEAR + timedelta(number - 1)}"'
        begin = (number - 1) * SAMPLES_A_DAY - AHEAD
        grown = [cost(number) * sample / SAMPLES_A_DAY for sample in range(SAMPLES_A_DAY)]
        kept = [cost(number)] * (2 * SAMPLES_A_DAY + 12)  # agents show two days, the rule looks back 25 h
        rows += [
            row("site_day_info", f'{day}, instance="s"', begin, [1.0] * SAMPLES_A_DAY),
            row("cluster:gpu_cost_day:sum", f'{day}, currency="USD"', begin, grown + kept),
            # One series of today, in pieces that do not touch: labels of its own keep them apart.
            row("cluster:gpu_cost_today:sum", f'cluster="c", currency="USD", n="{number}"', begin, grown),
        ]
    return rows


def check(folder: Path, rows: list[Row], expression: str, hours: float, value: float | None) -> None:
    """Let promtool evaluate a query so many hours after New Year; None: no answer."""
    expr = f"round(sum({filled(expression)}), 0.001)"
    expected = [] if value is None else [{"labels": "{}", "value": value}]
    case = {"expr": expr, "eval_time": f"{round(hours * 60)}m", "exp_samples": expected}
    test = {"interval": f"{STEP_S}s", "input_series": rows, "promql_expr_test": [case]}
    file = folder / "test.yml"
    file.write_text(yaml.safe_dump({"rule_files": [], "evaluation_interval": "30m", "tests": [test]}))
    done = subprocess.run(["promtool", "test", "rules", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def at(day: int, hour: float) -> float:
    """An hour of the site's clock on the n-th of January, in hours after New Year."""
    return (day - 1) * 24 + hour - 2


@pytest.mark.parametrize(
    ("first", "day", "hour", "value"),
    [
        # 1 to 19, today and the 11 days that are left at the mean of 13 to 19, which is 16
        pytest.param(2, 20, 15, 189 + 16 + 11 * 16, id="in-the-middle"),
        # today has cost more than that already
        pytest.param(2, 20, 23, round(189 + 20 * 23 / 24 + 11 * 16, 3), id="a-dear-day"),
        pytest.param(2, 31, 23.5, round(sum(range(2, 31)) + 31 * 23.5 / 24, 3), id="the-last-evening"),
        # by UTC it is still January: 28 days at the mean of 25 to 31
        pytest.param(20, 32, 0.5, 28 * 28, id="the-first-half-hour-of-a-month"),
        # the evening before, by UTC and the site's clock the same day
        pytest.param(18, 20, 15, 18 + 19 + 12 * 18.5, id="two-whole-days-are-known"),
        pytest.param(20, 20, 15, None, id="none-is-known"),
    ],
)
def test_the_month_is_its_days_so_far_and_the_mean_of_the_last_seven(
    tmp_path: Path, first: int, day: int, hour: float, value: float | None
) -> None:
    check(tmp_path, days(first, day + 1 - first), select(forecast()), at(day, hour), value)


def test_the_month_so_far_has_no_day_of_the_month_before(tmp_path: Path) -> None:
    check(tmp_path, days(28, 6), select(month_to_date()), at(33, 12), 32 + 33 / 2)


def tiles(name: str, labels: str, first: int, hours: list[float]) -> Row:
    """One an hour, from an hour of the test on."""
    values = [text for value in hours for text in (f"{value:.9g}", *["_"] * (3600 // STEP_S - 1))]
    return {"series": f"{name}{{{labels}}}", "values": " ".join(["_"] * (first * 12) + values)}


WEEK_H = 7 * 24
OF_WEEK = str(week()["targets"][0]["expr"])


@pytest.mark.parametrize(
    ("first", "value"),
    [
        pytest.param(0, 1.2, id="two-weeks"),
        pytest.param(1, 1.207, id="two-weeks-less-an-hour"),
        pytest.param(48, None, id="five-days-are-no-week"),
        pytest.param(2 * WEEK_H, None, id="nothing-before"),
    ],
)
def test_a_week_is_compared_with_a_whole_week_or_not_at_all(
    tmp_path: Path, first: int, value: float | None
) -> None:
    begin = min(first, WEEK_H)
    hours = [1.0] * (WEEK_H - begin) + [1.2] * WEEK_H
    rows = [
        tiles("cluster:gpu_energy_cost:increase1h", 'cluster="c", currency="USD"', begin, hours),
        tiles("cluster:gpu_energy_kwh:increase1h", 'cluster="c"', begin, hours),
    ]
    # What is not known is NaN, which is greater than nothing.
    check(tmp_path, rows, f"({OF_WEEK}) > 0", 2 * WEEK_H - 0.5, value)


def test_each_team_is_compared_with_itself(tmp_path: Path) -> None:
    """Of a day: its range is the page's, 5 minutes in tests."""
    expression = select(before(TEAM["cost"], "team")).replace("$__range", "24h")
    rows = [tiles("cluster:gpu_energy_kwh:increase1h", 'cluster="c"', 0, [1.0] * 48)] + [
        tiles(
            "team:gpu_cost:increase1h",  # the coarsest that has teams
            f'cluster="c", team="{team}", user="u", currency="USD"',
            0,
            [cost] * 24 + [9.0] * 24,
        )
        for team, cost in (("nlp", 0.5), ("vision", 2.0))
    ]
    one_team = f"sum({expression}) - 24 * 2"
    check(tmp_path, rows, one_team, 47.5, 12)
