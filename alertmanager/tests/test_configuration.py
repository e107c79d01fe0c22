"""Alertmanager's own tool accepts the configuration and routes by it as the table says."""

import csv
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ALERTMANAGER = Path(__file__).parents[1]
CONFIG = ALERTMANAGER / "alertmanager.yml"
ROUTES = list(csv.DictReader((Path(__file__).parent / "routes.csv").read_text().splitlines()))
ALERTS = [
    rule
    for file in sorted((ALERTMANAGER.parent / "prometheus" / "alerts").glob("*.yml"))
    for group in yaml.safe_load(file.read_text())["groups"]
    for rule in group["rules"]
]


def amtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["amtool", *arguments], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    loaded = yaml.safe_load(CONFIG.read_text())
    assert isinstance(loaded, dict)
    return loaded


def test_the_configuration_is_valid_and_finds_the_templates() -> None:
    done = amtool("check-config", str(CONFIG))
    assert done.returncode == 0, done.stdout + done.stderr
    assert " - 1 templates" in done.stdout


@pytest.mark.parametrize("row", ROUTES, ids=lambda row: f"{row['alertname']}-{row['severity']}")
def test_an_alert_goes_to_its_receiver(row: dict[str, str]) -> None:
    labels = [f"{name}={value}" for name, value in row.items() if name != "receiver" and value]
    done = amtool(
        "config",
        "routes",
        "test",
        f"--config.file={CONFIG}",
        f"--verify.receivers={row['receiver']}",
        *labels,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_every_alert_stands_in_the_table_of_routes(rule: dict[str, Any]) -> None:
    rows = {(row["alertname"], row["severity"]) for row in ROUTES}
    assert (rule["alert"], rule["labels"]["severity"]) in rows


def test_a_wrong_receiver_in_the_table_would_be_noticed() -> None:
    done = amtool(
        "config", "routes", "test", f"--config.file={CONFIG}", "--verify.receivers=mail", "severity=critical"
    )
    assert done.returncode == 1


def test_messages_are_by_machine_and_nowhere_by_gpu(config: dict[str, Any]) -> None:
    assert config["route"]["group_by"] == ["cluster", "instance"]
    assert config["route"]["group_interval"] == "5m"
    assert not any("group_by" in route for route in config["route"]["routes"])


def test_no_secret_stands_in_the_configuration(config: dict[str, Any]) -> None:
    """Passwords and tokens are read from files; an address on the web holds none."""
    text = CONFIG.read_text()
    assert not re.search(r"^\s*\w*(password|secret|token|credentials|api_key):", text, re.MULTILINE)
    assert not re.search(r"//[^/\s]*@", text)
    assert config["global"]["smtp_require_tls"] is True


def test_the_end_of_an_alert_is_always_sent(config: dict[str, Any]) -> None:
    kinds = [
        entry
        for receiver in config["receivers"]
        for key, entries in receiver.items()
        if key.endswith("_configs")
        for entry in entries
    ]
    assert kinds
    assert all(entry["send_resolved"] for entry in kinds)
