"""Receivers that hang, certificates that have expired, an Alertmanager that is killed: what arrives."""

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
import trustme
from alertmanager.tests.chain import hot_machine, prometheus
from alertmanager.tests.conftest import World, open_always, states, tell
from alertmanager.tests.losing import kill, lost, silence, silences
from alertmanager.tests.mailserver import MailServer, text_of
from alertmanager.tests.services import Services, await_truth
from scripts.stack.processes import Program

from tests.fakenvml.build import build


@pytest.mark.fault("receiver-hangs")
def test_a_pager_that_never_answers_keeps_no_mail_waiting_and_is_told_when_it_does(world: World) -> None:
    pager = world.services.inbox["page"]
    alertmanager = world.start(open_always)
    before, pager.silent = pager.attempts, threading.Event()
    try:
        tell(alertmanager, lost("silent"))
        await_truth(lambda: pager.attempts > before)
        await_truth(lambda: world.mail.about("silent"))
        assert world.services.hooks("page", "silent") == []
    finally:
        answering, pager.silent = pager.silent, None
        answering.set()
    await_truth(lambda: world.services.hooks("page", "silent"))
    alertmanager.stop()
    assert len(world.services.hooks("page", "silent")) == 1
    assert len(world.mail.about("silent")) == 1


@pytest.mark.fault("receiver-expired")
def test_a_mail_server_with_an_expired_certificate_gets_its_mail_when_it_has_a_good_one(
    tmp_path: Path,
) -> None:
    authority, mail = trustme.CA(), MailServer()
    with Services().running() as services:
        world = World(tmp_path, services, mail, authority)
        alertmanager = world.start(open_always)
        try:
            with mail.running(authority, until=datetime.now(UTC) - timedelta(days=1)):
                tell(alertmanager, lost("expired"))
                await_truth(lambda: "certificate has expired" in alertmanager.log.read_text())
                await_truth(lambda: services.hooks("page", "expired"))
            assert mail.mails == []
            with mail.running(authority):
                await_truth(lambda: mail.about("expired"))
        finally:
            world.stop()
    assert len(mail.mails) == len(services.hooks("page", "expired")) == 1


@pytest.mark.fault("alertmanager-killed")
def test_killed_after_it_has_sent_it_may_send_again_and_may_forget_a_young_silence(world: World) -> None:
    """Prometheus goes on telling it of alerts; what it has sent and silenced it writes every 15 min."""
    alertmanager = world.start(open_always)
    tell(alertmanager, lost("killed"))
    await_truth(lambda: world.services.hooks("page", "killed"))
    quiet = silence(alertmanager, "elsewhere")
    assert silences(alertmanager) == {quiet}
    kill(alertmanager)
    alertmanager.start()
    alertmanager.wait_until_ready()
    assert silences(alertmanager) <= {quiet}
    tell(alertmanager, lost("killed"), seconds=3)
    await_truth(lambda: len(world.services.hooks("page", "killed")) >= 2)
    await_truth(lambda: world.services.hooks("page", "killed")[-1]["status"] == "resolved")
    alertmanager.stop()


@pytest.mark.fault("prometheus-killed")
def test_an_alert_outlives_a_prometheus_that_is_killed_and_is_told_once(world: World, tmp_path: Path) -> None:
    """Each time Prometheus tells of an alert it says that it will last for four minutes more."""
    with hot_machine(tmp_path / "machine", build(tmp_path / "library"), 1) as (driver, agent):
        alertmanager = world.start(open_always)
        server = prometheus(tmp_path / "prometheus", agent.address[1], alertmanager.port)
        server.argv.remove("--rules.alert.resend-delay=1s")
        place = "{}:{}".format(*agent.address)
        try:
            server.start()
            await_truth(lambda: world.mail.about(place))
            kill(server)
            server.start()
            server.wait_until_ready()
            await_truth(lambda: firing(server) >= {"GpuTooHot", "GputallyWatchdog"})
            assert ("GpuTooHot", "active") in {
                (name, state) for (name, *_), state in states(alertmanager, place).items()
            }
            assert len(world.mail.about(place)) == 1
            driver.gpu(0).set(temperature=50, temperature_margin=40)
            await_truth(lambda: len(world.mail.about(place)) == 2)
            assert "GpuTooHot, GPU 0, from " in text_of(world.mail.about(place)[-1])  # and until when
        finally:
            server.stop()
            alertmanager.stop()


def firing(server: Program) -> set[str]:
    """Names of the alerts that this Prometheus has."""
    alerts = requests.get(f"{server.url}/api/v1/alerts", timeout=10).json()["data"]["alerts"]
    return {one["labels"]["alertname"] for one in alerts if one["state"] == "firing"}
