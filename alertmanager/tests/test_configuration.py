"""Alertmanager's own tool accepts the configuration, and what has to hold in it holds."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from alertmanager.tests.conftest import ALERTMANAGER, Config, routes_of

from gputally.alerts.userrules import RECEIVERS

CONFIG = ALERTMANAGER / "alertmanager.yml"
DOCS = ALERTMANAGER.parent / "docs" / "notifications.md"
SNIPPETS = re.findall(r"```yaml\n(.*?)```", DOCS.read_text(), re.DOTALL)


def amtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["amtool", *arguments], capture_output=True, text=True, check=False)


def version() -> tuple[int, ...]:
    found = re.search(r"version (\d+)\.(\d+)", amtool("--version").stdout + amtool("--version").stderr)
    assert found
    return tuple(map(int, found.groups()))


@pytest.fixture(scope="module")
def config() -> Config:
    loaded = yaml.safe_load(CONFIG.read_text())
    assert isinstance(loaded, dict)
    return loaded


def test_the_configuration_is_valid_and_finds_the_templates() -> None:
    done = amtool("check-config", str(CONFIG))
    assert done.returncode == 0, done.stdout + done.stderr
    assert " - 1 templates" in done.stdout


def merged(config: Config, snippet: Config) -> Config:
    """The configuration with a snippet of the manual: receivers replaced by name, routes in front."""
    names = {receiver["name"] for receiver in snippet.get("receivers", [])}
    receivers = [one for one in config["receivers"] if one["name"] not in names]
    routes = [*snippet.get("route", {}).get("routes", []), *config["route"]["routes"]]
    return {
        **config,
        **snippet,
        "route": {**config["route"], **snippet.get("route", {}), "routes": routes},
        "receivers": [*receivers, *snippet.get("receivers", [])],
        "templates": [str(ALERTMANAGER / "templates" / "*.tmpl")],
    }


@pytest.mark.parametrize("text", SNIPPETS, ids=lambda text: text.split("\n")[0])
def test_every_variant_of_the_manual_is_valid_from_the_version_that_it_names(
    text: str, config: Config, tmp_path: Path
) -> None:
    """A first line "# from 0.27" says that older ones refuse it, which has to be true as well."""
    since = re.match(r"# from (\d+)\.(\d+)", text)
    path = tmp_path / "alertmanager.yml"
    path.write_text(yaml.safe_dump(merged(config, yaml.safe_load(text))))
    done = amtool("check-config", str(path))
    too_old = bool(since) and version() < tuple(map(int, since.groups()))
    assert (done.returncode != 0) == too_old, done.stdout + done.stderr


def test_the_manual_shows_variants() -> None:
    assert len(SNIPPETS) >= 5


def test_messages_are_by_machine_and_nowhere_by_gpu(config: Config) -> None:
    assert config["route"]["group_by"] == ["cluster", "instance"]
    groups = [route["group_by"] for route in routes_of(config) if "group_by" in route]
    assert not [labels for labels in groups if {"gpu", "uuid", "..."} & set(labels)]


def test_the_cooldown_is_five_minutes_and_nothing_is_repeated_sooner(config: Config) -> None:
    assert config["route"]["group_interval"] == "5m"
    shorter = [
        route for route in routes_of(config) if route is not config["route"] and "group_interval" in route
    ]
    assert [route["receiver"] for route in shorter] == ["watchdog"]
    assert {route.get("repeat_interval", "4h") for route in routes_of(config)} == {"4h", "1h", "24h", "5m"}


def test_every_receiver_that_a_rule_of_ones_own_may_name_has_a_route(config: Config) -> None:
    routes = {route["matchers"][0]: route["receiver"] for route in config["route"]["routes"]}
    named = {matcher: name for matcher, name in routes.items() if matcher.startswith("receiver=")}
    assert named == {f'receiver="{name}"': name for name in RECEIVERS}


def test_only_what_is_info_keeps_office_hours(config: Config) -> None:
    timed = [
        route
        for route in routes_of(config)
        if "active_time_intervals" in route or "mute_time_intervals" in route
    ]
    assert len(timed) >= 2
    assert all(route["matchers"] == ['severity="info"'] for route in timed)


def test_no_secret_stands_in_the_configuration(config: Config) -> None:
    """Passwords, tokens and addresses that are as good as these are read from files."""
    text = CONFIG.read_text()
    assert not re.search(r"^\s*\w*(password|secret|token|credentials|api_key|api_url):", text, re.MULTILINE)
    assert not re.search(r"//[^/\s]*@", text)
    assert config["global"]["smtp_require_tls"] is True


def test_every_secret_is_named_at_the_head_of_the_file_and_in_the_manual() -> None:
    text = CONFIG.read_text()
    files = set(re.findall(r"/etc/alertmanager/secrets/(\w+)", text))
    assert files == set(re.findall(r"^#   (\w+)", text, re.MULTILINE))
    assert all(f"`{name}`" in DOCS.read_text() for name in files)


def test_the_end_of_an_alert_is_always_sent_but_for_the_heartbeat(config: Config) -> None:
    kinds: dict[str, set[bool]] = {
        receiver["name"]: {
            entry["send_resolved"] for key, all_ in receiver.items() if key != "name" for entry in all_
        }
        for receiver in config["receivers"]
    }
    assert kinds.pop("watchdog") == {False}
    assert set(map(frozenset, kinds.values())) == {frozenset({True})}


def labels_in_tests() -> dict[str, list[dict[str, Any]]]:
    """The labels with which the unit tests of the rules have seen each alert fire."""
    seen: dict[str, list[dict[str, Any]]] = {}
    for path in sorted((ALERTMANAGER.parent / "prometheus" / "tests").glob("*_test.yml")):
        for test in yaml.safe_load(path.read_text())["tests"]:
            for case in test.get("alert_rule_test", []):
                for alert in case.get("exp_alerts") or []:
                    seen.setdefault(case["alertname"], []).append(alert.get("exp_labels", {}))
    return seen


def test_a_cause_has_every_label_that_its_inhibition_compares(config: Config) -> None:
    """Labels that both sides lack count as equal: a cause without them would silence the fleet."""
    seen = labels_in_tests()
    named = 0
    for rule in config["inhibit_rules"]:
        cause = re.fullmatch(r'alertname=~?"([\w|]+)"', rule["source_matchers"][0])
        for name in cause.group(1).split("|") if cause else []:
            named += 1
            assert seen[name]
            assert all(set(rule["equal"]) - {"cluster"} <= set(labels) for labels in seen[name])
    assert named == 7
