"""Providers of tests: a local server that says what it is told, and the settings that lead there."""

from __future__ import annotations

import json

import pytest

from gputally.config.market import ProviderSettings
from gputally.model.market import Fetched, Offer
from gputally.site.market import cards
from gputally.site.market.http import FetchFailed, Http
from gputally.site.market.registry import PROVIDERS
from tests.report.answering import Answer, Seen, speaking


def settings(kind: str, **more) -> ProviderSettings:
    """As the configuration would have it; a recording, so that nobody needs a key."""
    return ProviderSettings(**{"name": kind, "kind": kind, "recording": True} | more)


def fetch(kind: str, reply: object, seen: list[Seen] | None = None, **more) -> Fetched:
    """Ask a server that replies with this, over HTTP."""
    with speaking(lambda _: Answer(body=json.dumps(reply).encode())) as provider:
        told = settings(kind, base_url=provider.url, **more)
        try:
            return PROVIDERS[kind].fetch(Http(), told, cards.load())
        finally:
            if seen is not None:
                seen += provider.seen


def failed(kind: str, reply: object, **more) -> FetchFailed:
    """How asking such a server fails."""
    with pytest.raises(FetchFailed) as caught:
        fetch(kind, reply, **more)
    return caught.value


def prices(fetched: Fetched) -> list[tuple[str, float, str, str]]:
    """What tests look at first."""
    return [(o.card, float(o.usd_per_gpu_hour), o.price_tier, o.host_tier) for o in fetched.offers]


def only(fetched: Fetched) -> Offer:
    (offer,) = fetched.offers
    return offer
