"""The dashboards as they are committed, and what the tests read out of them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

GRAFANA = Path(__file__).parents[1]
FILES = sorted((GRAFANA / "dashboards").glob("*.json"))
Json = dict[str, Any]


def panels(dashboard: Json) -> Iterator[Json]:
    """Every panel, those of collapsed rows too; rows themselves are headings."""
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            yield from panel["panels"]
        else:
            yield panel


def targets(dashboard: Json) -> Iterator[tuple[Json, Json]]:
    """Every query, with its panel; durations and numbers that the reader may choose are as the page opens."""
    written = [*variables(dashboard, "custom"), *variables(dashboard, "textbox")]
    chosen = {one["name"]: one["current"]["value"] for one in written}
    for panel in panels(dashboard):
        for target in panel["targets"]:
            expr = target["expr"]
            for name, value in chosen.items():
                expr = expr.replace(f"${name}", value)
            yield panel, target | {"expr": expr}


def variables(dashboard: Json, kind: str) -> list[Json]:
    """The page's variables of one type, in their order."""
    return [one for one in dashboard["templating"]["list"] if one["type"] == kind]


DASHBOARDS: dict[str, Json] = {path.stem: json.loads(path.read_text()) for path in FILES}
PANELS = [(name, panel) for name, body in DASHBOARDS.items() for panel in panels(body)]
QUERIES = [(name, panel, target) for name, body in DASHBOARDS.items() for panel, target in targets(body)]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test case for each dashboard, panel or query that a test asks for by name."""
    if "dashboard" in metafunc.fixturenames:
        metafunc.parametrize("dashboard", DASHBOARDS.values(), ids=DASHBOARDS.keys())
    if "panel" in metafunc.fixturenames:
        metafunc.parametrize("panel", [panel for _, panel in PANELS], ids=[_title(*row) for row in PANELS])
    if "query" in metafunc.fixturenames:
        ids = [f"{_title(name, panel)}-{target['refId']}" for name, panel, target in QUERIES]
        metafunc.parametrize("query", [target["expr"] for *_, target in QUERIES], ids=ids)


def _title(name: str, panel: Json) -> str:
    return f"{name.removeprefix('gputally-')}: {panel['title']}"
