"""Every service of docker-compose.yml whose program is here starts with its command, files and variables.

No container: folders stand in place of its mounts, and the healthcheck's own request says whether it is
well. Grafana's program is not there; proxy/tests runs the proxy, central/tests the centre.
"""

import json
import os
import re
import shutil
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from scripts.stack.processes import LOOPBACK, Program, StackError, find, free_port

TOP = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((TOP / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (TOP / "exporter" / "Dockerfile").read_text()
PROGRAMS = {"prometheus": ("prometheus",), "alertmanager": ("prometheus-alertmanager", "alertmanager")}
Start = Callable[[str], Program]


def furnish(name: str, root: Path) -> None:
    """What the service has mounted, in a folder in place of its root; paths in files follow."""
    for mount in SERVICES[name]["volumes"]:
        source, target = mount.split(":")[:2]
        place = root / target.removeprefix("/")
        if source.startswith("./"):
            shutil.copytree(TOP / source, place, dirs_exist_ok=True, ignore=shutil.ignore_patterns("tests"))
        else:
            place.mkdir(parents=True)
    for secret in SERVICES[name].get("secrets", []):
        place = root / secret["target"].removeprefix("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("unset")
    for file in root.rglob("*.yml"):
        file.write_text(
            re.sub(r"(?<=[\s\"'])/etc/(?=gputally|alertmanager)", f"{root}/etc/", file.read_text())
        )


def health_path(name: str) -> str:
    """What the healthcheck asks for; the agents' stands in their image."""
    words = json.dumps(SERVICES[name]["healthcheck"]) if "healthcheck" in SERVICES[name] else DOCKERFILE
    (url,) = re.findall(r"http://127\.0\.0\.1:\d+/[^\"' ]*", words)
    return urllib.parse.urlsplit(url).path


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a service by its name; it answers its healthcheck on return."""
    started: list[Program] = []

    def begin(name: str) -> Program:
        root, port = tmp_path / name, free_port()
        furnish(name, root)
        command = [word.replace("=/", f"={root}/") for word in SERVICES[name]["command"]]
        environment = os.environ | SERVICES[name].get("environment", {})
        if name in PROGRAMS:
            program = find(*PROGRAMS[name])
            assert program, f"{name} is not on PATH"
            argv = [program, *command, f"--web.listen-address={LOOPBACK}:{port}"]
        else:
            argv = [sys.executable, "-I", "-m", "gputally", *command]
            environment["GPUTALLY_WEB_LISTEN_ADDRESS"] = f"{LOOPBACK}:{port}"
            environment["GPUTALLY_STATE_DIR"] = str(root / "var/lib/gputally")
        log = tmp_path / f"{name}.log"
        started.append(
            Program(name, argv, log, environment=environment, port=port, ready_path=health_path(name))
        )
        started[-1].start()
        try:
            started[-1].wait_until_ready()
        except StackError as error:
            raise AssertionError(f"{error}\n{log.read_text()}") from error
        return started[-1]

    yield begin
    for program in started:
        program.stop()


def ask(program: Program, path: str) -> Any:
    with urllib.request.urlopen(f"{program.url}{path}", timeout=20) as answer:  # noqa: S310 - ours
        return json.load(answer)


@pytest.mark.parametrize("name", ["node-simulated", "site"])
def test_an_agent_starts_and_serves_its_figures(name: str, start: Start) -> None:
    with urllib.request.urlopen(f"{start(name).url}/metrics", timeout=20) as answer:  # noqa: S310 - ours
        assert b"gputally_build_info{" in answer.read()


def hosts(urls: list[str]) -> set[str | None]:
    return {urllib.parse.urlsplit(url).hostname for url in urls}


def test_prometheus_starts_with_every_rule_and_knows_the_services(start: Start) -> None:
    prometheus = start("prometheus")
    groups = ask(prometheus, "/api/v1/rules")["data"]["groups"]
    files = {path.name for one in ("rules", "alerts") for path in (TOP / "prometheus" / one).glob("*.yml")}
    assert {Path(group["file"]).name for group in groups} == files
    for path, found, key, wanted in (
        (
            "targets?state=active",
            "activeTargets",
            "scrapeUrl",
            {"node", "site", "prometheus", "alertmanager"},
        ),
        ("alertmanagers", "activeAlertmanagers", "url", {"alertmanager"}),
    ):
        known: set[str | None] = set()
        deadline = time.monotonic() + 60  # files of targets are read a moment after the start
        while known != wanted:
            assert time.monotonic() < deadline, f"{path}: {known}"
            time.sleep(0.1)
            known = hosts([one[key] for one in ask(prometheus, f"/api/v1/{path}")["data"][found]])


def test_alertmanager_starts_with_its_routes_and_templates(start: Start) -> None:
    alertmanager = start("alertmanager")
    status = ask(alertmanager, "/api/v2/status")
    assert status["cluster"]["status"] == "disabled"
    loaded = yaml.safe_load(status["config"]["original"])
    shipped = yaml.safe_load((TOP / "alertmanager" / "alertmanager.yml").read_text())
    assert [one["name"] for one in loaded["receivers"]] == [one["name"] for one in shipped["receivers"]]
