"""The stand-ins refuse what the real services refuse: else what they take would prove nothing."""

import json
from typing import Any

import pytest
from alertmanager.tests.services import DISCORD_PATH, SLACK_PATH, Refused, Services


def refusal(path: str, body: object, token: str = "") -> tuple[int, str]:
    with pytest.raises(Refused) as refused:
        Services().take(path, body if isinstance(body, bytes) else json.dumps(body).encode(), token)
    return refused.value.args  # type: ignore[return-value]


def attachment(**more: str) -> dict[str, Any]:
    return {"attachments": [{"title": "t", "text": "x", "fallback": "f", "color": "#1a7f37"} | more]}


@pytest.mark.parametrize("path", [SLACK_PATH, DISCORD_PATH])
def test_chats_take_what_is_right(path: str) -> None:
    services = Services()
    assert services.take(path, json.dumps(attachment()).encode(), "") == "ok"
    assert [len(inbox.messages) for inbox in services.inbox.values()] == [1]


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        (b"{", "invalid_payload"),
        ([], "invalid_payload"),
        ({}, "no_text"),
        ({"attachments": [{}]}, "invalid_attachments"),
        (attachment(color="red"), "invalid_attachments"),
        ({"attachments": attachment()["attachments"] * 101}, "too_many_attachments"),
        (attachment(text="x" * 40_000), "msg_too_long"),
    ],
)
def test_slack_refuses(body: object, answer: str) -> None:
    assert refusal(SLACK_PATH, body) == (400, answer)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, 50006),
        (attachment(title="x" * 257), 50035),
        (attachment(text="x" * 4097), 50035),
        (attachment(color="crimson"), 50035),
        ({**attachment(), "username": "x" * 81}, 50035),
        ({"text": "x" * 2001}, 50035),
        ({"attachments": attachment()["attachments"] * 11}, 50035),
        ({"attachments": attachment(text="x" * 3001)["attachments"] * 2}, 50035),
    ],
)
def test_discord_refuses(body: object, code: int) -> None:
    status, answer = refusal(DISCORD_PATH, body)
    assert (status, json.loads(answer)["code"]) == (400, code)


def test_addresses_and_tokens_are_looked_at() -> None:
    assert refusal("/services/T01/B01/wrong", attachment()) == (404, "no_service")
    assert refusal("/page", {"version": "4", "alerts": [{}]}, "Bearer wrong") == (403, "wrong token")
    assert refusal("/page", {"version": "4"}, "Bearer battery staple")[0] == 400
