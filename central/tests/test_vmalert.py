"""vmalert evaluates the rules of Prometheus on the store, writes what they record, and tells Alertmanager."""

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from central.tests.programs import CENTRAL, PROMETHEUS, Store, wait_for
from central.tests.samples import END_S, milliseconds, openmetrics
from prometheus.tests.conftest import ALERTS, RULES
from scripts.stack.processes import LOOPBACK, Program, free_port

from tests.report.answering import Answer, Seen, speaking

ERRORS = r"vmalert_(?:recording|alerting)_rules_error(?:s_total)?"  # of each rule, by the release


@contextmanager
def alertmanager() -> Iterator[tuple[str, dict[str, dict]]]:
    """Takes alerts as Alertmanager does; the newest of each name."""
    taken: dict[str, dict] = {}

    def take(seen: Seen) -> Answer:
        if seen.path == "/api/v2/alerts":
            taken.update({alert["labels"]["alertname"]: alert for alert in json.loads(seen.body)})
        return Answer()

    with speaking(take) as speaker:
        yield speaker.url, taken


def copied(folder: Path) -> list[str]:
    """Every shipped rule, every two seconds so that all have their turn, without what 1.79 does not know."""
    paths = [*PROMETHEUS.glob("rules/*.yml"), *PROMETHEUS.glob("alerts/*.yml"), *CENTRAL.glob("alerts/*.yml")]
    for path in paths:
        text = re.sub(r"^ *keep_firing_for:.*\n", "", path.read_text(), flags=re.MULTILINE)
        copy = folder / f"{path.parent.name}-{path.name}"
        copy.write_text(re.sub(r"^( *)interval: .*$", r"\1interval: 2s", text, flags=re.MULTILINE))
    return [f"-rule={folder}/*.yml"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Two hours of samples that end now."""
    store = Store(tmp_path_factory.mktemp("rules"))
    store.start()
    shift_ms = round((time.time() - END_S) * 1000)
    rows = (line.rpartition(" ") for line in milliseconds(openmetrics()).splitlines())
    store.put("".join(f"{head} {int(at) + shift_ms}\n" for head, _, at in rows))
    yield store
    store.program.stop()


def lines(vmalert: Program, pattern: str) -> list[str]:
    """Lines of its own metrics."""
    text = requests.get(f"{vmalert.url}/metrics", timeout=10).text
    return re.findall(rf"^{pattern}$", text, re.MULTILINE)


def test_every_rule_is_evaluated_recorded_and_told(store, tmp_path):
    (tmp_path / "rules").mkdir()
    with alertmanager() as (notifier, taken):
        port = free_port()
        argv = [
            "vmalert",
            *copied(tmp_path / "rules"),
            f"-datasource.url={store.url}",
            f"-remoteWrite.url={store.url}",
            f"-remoteRead.url={store.url}",
            f"-notifier.url={notifier}",
            "-evaluationInterval=2s",
            "-remoteWrite.flushInterval=500ms",
            f"-httpListenAddr={LOOPBACK}:{port}",
        ]
        vmalert = Program("vmalert", argv, tmp_path / "vmalert.log", port, ready_path="/health")
        vmalert.start()
        try:
            vmalert.wait_until_ready()
            # A tile, and what is made of another rule's result.
            for name in ("uuid:gpu_energy_kwh:increase1h", "cluster:gpu_power_watts:sum"):
                wait_for(name, lambda name=name: bool(store.query(name)))
            wait_for("the heartbeat", lambda: "GputallyWatchdog" in taken)
            wait_for("an alert of a card", lambda: "GpuRecoveryActionNeeded" in taken)
            wait_for("every group's turn", lambda: not lines(vmalert, r"vmalert_iteration_total\{.*\} 0"))
            assert len(lines(vmalert, rf"{ERRORS}\{{.*\}} 0")) == len(RULES + ALERTS) + 4  # of push.yml
        finally:
            vmalert.stop()
    assert taken["GputallyWatchdog"]["labels"]["severity"] == "info"
    assert taken["GputallyWatchdog"]["annotations"]["runbook_url"] == "docs/alerts.md#gputallywatchdog"
