"""Every query of every dashboard finds data in a real Prometheus that scrapes the real agents.

Three things cannot be waited for, and are made here: rules of an hour are evaluated every second, by a copy
of the rules in which nothing but intervals differs; an agent that has been here since yesterday is a page
with what ours shows of today, said of the day before; and one of the jobs ends because it is ended.
"""

import json
import re
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta

import psutil
import pytest
import requests
from grafana.tests.chosen import VARIABLES, filled
from grafana.tests.conftest import DASHBOARDS, PANELS, QUERIES, variables
from grafana.tests.onlyfaults import ONLY_WITH_FAULTS
from grafana.tests.running import ask, hurry, series, wait_for
from prometheus.tests.promql import metrics
from scripts.stack.processes import get
from scripts.stack.stack import Stack

from tests.report.answering import Answer, Speaker

# What not every machine can tell, and why; asked of series that are written down in test_gpu_page.py.
NOT_EVERYWHERE = {
    "host_temperature_celsius": "a virtual machine has no sensor",
    "host_energy_joules_total": "the meter is root's alone, or the machine is a virtual one",
}


def yesterdays(port: int) -> Answer:
    """What an agent shows of a day that is over."""
    text = get(port, "/metrics")[1].decode()
    lines = [line for line in text.splitlines() if line.startswith("gpu_cost_day{")]
    body = re.sub(r'day="([^"]+)"', _day_before, "\n".join([*lines, ""])).encode()
    return Answer(200, body, {"Content-Type": "text/plain; version=0.0.4"})


def _day_before(found: "re.Match[str]") -> str:
    return f'day="{date.fromisoformat(found[1]) - timedelta(days=1)}"'


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


@contextmanager
def looked_after(stack: Stack) -> Iterator[None]:
    """As `make run` does it: the real command begins again when it has ended."""
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.5):
            stack.check()

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.fixture(scope="module")
def prometheus_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    said: list[str] = []
    stack = Stack(tmp_path_factory.mktemp("live"), source="simulated", scrape_interval="1s", say=said.append)
    yesterday = None
    try:
        stack.start()
        yesterday = Speaker(lambda _: yesterdays(stack.ports["node"]))
        hurry(stack)
        target = [{"targets": [yesterday.url.removeprefix("http://")], "labels": {"cluster": "default"}}]
        targets = stack.folder / "etc" / "prometheus" / "targets"
        (targets / "node-of-yesterday.yml").write_text(json.dumps(target))
        program = stack.programs["prometheus"]
        program._process.send_signal(signal.SIGHUP)
        url = program.url
        wait_for(url, 'gpu_job_state{state="running",job_id=~"run-.*"}')
        end_a_job()
        with looked_after(stack):
            yield url
    finally:
        stack.stop()
        if yesterday:
            yesterday.stop()


def await_one(url: str, ratio: str) -> None:
    """increase() extrapolates each series by itself; a scrape that was late is forgotten in a minute."""
    deadline = time.monotonic() + 60
    while True:
        (found,) = ask(url, ratio)
        if abs(float(found["value"][1]) - 1) < 0.02 or time.monotonic() > deadline:
            break
        time.sleep(2)
    assert float(found["value"][1]) == pytest.approx(1, abs=0.02)


def test_every_query_returns_data(prometheus_url: str) -> None:
    """Rates and recorded series need a few scrapes."""
    waiting = {
        f"{name}, {panel['title']}, {target['refId']}": target["expr"]
        for name, panel, target in QUERIES
        if (panel["title"], target["refId"]) not in ONLY_WITH_FAULTS
    }
    absent = {name for name in NOT_EVERYWHERE if not series(prometheus_url, name)}
    waiting = {name: query for name, query in waiting.items() if not metrics(query) & absent}
    deadline = time.monotonic() + 90
    while waiting:
        waiting = {name: query for name, query in waiting.items() if not series(prometheus_url, query)}
        assert time.monotonic() < deadline, f"no data: {waiting}"
        time.sleep(0.2)


