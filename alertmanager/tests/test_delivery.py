"""The whole way of an alert: from a card that is hot, or off the bus, into mail boxes, chats and the pager.

Everything in it is real but the driver and those who receive.
"""

import re

import pytest
from alertmanager.tests.conftest import new_world
from alertmanager.tests.mailserver import html_of, text_of
from alertmanager.tests.services import Json
from alertmanager.tests.story import (
    EVERY_GPU,
    FALLEN,
    REFUSALS,
    SILENCED,
    WELL,
    Story,
    ended,
    mailed_ends,
    told,
)

from tests.fakenvml.build import build


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    folder = tmp_path_factory.mktemp("delivery")
    with new_world(folder) as world:
        return told(world, folder, build(folder / "library"))


def firing(page: Json) -> list[tuple[str, str]]:
    labels = [one["labels"] for one in page["alerts"] if one["status"] == "firing"]
    return sorted((one["alertname"], one.get("gpu", "")) for one in labels)


def hot_gpus(text: str) -> list[str]:
    return re.findall(r"^GpuTooHot, GPU (\d) \(warning\), since", text, re.MULTILINE)


@pytest.mark.fault("alert-flood")
def test_eight_hot_gpus_are_one_mail(story: Story) -> None:
    (mail,) = story.moments["hot"].mails
    text = text_of(mail)
    assert sorted(hot_gpus(text)) == sorted(EVERY_GPU)
    assert "is at 99 °C" in text
    assert f"var-cluster=lab&var-instance={story.place.replace(':', '%3A')}" in text
    assert f"{story.alertmanager.port}/#/silences/new?filter=%7Balertname%3D%22GpuTooHot%22%2C%20" in text
    assert "docs/alerts.md#gputoohot" in text
    assert html_of(mail).count(">Silence</a>") == text.count("Silence: http")


@pytest.mark.parametrize(("chat", "bold"), [("slack", "*"), ("discord", "**")])
def test_rules_of_ones_own_are_one_message_in_the_chat_that_they_name(
    chat: str, bold: str, story: Story
) -> None:
    (message,) = story.moments["hot"].chats[chat]
    alert = f"GpuTooHotFor{chat.title()}"
    assert message["title"] == f"[WARNING] 8 firing: {alert} on {story.place}"
    mark = re.escape(bold)
    named = re.findall(rf"^{mark}{alert}, GPU (\d){mark} ", message["text"], re.MULTILINE)
    assert len(named) == 6
    assert set(named) < EVERY_GPU
    assert "\nand 2 more\n" in message["text"]
    assert all(f"{alert}, GPU" not in text_of(mail) for mail in story.moments["cool"].mails)


@pytest.mark.fault("receiver-fails")
def test_receivers_that_answer_500_are_asked_again_and_get_everything_once(story: Story) -> None:
    hot, lost = story.moments["hot"], story.moments["lost"]
    assert (hot.attempts["slack"], hot.attempts["discord"]) == (REFUSALS + 1, REFUSALS + 1)
    assert lost.attempts["page"] == REFUSALS + 1 == REFUSALS + len(lost.pages)
    assert story.world.mail.failing == 0


@pytest.mark.fault("alertmanager-killed")
def test_a_restart_keeps_the_silence_and_sends_nothing_twice(story: Story) -> None:
    before, after = story.moments["hot"], story.moments["restarted"]
    assert after.silences == {story.silence}
    assert after.states.keys() >= before.states.keys()
    assert [mail["Subject"] for mail in after.mails] == [mail["Subject"] for mail in before.mails]
    assert (after.chats, after.pages) == (before.chats, [])


def test_what_is_silenced_reaches_nobody(story: Story) -> None:
    assert story.moments["silenced"].states["GpuLost", str(SILENCED)] == "suppressed"
    last = story.moments["cool"]
    assert all(("GpuLost", str(SILENCED)) not in firing(page) for page in last.pages)
    assert not [mail for mail in last.mails if f"GpuLost, GPU {SILENCED}" in text_of(mail)]


def test_a_gpu_off_the_bus_reaches_the_pager_without_what_follows_from_it(story: Story) -> None:
    lost = story.moments["lost"]
    assert [firing(page) for page in lost.pages] == [[("GpuLost", str(FALLEN))]]
    assert lost.states["GpuXidCritical", str(FALLEN)] == "suppressed"
    (mail,) = [mail for mail in lost.mails if "CRITICAL" in mail["Subject"]]
    assert mail["Subject"] == f"[CRITICAL] 1 firing: GpuLost on {story.place}"
    assert "Xid" not in text_of(mail).split("First look")[0]


def test_a_gpu_that_is_back_is_told_and_so_is_what_was_held_back_and_is_still_true(story: Story) -> None:
    back = story.moments["back"]
    assert ended("GpuLost", back.pages[-1]) == [str(FALLEN)]
    assert firing(back.pages[-1]) == [("GpuXidCritical", str(FALLEN))]
    assert back.states["GpuXidCritical", str(FALLEN)] == "active"


def test_the_end_is_told_in_every_form(story: Story) -> None:
    cool = story.moments["cool"]
    assert WELL <= mailed_ends(cool) <= EVERY_GPU
    for chat, messages in cool.chats.items():
        gone = set(re.findall(r"no longer: \*+\w+, GPU (\d)", "".join(one["text"] for one in messages)))
        assert gone <= EVERY_GPU, chat
        assert len(gone) >= len(WELL), chat  # six are named in a message, the others counted
        assert messages[-1]["color"] == "#1a7f37"


@pytest.mark.fault("alerting-dead")
def test_a_heartbeat_was_heard_all_the_time(story: Story) -> None:
    assert story.moments["hot"].heartbeats >= 1
