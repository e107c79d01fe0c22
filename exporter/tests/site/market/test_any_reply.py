"""Replies of every provider with anything in any place: refused in one line, or offers that can be shown."""

from __future__ import annotations

import copy
import json
import math
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripts.recorded_market import PATHS, RECORDINGS, vast

from gputally.model.market import FAILURES, Fetched
from gputally.site.market.http import FetchFailed
from gputally.site.market.registry import PROVIDERS
from tests.site.market import asked
from tests.site.market.fitting import CATALOGUE, assert_can_be_shown, shortened
from tests.site.market.marketplace import NOW

if TYPE_CHECKING:
    from collections.abc import Iterator

KINDS = ("vast", "akash", "ionet", "runpod", "lambda", "verda")
ODD = st.sampled_from(
    [
        *(
            None,
            True,
            False,
            0,
            -1,
            1,
            8,
            0.5,
            -0.0,
            1e-300,
            1e300,
            math.inf,
            10**30,
            -(10**30),
            2**63,
            100_001,
        ),
        *(
            "",
            "0",
            "1.5",
            "-3",
            "NaN",
            "1e9",
            "3,95",
            "\u0663",
            "usd",
            "EUR",
            "CZ",
            "x" * 500,
            "a\nb",
            "\x00",
            "<b>",
        ),
        *(
            "\ud800",
            "\u202e",
            "H100",
            "RTX 4090",
            "h100 nvl 8x",
            "MIG 1g.10gb",
            [],
            {},
            [[]],
            [None],
            {"a": 1},
        ),
    ]
)


class Said:
    """In place of the way to a provider: replies by the path that is asked, as a spoiler left them."""

    def __init__(self, spoil: Any) -> None:
        self._spoil = spoil

    def get_json(self, url: str, **_: object) -> object:
        return self._reply(url, {})

    def post_json(self, url: str, body: Any, **_: object) -> object:
        return self._reply(url, body)

    def _reply(self, url: str, asked_for: Any) -> object:
        return self._spoil(copy.deepcopy(recorded(urlsplit(url).path, json.dumps(asked_for))))


@cache
def recorded(path: str, asked_for: str) -> Any:
    """The first rows of what is recorded."""
    reply = RECORDED[PATHS[path][1]]
    return shortened(vast(reply, json.loads(asked_for), NOW) if path.startswith("/vast") else reply)


RECORDED = {name: json.loads((RECORDINGS / f"{name}.json").read_text()) for _, name in PATHS.values()}


def places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Every value below a node, as what holds it and under which key."""
    for key, value in (
        node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    ):
        yield node, key
        yield from places(value)


def asks(kind: str, spoil: Any) -> Fetched:
    told = asked.settings(kind, base_url=f"https://example.com/{kind}")
    return PROVIDERS[kind].fetch(Said(spoil), told, CATALOGUE)


@pytest.mark.parametrize("kind", KINDS)
def test_a_reply_is_good_before_it_is_spoiled(kind):
    assert_can_be_shown(kind, asks(kind, lambda reply: reply))


@pytest.mark.fault("provider-nonsense", "provider-prices")
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=80, deadline=2_000)
@given(data=st.data())
def test_any_value_in_any_place_of_a_reply_is_one_line_or_offers_that_can_be_shown(kind, data):
    def spoil(reply: Any) -> Any:
        for _ in range(data.draw(st.integers(0, 3))):
            if found := list(places(reply)):
                holder, key = data.draw(st.sampled_from(found))
                holder[key] = copy.deepcopy(data.draw(ODD))
        return data.draw(ODD) if data.draw(st.integers(0, 30)) == 0 else reply

    try:
        fetched = asks(kind, spoil)
    except FetchFailed as failure:
        reason, message = failure.reason, failure.message
    else:
        assert_can_be_shown(kind, fetched)
        return
    assert reason in FAILURES
    assert message.isprintable()
    assert len(message) < 600
