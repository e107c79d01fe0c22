"""A real Alertmanager with our configuration, and the receivers that it talks to, all on this machine."""

import itertools
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
import trustme
import yaml
from alertmanager.tests.mailserver import PASSWORD, MailServer
from alertmanager.tests.services import DISCORD_PATH, SLACK_PATH, TOKENS, Services
from scripts.stack.processes import LOOPBACK, Program, find, free_port

ALERTMANAGER = Path(__file__).parents[1]
ALONE = ("--cluster.listen-address=",)
Config = dict[str, Any]
Change = Callable[[Config], None]


def routes_of(config: Config) -> Iterator[Config]:
    """The root and every route below it."""
    waiting = [config["route"]]
    while waiting:
        route = waiting.pop(0)
        waiting += route.get("routes", [])
        yield route


def copied(config: Config) -> Config:
    """The same, with a copy where the file refers to what stands elsewhere in it."""
    again: Config = json.loads(json.dumps(config))
    return again


class World:
    """Receivers of every kind, and Alertmanagers that know them."""

    def __init__(self, folder: Path, services: Services, mail: MailServer, authority: trustme.CA) -> None:
        self.services, self.mail = services, mail
        self._folder, self._authority = folder, authority
        self._made: list[Program] = []
        self._number = itertools.count()

    def start(self, change: Change | None = None, cluster: Sequence[str] = ALONE) -> Program:
        """A new Alertmanager: `change` is the last to touch its configuration, `cluster` names its peers."""
        folder = self._folder / f"alertmanager-{next(self._number)}"
        folder.mkdir()
        path = folder / "alertmanager.yml"
        path.write_text(yaml.safe_dump(self._configuration(folder, change)))
        port = free_port()
        argv = [
            str(find("prometheus-alertmanager", "alertmanager")),
            f"--config.file={path}",
            f"--storage.path={folder / 'data'}",
            f"--web.listen-address={LOOPBACK}:{port}",
            *cluster,
        ]
        program = Program("alertmanager", argv, folder / "log", port)
        self._made.append(program)
        program.start()
        program.wait_until_ready()
        return program

    def stop(self) -> None:
        for program in self._made:
            program.stop()

    def _configuration(self, folder: Path, change: Change | None) -> Config:
        """Ours with other addresses, secrets and shorter waits; routes and groups as they are."""
        secrets = {
            "smtp_password": PASSWORD,
            "webhook_token": TOKENS["page"],
            "watchdog_token": TOKENS["watchdog"],
            "slack_url": self.services.url + SLACK_PATH,
            "discord_url": self.services.url + DISCORD_PATH,
        }
        for name, secret in secrets.items():
            (folder / name).write_text(secret)
        self._authority.cert_pem.write_to_path(folder / "ca.pem")
        text = (ALERTMANAGER / "alertmanager.yml").read_text()
        config = copied(yaml.safe_load(text.replace("/etc/alertmanager/secrets/", f"{folder}/")))
        config["templates"] = [str(ALERTMANAGER / "templates" / "*.tmpl")]
        config["global"]["smtp_smarthost"] = f"{LOOPBACK}:{self.mail.port}"
        for route in routes_of(config):
            route |= {"group_wait": "1s", "group_interval": "1s"}
        for receiver in config["receivers"]:
            for mail in receiver.get("email_configs", []):
                mail["tls_config"] = {"ca_file": str(folder / "ca.pem")}
            for hook in receiver.get("webhook_configs", []):
                hook["url"] = f"{self.services.url}/{receiver['name']}"
        if change:
            change(config)
        return config


@contextmanager
def new_world(folder: Path) -> Iterator[World]:
    """Receivers that have got nothing yet."""
    authority = trustme.CA()
    with Services().running() as services, MailServer().running(authority) as mail:
        world = World(folder, services, mail, authority)
        try:
            yield world
        finally:
            world.stop()


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with new_world(tmp_path_factory.mktemp("alertmanager")) as world:
        yield world


@pytest.fixture(scope="session")
def alertmanager(world: World) -> Program:
    """One that is open for business at any hour."""
    return world.start(open_always)


def open_always(config: Config) -> None:
    config["time_intervals"][0]["time_intervals"] = [
        {"times": [{"start_time": "00:00", "end_time": "24:00"}]}
    ]


Post = Callable[..., None]


@pytest.fixture
def post(alertmanager: Program) -> Post:
    """Tell Alertmanager of alerts, each a dictionary of labels, as Prometheus would."""
    return lambda *alerts, **more: tell(alertmanager, *alerts, **more)


def tell(alertmanager: Program, *alerts: dict[str, str], seconds: float = 120, **annotations: str) -> None:
    """Post alerts that end after so many seconds."""
    now = time.time()
    body = [
        {
            "labels": {"cluster": "c", "severity": "critical"} | labels,
            "annotations": {
                "summary": f"Summary of {labels['alertname']}.",
                "description": "Described <here> & now.",
                "runbook_url": f"docs/alerts.md#{labels['alertname'].lower()}",
            }
            | annotations,
            "startsAt": iso(now),
            "endsAt": iso(now + seconds),
        }
        for labels in alerts
    ]
    answer = requests.post(f"{alertmanager.url}/api/v2/alerts", json=body, timeout=10)
    assert answer.status_code == 200, answer.text


def states(alertmanager: Program, instance: str) -> dict[tuple[str, ...], str]:
    """(alert, severity, uuid, team) -> active or suppressed, of one machine."""
    found = requests.get(
        f"{alertmanager.url}/api/v2/alerts", params={"filter": f'instance="{instance}"'}, timeout=10
    ).json()
    names = ("alertname", "severity", "uuid", "team")
    return {tuple(one["labels"].get(name, "") for name in names): one["status"]["state"] for one in found}


def iso(unix_seconds: float) -> str:
    """To the millisecond: an alert older than group_wait is sent at once, held back or not."""
    return datetime.fromtimestamp(unix_seconds, UTC).isoformat(timespec="milliseconds")
