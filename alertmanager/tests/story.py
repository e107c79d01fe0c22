"""A day of a machine with eight GPUs, told once: what happens, and what everybody has been told by then."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path

import requests
from alertmanager.tests.chain import hot_machine, prometheus
from alertmanager.tests.conftest import Config, World, iso, open_always, routes_of
from alertmanager.tests.mailserver import text_of
from alertmanager.tests.services import Json, await_truth
from scripts.stack.processes import Program

from tests.agent.running import RunningAgent
from tests.fakenvml import FakeNvml

GPUS = 8
FALLEN, SILENCED = 0, 5  # the GPUs that are lost; of the second one nobody wants to hear
EVERY_GPU = {str(gpu) for gpu in range(GPUS)}
WELL = EVERY_GPU - {str(FALLEN), str(SILENCED)}  # of a lost one nothing else is told, and no end of anything
GPU_IS_LOST = 15  # the driver's word for it
REFUSALS = 2  # by every receiver, before it takes its first message
WAIT_SECONDS = 3  # longer than it takes Prometheus to evaluate all groups


@dataclass(frozen=True)
class Moment:
    """What everybody has been told about the machine so far, and what is held back."""

    mails: list[EmailMessage]
    pages: list[Json]
    chats: dict[str, list[Json]]
    states: dict[tuple[str, str], str]  # (alert, GPU) -> active or suppressed
    silences: set[str]
    heartbeats: int
    attempts: dict[str, int]


@dataclass
class Story:
    """Goes through the day; `moments` is what has been seen of it."""

    world: World
    driver: FakeNvml
    agent: RunningAgent
    alertmanager: Program
    moments: dict[str, Moment] = field(default_factory=dict)
    silence: str = ""

    @property
    def place(self) -> str:
        """The machine as messages call it."""
        host, port = self.agent.address
        return f"{host}:{port}"

    def look(self) -> Moment:
        services = self.world.services
        return Moment(
            list(self.world.mail.about(self.place)),
            list(services.hooks("page", self.place)),
            {name: list(services.chats(name, self.place)) for name in ("slack", "discord")},
            {
                (one["labels"]["alertname"], one["labels"].get("gpu", "")): one["status"]["state"]
                for one in self._ask("alerts")
            },
            {one["id"] for one in self._ask("silences") if one["status"]["state"] == "active"},
            len(services.inbox["watchdog"].messages),
            {name: services.inbox[name].attempts for name in ("page", "slack", "discord")},
        )

    def until(self, name: str, condition: Callable[[Moment], object]) -> None:
        """Wait for something to have happened, and keep what there is then."""
        await_truth(lambda: condition(self.look()), 30, name)
        self.moments[name] = self.look()

    def tell(self) -> None:
        """The whole day."""
        self.until("hot", lambda m: m.mails and all(m.chats.values()) and m.heartbeats)
        self.silence = self._silence(alertname="GpuLost", uuid=self._uuid(SILENCED))
        self.alertmanager.stop()
        self.alertmanager.start()
        self.alertmanager.wait_until_ready()
        self.until("restarted", lambda m: m.states.keys() >= self.moments["hot"].states.keys())
        time.sleep(WAIT_SECONDS + 1)  # who has forgotten what was sent would have sent it again
        self.moments["restarted"] = self.look()
        self.driver.fault("*", gpu=SILENCED, code=GPU_IS_LOST)
        self.until("silenced", lambda m: ("GpuLost", str(SILENCED)) in m.states)
        self.driver.inject_xid(FALLEN, 79)
        self.driver.fault("*", gpu=FALLEN, code=GPU_IS_LOST)
        self.until("lost", lambda m: m.pages and any("CRITICAL" in mail["Subject"] for mail in m.mails))
        self.driver.clear("*", gpu=FALLEN)
        self.until("back", lambda m: any(ended("GpuLost", page) for page in m.pages))
        for gpu in range(GPUS):
            self.driver.gpu(gpu).set(temperature=50, temperature_margin=40)
        self.until("cool", lambda m: all(map(all_ended, m.chats.values())) and mailed_ends(m) >= WELL)

    def _ask(self, what: str) -> list[Json]:
        answer = requests.get(f"{self.alertmanager.url}/api/v2/{what}", timeout=10)
        mine = (self.place, None)
        return [one for one in answer.json() if one.get("labels", {}).get("instance") in mine]

    def _uuid(self, gpu: int) -> str:
        return self.driver.gpu(gpu).uuid.rstrip(b"\0").decode()

    def _silence(self, **labels: str) -> str:
        now = time.time()
        matchers = [{"name": name, "value": labels[name], "isRegex": False} for name in labels]
        body = {"matchers": matchers, "createdBy": "a test", "comment": "known"}
        body |= {"startsAt": iso(now), "endsAt": iso(now + 600)}
        answer = requests.post(f"{self.alertmanager.url}/api/v2/silences", json=body, timeout=10)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["silenceID"])


def ended(alert: str, page: Json) -> list[str]:
    """The GPUs for which a message tells the end of this alert."""
    labels = [one["labels"] for one in page["alerts"] if one["status"] == "resolved"]
    return [one["gpu"] for one in labels if one["alertname"] == alert]


def all_ended(chats: list[Json]) -> bool:
    """Whether the last message of a chat says that nothing is left."""
    return str(chats[-1]["title"]).startswith("[resolved]")


def mailed_ends(moment: Moment) -> set[str]:
    """The GPUs of which mails have told that they are no longer too hot."""
    texts = "".join(map(text_of, moment.mails))
    return set(re.findall(r"^GpuTooHot, GPU (\d), from 20", texts, re.MULTILINE))


def patient(config: Config) -> None:
    """As always, at three seconds between messages: Prometheus has told everything anew by then."""
    open_always(config)
    for route in routes_of(config):
        route |= {"group_wait": f"{WAIT_SECONDS}s", "group_interval": "3s"}


def told(world: World, folder: Path, library: Path) -> Story:
    """The day from its beginning: everything is started while the receivers are out of order."""
    for name in ("page", "slack", "discord"):
        world.services.inbox[name].failing = REFUSALS
    world.mail.failing = REFUSALS
    alertmanager = world.start(patient)
    with hot_machine(folder / "machine", library, GPUS) as (driver, agent):
        server = prometheus(folder / "prometheus", agent.address[1], alertmanager.port)
        server.start()
        story = Story(world, driver, agent, alertmanager)
        try:
            story.tell()
        finally:
            server.stop()
            alertmanager.stop()
        return story
