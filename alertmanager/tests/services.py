"""Stand-ins for those who receive messages: each takes what the real one takes, and refuses what it refuses.

What Slack and Discord demand is what they document: fields, lengths, and the words of their answers.
"""

import http.server
import json
import re
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from scripts.stack.processes import LOOPBACK

TOKENS = {"page": "battery staple", "webhook": "battery staple", "watchdog": "tick tock"}
SLACK_PATH = "/services/T01/B01/slack-secret"
DISCORD_PATH = "/api/webhooks/1/discord-secret/slack"
DISCORD_LIMITS = {"title": 256, "description": 4096}
Json = dict[str, Any]


class Refused(Exception):
    """What the service answers instead of taking a message: status and body."""


class Dropped(Exception):
    """It answers nothing at all."""


@dataclass
class Inbox:
    """What one service was sent: what it took, and how often it was asked."""

    messages: list[Json] = field(default_factory=list)
    attempts: int = 0
    failing: int = 0  # how many of the next requests are answered with 500
    silent: threading.Event | None = None  # requests wait until it is set, and are dropped without an answer


def hook(body: Json, token: str, expected: str) -> None:
    """A web hook of one's own: Alertmanager's JSON and the right token."""
    if token != f"Bearer {expected}":
        raise Refused(403, "wrong token")
    if body.get("version") != "4" or not body.get("alerts"):
        raise Refused(400, "not a message of Alertmanager")


def slack(body: Json) -> None:
    """An incoming web hook of Slack."""
    attachments = body.get("attachments", [])
    if not (body.get("text") or attachments or body.get("blocks")):
        raise Refused(400, "no_text")
    if len(attachments) > 100:
        raise Refused(400, "too_many_attachments")
    if len(json.dumps(body)) > 40_000:
        raise Refused(400, "msg_too_long")
    for one in attachments:
        if not isinstance(one, dict) or not (one.get("text") or one.get("fallback")):
            raise Refused(400, "invalid_attachments")
        if not re.fullmatch(r"#[0-9a-f]{6}|good|warning|danger", one.get("color", "good")):
            raise Refused(400, "invalid_attachments")


def discord(body: Json) -> None:
    """What /slack behind a web hook's address makes of Slack's form: embeds of limited length."""
    embeds = [
        {"title": one.get("title", ""), "description": one.get("text", ""), "color": one.get("color", "")}
        for one in body.get("attachments", [])
    ]
    if not embeds and not body.get("text"):
        raise Refused(400, json.dumps({"code": 50006, "message": "Cannot send an empty message"}))
    wrong = [
        *(len(body.get("username", "")) > 80, len(body.get("text", "")) > 2000, len(embeds) > 10),
        *(len(one[key]) > limit for one in embeds for key, limit in DISCORD_LIMITS.items()),
        sum(len(one[key]) for one in embeds for key in DISCORD_LIMITS) > 6000,
        *(not re.fullmatch(r"(#[0-9a-f]{6})?", one["color"]) for one in embeds),
    ]
    if any(wrong):
        raise Refused(400, json.dumps({"code": 50035, "message": "Invalid Form Body"}))


class Services:
    """All of them on one port, told apart by path: `inbox[name]`."""

    def __init__(self) -> None:
        self.inbox: dict[str, Inbox] = defaultdict(Inbox)
        self.url = ""

    @contextmanager
    def running(self) -> Iterator["Services"]:
        server = http.server.ThreadingHTTPServer((LOOPBACK, 0), _handler(self))
        self.url = f"http://{LOOPBACK}:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def hooks(self, name: str, instance: str) -> list[Json]:
        """Messages about a machine that a web hook has got."""
        found = self.inbox[name].messages
        return [one for one in found if one["groupLabels"].get("instance", "") == instance]

    def chats(self, name: str, place: str) -> list[Json]:
        """Messages about a place that a chat has got, each as its one attachment."""
        found = [attachment for one in self.inbox[name].messages for attachment in one["attachments"]]
        return [one for one in found if one["title"].endswith(f"on {place}")]

    def take(self, path: str, body: bytes, token: str) -> str:
        """The answer of whoever has this path. Raises Refused."""
        name = {SLACK_PATH: "slack", DISCORD_PATH: "discord"}.get(path, path.strip("/"))
        if name not in ("slack", "discord", *TOKENS):
            raise Refused(404, "no_service")
        inbox = self.inbox[name]
        inbox.attempts += 1
        if inbox.silent:
            inbox.silent.wait(60)
            raise Dropped
        if inbox.failing:
            inbox.failing -= 1
            raise Refused(500, "out of order")
        message = _parsed(body)
        if name == "slack":
            slack(message)
        elif name == "discord":
            discord(message)
        else:
            hook(message, token, TOKENS[name])
        inbox.messages.append(message)
        return "ok"


def _parsed(body: bytes) -> Json:
    try:
        message = json.loads(body)
    except ValueError:
        raise Refused(400, "invalid_payload") from None
    if not isinstance(message, dict):
        raise Refused(400, "invalid_payload")
    return message


def _handler(services: Services) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            try:
                status, answer = 200, services.take(self.path, body, self.headers.get("Authorization", ""))
            except Refused as refused:
                status, answer = refused.args
            except Dropped:
                self.close_connection = True
                return
            self.send_response(status)
            self.send_header("Content-Type", "text/plain")
            self.end_headers()
            self.wfile.write(answer.encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler


def await_truth(condition: Callable[[], object], seconds: float = 20, what: str = "") -> None:
    """Wait until it holds; fail when it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"did not happen within {seconds:.0f} s: {what}"
        time.sleep(0.05)
