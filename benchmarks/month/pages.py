"""The queries of a dashboard as Grafana sends them: variables, then panels, out of the page's own JSON."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

SCRAPE_S = 15
TIMEOUT_S = 300
POINTS = 1000  # a panel as wide as half a screen
# Grafana's own ladder: the interval is the step, the bound is the exact value up to which it is taken.
LADDER_S = (
    *((7.5, 5), (12.5, 10), (17.5, 15), (25, 20), (45, 30), (90, 60), (210, 120), (450, 300), (750, 600)),
    *((1050, 900), (1500, 1200), (2700, 1800), (5400, 3600), (9000, 7200), (16200, 10800), (32400, 21600)),
)
_LABEL_VALUES = re.compile(r"^label_values\(\s*(?:(?P<series>.+),)?\s*(?P<label>\w+)\s*\)$", re.DOTALL)
_DURATION = re.compile(r"(\d+)([smhdwMy])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "M": 2592000, "y": 31536000}
Json = dict[str, Any]


@dataclass(frozen=True)
class Question:
    """One request to Prometheus' HTTP API, and who asks it."""

    asker: str
    path: str
    form: tuple[tuple[str, str], ...]

    @property
    def text(self) -> str:
        """The expression."""
        return dict(self.form).get("query") or dict(self.form).get("match[]", "")


class Session:
    """Asks on one connection that is kept open, as Grafana's data source does."""

    def __init__(self, address: str) -> None:
        self._address, self._session = address, requests.Session()

    def ask(self, question: Question) -> Any:  # noqa: ANN401 - JSON
        """The answer's data. Raises SystemExit with Prometheus' words if it refuses."""
        return self._send(question).json()["data"]

    def fetch(self, question: Question) -> int:
        """Read the answer and leave it: only its size counts."""
        return len(self._send(question).content)

    def _send(self, question: Question) -> requests.Response:
        url = f"{self._address}/api/v1/{question.path}"
        if question.path in {"query", "query_range"}:
            answer = self._session.post(url, data=question.form, timeout=TIMEOUT_S)
        else:
            answer = self._session.get(url, params=question.form, timeout=TIMEOUT_S)
        if answer.status_code != requests.codes.ok:
            raise SystemExit(f"{question.asker}: {answer.text[:500]}\n  {question.text}")
        return answer


def seconds(duration: str) -> int:
    """`1d` or `1h30m` in seconds."""
    return sum(int(number) * _SECONDS[unit] for number, unit in _DURATION.findall(duration))


@dataclass(frozen=True)
class Span:
    """The time range of a page."""

    end_s: int
    length_s: int

    def step_s(self, least_s: int = SCRAPE_S, points: int = POINTS) -> int:
        """Distance of the points of a panel."""
        exact = self.length_s / points
        return max(next((step for bound, step in LADDER_S if exact < bound), 86400), least_s)

    def builtin(self, step_s: int) -> dict[str, str]:
        """Grafana's own variables."""
        rate_s = max(step_s + SCRAPE_S, 4 * SCRAPE_S)
        return {
            "__interval": f"{step_s}s",
            "__interval_ms": f"{step_s * 1000}",
            "__rate_interval": f"{rate_s}s",
            "__range": f"{self.length_s}s",
            "__range_s": f"{self.length_s}",
            "__range_ms": f"{self.length_s * 1000}",
            "__from": f"{(self.end_s - self.length_s) * 1000}",
            "__to": f"{self.end_s * 1000}",
        }


def filled(text: str, values: dict[str, str]) -> str:
    """Put variables into a text: $name, ${name}, ${name:format}, [[name]]."""
    for name in sorted(values, key=len, reverse=True):
        written = rf"\$\{{{name}(?::\w+)?\}}|\[\[{name}\]\]|\${name}\b"
        text = re.sub(written, values[name].replace("\\", r"\\"), text)
    return text


