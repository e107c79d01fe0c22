"""Prometheus and VictoriaMetrics with the same samples in both, asked the same."""

import json
import subprocess
from pathlib import Path

import requests
from central.tests.programs import Store
from central.tests.samples import END_S, START_S, milliseconds
from prometheus.tests.conftest import RULES, Rule
from prometheus.tests.server import Server

from gputally.config.durations import parse_ns

Answer = dict[str, float]  # labels as JSON -> value
_OFFSET_S = 9.1  # evaluations, too, lie on no edge


class Pair:
    """Both. What rules record is Prometheus' own in both of them: each rule is compared by itself."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._server, self._store = Server(folder), Store(folder)
        self.recorded: set[str] = set()

    def fill(self, text: str) -> None:
        """Take samples, then what the rules make of them, those that read others' results after those."""
        self._store.start()
        self._load(text)
        while text:
            self._server.start()
            series = {rule.name: self._record(rule) for rule in RULES if rule.name not in self.recorded}
            text = "".join(f"# TYPE {name} gauge\n{rows}" for name, rows in series.items() if rows)
            self.recorded |= {name for name, rows in series.items() if rows}
            if text:
                self._server.stop()
                self._load(f"{text}# EOF\n")

    def stop(self) -> None:
        """End both."""
        self._server.stop()
        self._store.program.stop()

    def ask(self, expression: str, time_s: float) -> tuple[Answer, Answer]:
        """What Prometheus answers, and what VictoriaMetrics."""
        given = {"query": expression, "time": f"{time_s:.3f}"}
        return (_answer(self._server.url, given), _answer(self._store.url, given))

    def _load(self, text: str) -> None:
        """A stopped Prometheus takes blocks; the other takes samples as it runs."""
        path = self._folder / "samples"
        path.write_text(text)
        argv = ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(path), str(self._server.data)]
        subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
        self._store.put(milliseconds(text))

    def _record(self, rule: Rule) -> str:
        step = parse_ns(rule.group.get("interval", "15s")) // 10**9
        given = {"query": rule.expr, "start": START_S + _OFFSET_S, "end": END_S, "step": step}
        return "".join(
            f"{rule.name}{_braces(found['metric'] | rule.body.get('labels', {}))} {value} {at:.3f}\n"
            for found in _result(self._server.url, "query_range", given)
            for at, value in found["values"]
        )


def _answer(url: str, given: dict[str, str]) -> Answer:
    """Without the metric's name, which MetricsQL keeps through max_over_time and its like; rules do not."""
    rows = _result(url, "query", given)
    found = {_key(row["metric"]): float(row["value"][1]) for row in rows}
    assert len(found) == len(rows), (given, rows)
    return found


def _key(labels: dict[str, str]) -> str:
    return json.dumps({name: value for name, value in labels.items() if name != "__name__"}, sort_keys=True)


def _result(url: str, path: str, given: dict) -> list[dict]:
    answer = requests.post(f"{url}/api/v1/{path}", data=given, timeout=60).json()
    assert answer["status"] == "success", (given, answer)
    return answer["data"]["result"]


def _braces(labels: dict[str, str]) -> str:
    return "{" + ",".join(f'{k}="{v}"' for k, v in sorted(labels.items()) if k != "__name__") + "}"
