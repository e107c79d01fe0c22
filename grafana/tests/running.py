"""A stack that runs: it is hurried, waited for and asked."""

import re
import time
from pathlib import Path

import requests
from grafana.tests.chosen import filled
from grafana.tests.conftest import Json
from scripts.stack.stack import Stack


def hurry(stack: Stack) -> None:
    """Evaluate the rules of minutes and hours every second."""
    file = stack.folder / "etc" / "prometheus" / "prometheus.yml"
    copies = stack.folder / "etc" / "rules"
    copies.mkdir()
    for rules in (Path(__file__).parents[2] / "prometheus" / "rules").glob("*.yml"):
        quick = re.sub(r"^    interval: \w+$", "    interval: 1s", rules.read_text(), flags=re.MULTILINE)
        # The mean of a week reads a sample each quarter of an hour: the first of them cannot be waited for.
        quick = quick.replace("[7d:15m]", "[1h:10s]")
        (copies / rules.name).write_text(quick)
    file.write_text(
        re.sub(r"^- \S+/rules/\*\.yml$", f"- {copies}/*.yml", file.read_text(), flags=re.MULTILINE)
    )
    assert f"- {copies}/*.yml" in file.read_text()


def wait_for(url: str, expression: str, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not series(url, expression):
        assert time.monotonic() < deadline, expression
        time.sleep(0.2)


def ask(url: str, expression: str) -> list[Json]:
    """The series that the expression gives at this moment."""
    answer = requests.get(f"{url}/api/v1/query", params={"query": filled(expression)}, timeout=10).json()
    assert answer["status"] == "success", (expression, answer)
    found: list[Json] = answer["data"]["result"]
    return found


def series(url: str, expression: str) -> int:
    """How many there are."""
    return len(ask(url, expression))
