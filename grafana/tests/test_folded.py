"""Coarse tiles answer until somebody chooses what they have lost, fine ones from then on: never both."""

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from grafana.ledger import KWH, per_hour, total
from grafana.overtime import Split, daily
from grafana.queries import FINE, FOLDED, select
from grafana.variables import top_users

from gputally.report.questions import TEAM

# What was used, in one hour: by team, user and model. A job that names no model is in the sums, too.
USED = {
    ("nlp", "ada", "bert"): 1,
    ("nlp", "ada", ""): 2,
    ("nlp", "bob", "vit"): 4,
    ("vision", "eve", "vit"): 8,
}
ALL = {"team": ".*", "user": ".*", "model": ".*"}
RULE = "gpu_energy_kwh:increase1h"


def tiles(keep: tuple[str, ...], level: str, wrong: int) -> list[dict[str, str]]:
    """Two hours of tiles of one level, `wrong` too high, so that it is seen which has answered."""
    sums: dict[tuple[str, ...], int] = {}
    for who, amount in USED.items():
        names = dict(zip(("team", "user", "model"), who, strict=True))
        key = tuple(names[label] for label in keep)
        sums[key] = sums.get(key, 0) + amount
    found = []
    for key, amount in sums.items():
        labels = ", ".join(f'{label}="{value}"' for label, value in zip(keep, key, strict=True) if value)
        found.append({"series": f'{level}:{RULE}{{cluster="c", {labels}}}', "values": f"{amount + wrong}x1"})
    return found


def answers(folder: Path, expr: str, chosen: dict[str, str]) -> dict[tuple[str, ...], float]:
    """What promtool's Prometheus makes of it, by the labels' values."""
    values = {**ALL, **chosen, "cluster": ".*", "__range": "90m", "__interval": "90m"}
    for name in sorted(values, key=len, reverse=True):
        expr = expr.replace(f"${name}", values[name])
    series = [{"series": f'cluster:{RULE}{{cluster="c"}}', "values": "15x1"}]
    series += tiles(("team", "user", "model"), FINE, 0)
    for number, (level, kept) in enumerate(FOLDED.items(), start=1):
        series += tiles(kept, level, 100 * number)
    asked = {"expr": expr, "eval_time": "1h", "exp_samples": []}
    test = {"interval": "1h", "input_series": series, "promql_expr_test": [asked]}
    file = folder / "test.yml"
    file.write_text(yaml.safe_dump({"rule_files": [], "evaluation_interval": "1h", "tests": [test]}))
    command = ["promtool", "test", "rules", str(file)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "parse error" not in ran.stderr
    (got,) = re.findall(r"got:(.*)", ran.stderr) or [""]
    return {
        tuple(re.findall(r'="([^"]*)"', labels)): float(value)
        for labels, value in re.findall(r"\{([^}]*)\} ([-+.\deE]+)", got)
    }


@pytest.mark.parametrize(
    ("by", "chosen", "expected"),
    [
        # Two hours each. While everything is chosen the coarse tiles answer, 100 to 300 too high each.
        (("team",), {}, {("nlp",): 2 * (7 + 200), ("vision",): 2 * (8 + 200)}),
        (("team",), {"team": "nlp"}, {("nlp",): 2 * (7 + 200)}),
        (("team", "user"), {"user": "(bob|eve)"}, {("nlp", "bob"): 2 * 304, ("vision", "eve"): 2 * 308}),
        (("model",), {}, {(): 2 * 102, ("bert",): 2 * 101, ("vit",): 2 * 112}),
        # From the first choice among what they have lost the fine ones do, which are right.
        (("team",), {"model": "vit"}, {("nlp",): 8, ("vision",): 16}),
        (("team",), {"user": "(ada|eve)"}, {("nlp",): 6, ("vision",): 16}),
        (("team", "user"), {"model": "bert"}, {("nlp", "ada"): 2}),
        (("team",), {"model": "(bert|vit)", "team": "nlp"}, {("nlp",): 10}),
        (("model",), {"team": "nlp"}, {(): 4, ("bert",): 2, ("vit",): 8}),
        (("model",), {"user": "eve"}, {("vit",): 16}),
        (("model",), {"team": "nlp", "user": "(ada|bob)"}, {(): 4, ("bert",): 2, ("vit",): 8}),
        (("user", "model"), {"team": "vision"}, {("vit", "eve"): 16}),
        (("team",), {"model": "nobody's"}, {}),
    ],
)
def test_each_choice_is_answered_by_the_coarsest_tiles_that_can(
    tmp_path: Path, by: tuple[str, ...], chosen: dict[str, str], expected: dict[tuple[str, ...], float]
) -> None:
    assert answers(tmp_path, select(total(TEAM["kwh"], *by)), chosen) == expected


def test_over_time_they_are_asked_alike(tmp_path: Path) -> None:
    asked = select(per_hour(TEAM["kwh"], "team"))
    assert answers(tmp_path, asked, {"model": "vit"}) == {("nlp",): 4, ("vision",): 8}
    assert answers(tmp_path, asked, {"team": "vision"}) == {("vision",): 208}


@pytest.mark.parametrize(
    ("top", "shown", "others"),
    [
        # Chosen by team and model, so that the fine tiles answer, which are right.
        ("(bob|eve)", {("bob",): 8, ("eve",): 16}, 0),
        ("(eve)", {("eve",): 16}, 8),
        ("", {}, 24),
    ],
)
def test_bars_of_users_read_those_of_the_page_s_variable_and_the_others_are_the_rest(
    tmp_path: Path, top: str, shown: dict[tuple[str, ...], float], others: float
) -> None:
    first, second = daily("Users", "What each used.", Split(TEAM["kwh"], "user", "none"))["targets"]
    chosen = {"team": "(nlp|vision)", "model": "vit", "top_user": top}
    assert answers(tmp_path, first["expr"], chosen) == shown
    assert answers(tmp_path, second["expr"], chosen) == {(): others}


def test_who_has_no_name_is_shown_with_the_users_of_the_variable() -> None:
    """Its names come out of the labels in what query_result() lists, where an empty label does not stand."""
    rows = ('{currency="EUR",user="ada"} 3 1', '{currency="EUR"} 2 1', '{user="c.d e",currency="EUR"} 1 1')
    pattern = re.compile(top_users()["regex"].strip("/"))
    assert [found[1] for row in rows if (found := pattern.search(row))] == ["ada", "c.d e"]
    first, _ = daily("Users", "What each used.", Split(TEAM["kwh"], "user", "none"))["targets"]
    assert 'user=~"$top_user|"' in first["expr"]


def test_bars_of_few_are_of_those_with_most_and_nobody_else_is_a_zero(tmp_path: Path) -> None:
    first, second = daily("Teams", "What each used.", Split(TEAM["kwh"], "team", "none"))["targets"]
    assert answers(tmp_path, first["expr"], {"model": "vit"}) == {("nlp",): 8, ("vision",): 16}
    assert answers(tmp_path, second["expr"], {"model": "vit"}) == {(): 0}
    one = second["expr"].replace("topk(10", "topk(1")
    assert answers(tmp_path, one, {"model": "vit"}) == {(): 8}
    machines = Split(replace(KWH, rule=f"instance:{RULE}"), "instance", "none")
    _, others = daily("Machines", "What each used.", machines)["targets"]
    assert answers(tmp_path, others["expr"], {"instance": ".*", "job": ".*"}) == {(): 0}
