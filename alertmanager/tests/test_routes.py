"""Alertmanager's own tool routes by our file as the table says, and the table leaves no route out."""

import csv
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from alertmanager.tests.conftest import ALERTMANAGER, copied, routes_of

CONFIG = ALERTMANAGER / "alertmanager.yml"
ROWS = list(csv.DictReader((Path(__file__).parent / "routes.csv").read_text().splitlines()))
BY_SEVERITY = {"critical": "page", "warning": "mail", "info": "mail"}
ALERTS = [
    rule
    for file in sorted((ALERTMANAGER.parent / "prometheus" / "alerts").glob("*.yml"))
    for group in yaml.safe_load(file.read_text())["groups"]
    for rule in group["rules"]
]


def routed(config: Path, labels: dict[str, Any], expected: str = "") -> subprocess.CompletedProcess[str]:
    wanted = [f"--verify.receivers={expected}"] if expected else []
    pairs = [f"{name}={value}" for name, value in labels.items() if value]
    command = ["amtool", "config", "routes", "test", f"--config.file={config}", *wanted, *pairs]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def labels_of(row: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in row.items() if name != "goes_to"}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: "-".join(filter(None, list(row.values())[1:5])))
def test_an_alert_goes_where_the_table_says(row: dict[str, str]) -> None:
    done = routed(CONFIG, labels_of(row), row["goes_to"])
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_every_alert_goes_where_its_severity_says(rule: dict[str, Any]) -> None:
    labels = {"alertname": rule["alert"], **rule["labels"]}
    expected = "watchdog" if rule["alert"] == "GputallyWatchdog" else BY_SEVERITY[labels["severity"]]
    done = routed(CONFIG, labels, expected)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_wrong_receiver_in_the_table_would_be_noticed() -> None:
    assert routed(CONFIG, {"severity": "critical"}, "mail").returncode == 1


def numbered(folder: Path) -> tuple[Path, set[str]]:
    """Our routes, each with a receiver of its own: which of them an alert takes can then be seen."""
    config = copied(yaml.safe_load(CONFIG.read_text()))
    names = set()
    for number, route in enumerate(routes_of(config)):
        route["receiver"] = f"route-{number}"
        names.add(route["receiver"])
    config["receivers"] = [{"name": name} for name in sorted(names)]
    config["templates"] = []
    path = folder / "numbered.yml"
    path.write_text(yaml.safe_dump(config))
    return path, names


def test_every_route_is_taken_by_an_alert_of_the_table(tmp_path: Path) -> None:
    config, names = numbered(tmp_path)
    taken = {name for row in ROWS for name in routed(config, labels_of(row)).stdout.strip().split(",")}
    assert len(names) == len(list(routes_of(yaml.safe_load(CONFIG.read_text()))))
    assert names - taken == set()
    assert taken - names == set()
