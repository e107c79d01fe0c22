"""Every query of every dashboard finds data in a real Prometheus that scrapes the real agents.

Three things cannot be waited for, and are made here: rules of an hour are evaluated every second, by a copy
of the rules in which nothing but the interval differs; an agent that has been here since yesterday is a page
with what ours shows of today, said of the day before; and one of the jobs ends because it is ended.
"""

import http.server
import json
import re
import signal
import threading
import time
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import psutil
import pytest
import requests
from grafana.tests.conftest import DASHBOARDS, PANELS, QUERIES, Json, variables
from scripts.stack.processes import LOOPBACK, get
from scripts.stack.stack import Stack

VARIABLES = {
    "$__rate_interval": "15s",
    "$__interval": "1m",
    "$__range": "5m",
    "$cluster": ".*",
    "$job": ".+",
    "$instance": ".+",
    "$team": ".*",
    "$user": ".*",
    "$model": ".*",
    "$currency": "USD",
}


class Yesterday:
    """Shows what an agent shows of a day that is over."""

    def __init__(self, port: int) -> None:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                text = get(port, "/metrics")[1].decode()
                lines = [line for line in text.splitlines() if line.startswith("gpu_cost_day{")]
                body = re.sub(r'day="([^"]+)"', _day_before, "\n".join([*lines, ""])).encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer((LOOPBACK, 0), Handler)
        self.address = f"{LOOPBACK}:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def _day_before(found: "re.Match[str]") -> str:
    return f'day="{date.fromisoformat(found[1]) - timedelta(days=1)}"'


def hurry(stack: Stack) -> None:
    """Evaluate the rules of minutes and hours every second."""
    file = stack.folder / "etc" / "prometheus" / "prometheus.yml"
    copies = stack.folder / "etc" / "rules"
    copies.mkdir()
    for rules in (Path(__file__).parents[2] / "prometheus" / "rules").glob("*.yml"):
        quick = re.sub(r"^    interval: \w+$", "    interval: 1s", rules.read_text(), flags=re.MULTILINE)
        (copies / rules.name).write_text(quick)
    file.write_text(
        re.sub(r"^- \S+/rules/\*\.yml$", f"- {copies}/*.yml", file.read_text(), flags=re.MULTILINE)
    )
    assert f"- {copies}/*.yml" in file.read_text()


def end_a_job() -> None:
    """As a person would who stops a program."""
    deadline = time.monotonic() + 10
    while True:
        for child in psutil.Process().children(recursive=True):
            if child.cmdline()[1:3] == ["-m", "scripts.stack.visitor"]:
                child.send_signal(signal.SIGTERM)
                return
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.fixture(scope="module")
def prometheus_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    said: list[str] = []
    stack = Stack(tmp_path_factory.mktemp("live"), source="simulated", scrape_interval="1s", say=said.append)
    yesterday = None
    try:
        stack.start()
        yesterday = Yesterday(stack.ports["node"])
        hurry(stack)
        target = [{"targets": [yesterday.address], "labels": {"cluster": "default"}}]
        targets = stack.folder / "etc" / "prometheus" / "targets"
        (targets / "node-of-yesterday.yml").write_text(json.dumps(target))
        program = stack.programs["prometheus"]
        program._process.send_signal(signal.SIGHUP)
        url = program.url
        wait_for(url, 'gpu_job_state{state="running",job_id=~"run-.*"}')
        end_a_job()
        yield url
    finally:
        stack.stop()
        if yesterday:
            yesterday.stop()


def wait_for(url: str, expression: str, seconds: float = 40) -> None:
    deadline = time.monotonic() + seconds
    while not series(url, expression):
        assert time.monotonic() < deadline, expression
        time.sleep(0.2)


def filled(text: str) -> str:
    """With everything chosen that there is."""
    for variable, value in VARIABLES.items():
        text = text.replace(variable, value)
    return text


def ask(url: str, expression: str) -> list[Json]:
    """The series that the expression gives at this moment."""
    answer = requests.get(f"{url}/api/v1/query", params={"query": filled(expression)}, timeout=10).json()
    assert answer["status"] == "success", (expression, answer)
    found: list[Json] = answer["data"]["result"]
    return found


def series(url: str, expression: str) -> int:
    """How many there are."""
    return len(ask(url, expression))


def test_every_query_returns_data(prometheus_url: str) -> None:
    """Rates and recorded series need a few scrapes."""
    waiting = {
        f"{name}, {panel['title']}, {target['refId']}": target["expr"] for name, panel, target in QUERIES
    }
    deadline = time.monotonic() + 90
    while waiting:
        waiting = {name: query for name, query in waiting.items() if not series(prometheus_url, query)}
        assert time.monotonic() < deadline, f"no data: {waiting}"
        time.sleep(0.2)


def test_the_table_has_one_row_for_each_gpu_in_every_column(prometheus_url: str) -> None:
    gpus = series(prometheus_url, "gpu_up")
    assert gpus >= 1
    columns = {
        f"{panel['title']} {target['refId']}": series(prometheus_url, target["expr"])
        for _, panel, target in QUERIES
        if panel["title"] in {"GPUs", "GPUs ($currency)"}
    }
    assert len(columns) > 10
    assert set(columns.values()) == {gpus}, columns


def test_every_variable_has_values(prometheus_url: str) -> None:
    asked = [one for body in DASHBOARDS.values() for one in variables(body, "query")]
    assert {one["name"] for one in asked} == {
        name.removeprefix("$") for name in VARIABLES if "__" not in name
    }
    for one in asked:
        found = re.fullmatch(r"label_values\((.+), (\w+)\)", one["query"]["query"])
        assert found
        address = f"{prometheus_url}/api/v1/label/{found[2]}/values"
        answer = requests.get(address, params={"match[]": filled(found[1])}, timeout=10).json()
        assert answer["data"], one["name"]


def test_the_page_says_that_the_price_is_the_default_one(prometheus_url: str) -> None:
    """Nobody has declared one to this stack."""
    (banner,) = (panel for _, panel in PANELS if panel["title"] == "Prices")
    (found,) = ask(prometheus_url, banner["targets"][0]["expr"])
    texts = banner["fieldConfig"]["defaults"]["mappings"][0]["options"]
    assert texts[found["value"][1]]["text"] == "Default price: 0.12 USD per kWh, no tariff configured"


def test_teams_and_nobody_add_up_to_what_all_gpus_cost(prometheus_url: str) -> None:
    (teams,) = (panel for _, panel in PANELS if panel["title"] == "Teams ($currency)")
    (tile,) = (panel for _, panel in PANELS if panel["title"] == "Time range ($currency)")
    parts, whole = teams["targets"][0]["expr"], tile["targets"][0]["expr"]
    (found,) = ask(prometheus_url, f"sum({parts}) / sum({whole})")
    assert float(found["value"][1]) == pytest.approx(1, abs=0.02)  # increase() extrapolates each by itself