class Page:
    """One dashboard."""

    def __init__(self, file: Path) -> None:
        body = json.loads(file.read_text())
        self.name: str = body["uid"]
        self._variables: list[Json] = body["templating"]["list"]
        self._panels = list(_leaves(body["panels"]))

    def expressions(self) -> Iterator[tuple[str, bool]]:
        """All that the page can ask, variables unfilled, and whether it looks back over the whole range."""
        for variable in self._variables:
            if variable["type"] == "query":
                yield _definition(variable), True
        for panel in self._panels:
            for target in panel.get("targets", []):
                yield target["expr"], target.get("range", not target.get("instant"))

    def questions(self, session: Session, span: Span) -> Iterator[Question]:
        """All requests of one opening, in order. Variables are asked here: the rest depends on them."""
        values: dict[str, str] = {}
        for variable in self._variables:
            if variable["type"] == "query":
                question = self._of_variable(variable, span, values)
                yield question
                found = _values(session.ask(question), variable)
                values[variable["name"]] = _chosen(variable, found)
            elif variable["type"] != "datasource":
                values[variable["name"]] = _chosen(variable, str(variable.get("query", "")).split(","))
        for panel in self._panels:
            for target in panel.get("targets", []):
                yield from self._of_target(panel, target, span, values)

    def _of_variable(self, variable: Json, span: Span, values: dict[str, str]) -> Question:
        text = filled(_definition(variable), values | span.builtin(SCRAPE_S))
        bounds = (("start", f"{span.end_s - span.length_s}"), ("end", f"{span.end_s}"))
        asker = f"{self.name}: ${variable['name']}"
        if found := _LABEL_VALUES.match(text):
            match = (("match[]", found["series"].strip()),) if found["series"] else ()
            return Question(asker, f"label/{found['label']}/values", match + bounds)
        expression = text.removeprefix("query_result(").removesuffix(")")
        return Question(asker, "query", (("query", expression), ("time", f"{span.end_s}")))

    def _of_target(self, panel: Json, target: Json, span: Span, values: dict[str, str]) -> Iterator[Question]:
        if panel.get("timeFrom"):
            span = Span(span.end_s, seconds(panel["timeFrom"]))
        least_s = seconds(target.get("interval") or panel.get("interval") or "15s")
        step_s = span.step_s(least_s, panel.get("maxDataPoints") or POINTS)
        asker = f"{self.name}: {panel['title']} {target['refId']}"
        query = (("query", filled(target["expr"], values | span.builtin(step_s))),)
        if target.get("range", not target.get("instant")):
            begin = (span.end_s - span.length_s) // step_s * step_s
            until = span.end_s // step_s * step_s
            bounds = (("start", f"{begin}"), ("end", f"{until}"), ("step", f"{step_s}"))
            yield Question(asker, "query_range", query + bounds)
        if target.get("instant"):
            yield Question(asker, "query", (*query, ("time", f"{span.end_s}")))


def _leaves(panels: list[Json]) -> Iterator[Json]:
    for panel in panels:
        yield panel
        yield from _leaves(panel.get("panels", []))


def _definition(variable: Json) -> str:
    query = variable["query"]
    return str(query["query"] if isinstance(query, dict) else query)


def _values(data: Any, variable: Json) -> list[str]:  # noqa: ANN401 - JSON
    if isinstance(data, dict):  # query_result: a text for each series, from which a regular expression picks
        data = [json.dumps(row["metric"]) + f" {row['value'][1]}" for row in data["result"]]
    if pattern := variable.get("regex", "").strip("/"):
        found = [re.search(pattern.replace("?<", "?P<"), value) for value in data]
        return [(match.groups() or (match[0],))[0] for match in found if match]
    return list(data)


def _chosen(variable: Json, found: list[str]) -> str:
    """What stands in a query while the page shows everything it can, or else its first or stored choice."""
    if variable.get("includeAll"):
        return variable.get("allValue") or "(" + "|".join(map(re.escape, found)) + ")"
    current = variable.get("current", {}).get("value", "")
    stored = current[0] if isinstance(current, list) and current else current
    return str(stored or (found[0] if found else ""))
