"""Every query of every dashboard finds data in a real Prometheus that scrapes the real agent."""

import time
from collections.abc import Iterator

import pytest
import requests
from grafana.tests.conftest import QUERIES
from scripts.stack.stack import Stack

VARIABLES = {
    "$__rate_interval": "15s",
    "$__range": "5m",
    "$cluster": ".*",
    "$job": ".+",
    "$instance": ".+",
}


@pytest.fixture(scope="module")
def prometheus_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    said: list[str] = []
    stack = Stack(tmp_path_factory.mktemp("live"), source="simulated", scrape_interval="1s", say=said.append)
    try:
        stack.start()
        yield stack.programs["prometheus"].url
    finally:
        stack.stop()


def series(url: str, expression: str) -> int:
    """How many series the expression gives at this moment."""
    for variable, value in VARIABLES.items():
        expression = expression.replace(variable, value)
    answer = requests.get(f"{url}/api/v1/query", params={"query": expression}, timeout=10).json()
    assert answer["status"] == "success", (expression, answer)
    return len(answer["data"]["result"])


def test_every_query_returns_data(prometheus_url: str) -> None:
    """Rates and recorded series need a few scrapes."""
    waiting = {
        f"{name}, {panel['title']}, {target['refId']}": target["expr"] for name, panel, target in QUERIES
    }
    deadline = time.monotonic() + 40
    while waiting:
        waiting = {name: query for name, query in waiting.items() if not series(prometheus_url, query)}
        assert time.monotonic() < deadline, f"no data: {waiting}"
        time.sleep(0.2)


def test_the_table_has_one_row_for_each_gpu_in_every_column(prometheus_url: str) -> None:
    gpus = series(prometheus_url, "gpu_up")
    assert gpus >= 1
    columns = {
        target["refId"]: series(prometheus_url, target["expr"])
        for _, panel, target in QUERIES
        if panel["title"] == "GPUs"
    }
    assert set(columns.values()) == {gpus}, columns


def test_every_variable_has_values(prometheus_url: str) -> None:
    for label in ("cluster", "job", "instance"):
        answer = requests.get(
            f"{prometheus_url}/api/v1/label/{label}/values", params={"match[]": "gpu_up"}, timeout=10
        ).json()
        assert answer["data"], label
