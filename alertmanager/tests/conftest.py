"""A real Alertmanager with our configuration, and the receivers that it talks to, all on this machine."""

import http.server
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
import requests
import trustme
import yaml
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from scripts.stack.processes import LOOPBACK, Program, find, free_port

ALERTMANAGER = Path(__file__).parents[1]
MAIL_PASSWORD = "correct horse"  # noqa: S105 - of the mail server below
HOOK_TOKEN = "battery staple"  # noqa: S105 - of the web hook below


@dataclass
class Receivers:
    """What has arrived, in order."""

    hooks: list[dict[str, Any]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    mails: list[EmailMessage] = field(default_factory=list)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: ARG002, N802 - aiosmtpd's name and arguments
        self.mails.append(message_from_bytes(bytes(envelope.content or b""), policy=policy.default))  # type: ignore[arg-type]
        return "250 OK"

    def hooks_about(self, instance: str) -> list[dict[str, Any]]:
        return [hook for hook in self.hooks if hook["groupLabels"].get("instance") == instance]

    def mails_about(self, instance: str) -> list[EmailMessage]:
        return [mail for mail in self.mails if mail["Subject"].endswith(f"on {instance}")]


@pytest.fixture(scope="session")
def receivers() -> Receivers:
    return Receivers()


@pytest.fixture(scope="session")
def hook_port(receivers: Receivers) -> Iterator[int]:
    class Hook(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            receivers.hooks.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            receivers.tokens.append(self.headers.get("Authorization", ""))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer((LOOPBACK, 0), Hook)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def mail_port(receivers: Receivers, authority: trustme.CA) -> Iterator[int]:
    """A mail server that takes nothing before STARTTLS and a login."""

    def authenticate(*arguments: object) -> AuthResult:
        login = arguments[-1]
        assert isinstance(login, LoginPassword)
        return AuthResult(success=login.password == MAIL_PASSWORD.encode())

    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(LOOPBACK).configure_cert(tls)
    port = free_port()
    controller = Controller(
        receivers,
        LOOPBACK,
        port,
        authenticator=authenticate,
        auth_required=True,
        auth_exclude_mechanism=["LOGIN"],  # prompts otherwise than Alertmanager expects
        tls_context=tls,
        require_starttls=True,
    )
    controller.start()
    yield port
    controller.stop()


def local_configuration(folder: Path, hook_port: int, mail_port: int) -> Path:
    """Our alertmanager.yml with other addresses and shorter waits; routes and groups as they are."""
    for name, secret in {"mail": MAIL_PASSWORD, "hook": HOOK_TOKEN}.items():
        (folder / name).write_text(secret)
    config = yaml.safe_load((ALERTMANAGER / "alertmanager.yml").read_text())
    config["templates"] = [str(ALERTMANAGER / "templates" / "*.tmpl")]
    config["global"] |= {
        "smtp_smarthost": f"{LOOPBACK}:{mail_port}",
        "smtp_auth_password_file": str(folder / "mail"),
    }
    for route in (config["route"], *config["route"]["routes"]):
        route |= {"group_wait": "1s", "group_interval": "1s"}
    for receiver in config["receivers"]:
        for mail in receiver["email_configs"]:
            mail["tls_config"] = {"ca_file": str(folder / "ca.pem")}
        for hook in receiver.get("webhook_configs", []):
            hook["url"] = f"http://{LOOPBACK}:{hook_port}/"
            hook["http_config"]["authorization"]["credentials_file"] = str(folder / "hook")
    path = folder / "alertmanager.yml"
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.fixture(scope="session")
def alertmanager(
    tmp_path_factory: pytest.TempPathFactory, hook_port: int, mail_port: int, authority: trustme.CA
) -> Iterator[Program]:
    folder = tmp_path_factory.mktemp("alertmanager")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    config, port = local_configuration(folder, hook_port, mail_port), free_port()
    program = Program(
        "alertmanager",
        [
            str(find("prometheus-alertmanager", "alertmanager")),
            f"--config.file={config}",
            f"--storage.path={folder / 'data'}",
            f"--web.listen-address={LOOPBACK}:{port}",
            "--cluster.listen-address=",
        ],
        folder / "log",
        port,
    )
    program.start()
    try:
        program.wait_until_ready()
        yield program
    finally:
        program.stop()


Post = Callable[..., None]


@pytest.fixture
def post(alertmanager: Program) -> Post:
    """Tell Alertmanager of alerts, each a dictionary of labels, as Prometheus would."""

    def send(*alerts: dict[str, str], seconds: float = 120) -> None:
        now = time.time()
        body = [
            {
                "labels": {"cluster": "c", "severity": "critical"} | labels,
                "annotations": {
                    "summary": f"Summary of {labels['alertname']}.",
                    "description": "Described <here> & now.",
                    "runbook_url": f"docs/alerts.md#{labels['alertname'].lower()}",
                },
                "startsAt": iso(now),
                "endsAt": iso(now + seconds),
            }
            for labels in alerts
        ]
        answer = requests.post(f"{alertmanager.url}/api/v2/alerts", json=body, timeout=10)
        assert answer.status_code == 200, answer.text

    return send


def iso(unix_seconds: float) -> str:
    """To the millisecond: an alert older than group_wait is sent at once, held back or not."""
    return datetime.fromtimestamp(unix_seconds, UTC).isoformat(timespec="milliseconds")


def await_truth(condition: Callable[[], object], seconds: float = 20) -> None:
    """Wait until it holds; fail when it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "what was waited for did not happen"
        time.sleep(0.05)