def test_nothing_is_exempt_that_a_sound_fleet_answers(prometheus_url: str) -> None:
    """After all others have answered."""
    exempt = {
        (panel["title"], target["refId"]): target["expr"]
        for _, panel, target in QUERIES
        if (panel["title"], target["refId"]) in ONLY_WITH_FAULTS
    }
    assert set(exempt) == set(ONLY_WITH_FAULTS)
    assert [name for name, query in exempt.items() if series(prometheus_url, query)] == []


def test_the_table_has_one_row_for_each_gpu_in_every_column(prometheus_url: str) -> None:
    gpus = series(prometheus_url, "gpu_up")
    assert gpus >= 1
    columns = {
        f"{panel['title']} {target['refId']}": series(prometheus_url, target["expr"])
        for _, panel, target in QUERIES
        if panel["title"] in {"GPUs", "GPUs, 24 hours ($currency)"} and panel["type"] == "table"
    }
    assert len(columns) > 10
    assert set(columns.values()) == {gpus}, columns


def test_every_variable_has_values(prometheus_url: str) -> None:
    asked = [one for body in DASHBOARDS.values() for one in variables(body, "query")]
    assert {one["name"] for one in asked} == {
        name.removeprefix("$") for name in VARIABLES if "__" not in name
    }
    for one in asked:
        query = one["query"]["query"]
        if query.startswith("query_result("):
            assert ask(prometheus_url, query.removeprefix("query_result(").removesuffix(")")), one["name"]
            continue
        found = re.fullmatch(r"label_values\((.+), (\w+)\)", query)
        assert found
        address = f"{prometheus_url}/api/v1/label/{found[2]}/values"
        answer = requests.get(address, params={"match[]": filled(found[1])}, timeout=10).json()
        assert answer["data"], one["name"]


def test_the_page_says_whose_the_price_is(prometheus_url: str) -> None:
    """Declared to this stack; who declares none is told the default one."""
    (banner,) = (panel for _, panel in PANELS if panel["title"] == "Prices")
    (found,) = ask(prometheus_url, banner["targets"][0]["expr"])
    texts = banner["fieldConfig"]["defaults"]["mappings"][0]["options"]
    assert texts[found["value"][1]]["text"] == "Prices as configured"
    assert texts["1"]["text"] == "Default price: 0.12 USD per kWh, no tariff configured"


def test_teams_and_nobody_add_up_to_what_all_gpus_cost(prometheus_url: str) -> None:
    (teams,) = (panel for _, panel in PANELS if panel["title"] == "Teams ($currency)")
    (tile,) = (panel for _, panel in PANELS if panel["title"] == "Time range ($currency)")
    parts, whole = teams["targets"][0]["expr"], tile["targets"][0]["expr"]
    await_one(prometheus_url, f"sum({parts}) / sum({whole})")


@pytest.mark.parametrize(
    ("title", "whole"),
    [
        ("Cost per hour by machine ($currency)", "cluster:gpu_energy_cost:increase1h"),
        ("Cost per hour by team ($currency)", "cluster:gpu_energy_cost:increase1h"),
        ("Energy per hour by machine", "cluster:gpu_energy_kwh:increase1h"),
    ],
)
def test_what_is_drawn_by_whom_adds_up_to_the_whole(prometheus_url: str, title: str, whole: str) -> None:
    """The ten with most, the others, and what is nobody's."""
    (panel, *_) = (panel for _, panel in PANELS if panel["title"] == title)
    parts = " + ".join(f"sum({target['expr']})" for target in panel["targets"])
    await_one(prometheus_url, f"({parts}) / sum(avg_over_time({whole}[$__interval]))")


def test_the_parts_of_a_ring_are_the_whole(prometheus_url: str) -> None:
    (panel,) = (panel for _, panel in PANELS if panel["title"] == "Cost by team ($currency)")
    parts = " + ".join(f"sum({target['expr']})" for target in panel["targets"])
    (tile,) = (panel for _, panel in PANELS if panel["title"] == "Time range ($currency)")
    await_one(prometheus_url, f"({parts}) / sum({tile['targets'][0]['expr']})")
