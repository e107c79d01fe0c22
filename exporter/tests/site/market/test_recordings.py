"""The recording that `make run` and tests ask: whole replies of every provider, which say what they are."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests
from scripts.recorded_market import PATHS, SAYS, RecordedMarket

import gputally
from gputally.model.market import Fetched
from gputally.site.market import cards
from gputally.site.market.http import FetchFailed, Http
from gputally.site.market.registry import PROVIDERS, source_of
from tests.site.market.asked import settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TOP = Path(gputally.__file__).parents[2]
ASKED = ("vast", "akash", "ionet", "runpod", "lambda", "verda")
NOON_S = 1_795_000_000.0
HOUR_S = 3600.0


@contextmanager
def recorded_market(clock: Callable[[], float] = time.time) -> Iterator[RecordedMarket]:
    """A server for the time of a test."""
    market = RecordedMarket(clock=clock)
    try:
        yield market
    finally:
        market.stop()


def fetched(market: RecordedMarket, kind: str) -> Fetched:
    told = settings(kind, base_url=market.base_url(kind))
    assert source_of(told) == "recording"
    return PROVIDERS[kind].fetch(Http(), told, cards.load())


def prices_by_name(reply: Fetched) -> dict[tuple[str, ...], float]:
    """Of offers that can be told apart from all others."""
    names = [(o.offer_id, o.card, o.price_tier, o.host_tier, o.region) for o in reply.offers]
    return {
        name: float(offer.usd_per_gpu_hour)
        for name, offer in zip(names, reply.offers, strict=True)
        if names.count(name) == 1
    }


@pytest.fixture(scope="module")
def replies() -> dict[str, Fetched]:
    """What every provider has at noon."""
    with recorded_market(lambda: NOON_S) as market:
        return {kind: fetched(market, kind) for kind in ASKED}


@pytest.mark.parametrize(
    ("kind", "fewest_cards", "fewest_offers"),
    [
        ("vast", 35, 200),
        ("akash", 25, 25),
        ("ionet", 20, 80),
        ("runpod", 35, 60),
        ("lambda", 10, 20),
        ("verda", 10, 60),
    ],
)
def test_every_provider_has_a_market_worth_looking_at(replies, kind, fewest_cards, fewest_offers):
    offers = replies[kind].offers
    assert len({offer.card for offer in offers}) >= fewest_cards
    assert len(offers) >= fewest_offers
    assert {offer.provider for offer in offers} == {kind}
    assert not replies[kind].truncated


def test_together_they_have_what_pages_are_to_show(replies):
    offers = [offer for reply in replies.values() for offer in reply.offers]
    assert len({offer.card for offer in offers}) >= 45
    assert len({offer.country for offer in offers}) >= 12
    assert {offer.price_tier for offer in offers} == {"ondemand", "spot", "reserved"}
    assert {offer.host_tier for offer in offers} == {"datacenter", "community"}
    assert {0, None} < {offer.available_gpus for offer in offers}
    of_an_h100 = {offer.provider for offer in offers if offer.card == "h100-sxm5-80gb"}
    assert of_an_h100 == set(ASKED)


def test_rows_that_are_no_offers_are_there_too(replies):
    reasons = {(kind, reason) for kind, reply in replies.items() for reason in reply.rejected}
    assert {("akash", "no_price"), ("ionet", "cpu_only"), ("ionet", "no_price"), ("runpod", "mig")} <= reasons
    assert {("lambda", "cpu_only"), ("verda", "cpu_only"), ("runpod", "unmapped")} <= reasons
    assert not {reason for _, reason in reasons} & {"implausible", "no_count", "currency"}


def test_prices_move_with_the_time_and_with_nothing_else():
    now = [NOON_S]
    with recorded_market(lambda: now[0]) as market:
        at_noon = [fetched(market, kind) for kind in ASKED]
        assert [fetched(market, kind) for kind in ASKED] == at_noon
        now[0] += 6 * HOUR_S
        later = [fetched(market, kind) for kind in ASKED]
    for before, after in zip(at_noon, later, strict=True):
        then, now_usd = prices_by_name(before), prices_by_name(after)
        ratios = {round(usd / then[name], 2) for name, usd in now_usd.items() if name in then}
        assert len(ratios) > 3
        assert all(0.83 < ratio < 1.2 for ratio in ratios)


def test_every_hour_of_a_week_can_be_read():
    now = [NOON_S]
    with recorded_market(lambda: now[0]) as market:
        for hour in range(0, 7 * 24, 17):
            now[0] = NOON_S + hour * HOUR_S
            for kind in ("akash", "ionet", "runpod", "lambda", "verda"):
                assert not set(fetched(market, kind).rejected) & {"implausible", "no_count"}


def test_every_reply_says_that_it_is_a_recording():
    with recorded_market() as market:
        for path, (method, _) in PATHS.items():
            body = {"query": "{ gpuTypes { id } }"} if "runpod" in path else {}
            answer = requests.request(method, market.url + path, json=body, timeout=10)
            assert (answer.status_code, answer.headers["X-Recording"]) == (200, SAYS)
        assert requests.get(f"{market.url}/vast/api/v0/bundles/", timeout=10).status_code == 405
        assert requests.get(f"{market.url}/elsewhere", timeout=10).status_code == 404
        assert requests.post(f"{market.url}/vast/api/v0/bundles/", data="{", timeout=10).status_code == 400
        assert requests.get(f"{market.url}/-/ready", timeout=10).json() == {"recording": SAYS}


def test_vast_shows_what_is_asked_for_and_no_more_than_it_shows_anybody():
    with recorded_market(lambda: NOON_S) as market:

        def offers(**asked):
            url = f"{market.url}/vast/api/v0/bundles/"
            return requests.post(url, json=asked, timeout=10).json()["offers"]

        assert len(offers(limit=3000)) == len(offers()) == 64
        assert len(offers(limit=7, unknown={"eq": 1})) == 7
        few = {"num_gpus": {"gte": 2, "lte": 4}, "rented": {"eq": False}}
        dear = offers(gpu_name={"in": ["H100 SXM", "H200"]}, **few)
        assert {row["gpu_name"] for row in dear} == {"H100 SXM", "H200"}
        assert {row["num_gpus"] for row in dear} <= {2, 4}
        prices = [row["dph_total"] for row in offers(order=[["dph_total", "desc"]])]
        assert prices == sorted(prices, reverse=True)


def test_runpod_refuses_a_query_that_it_does_not_know_with_200():
    with recorded_market() as market:
        answer = requests.post(f"{market.url}/runpod/graphql", json={"query": "{ pods }"}, timeout=10)
        assert (answer.status_code, list(answer.json())) == (200, ["errors"])


def test_it_runs_by_itself_and_says_what_it_is():
    argv = [sys.executable, "-m", "scripts.recorded_market", "--port", "0"]
    with subprocess.Popen(argv, cwd=TOP, stdout=subprocess.PIPE, text=True) as process:
        try:
            url, _, said = process.stdout.readline().strip().partition(" serves ")
            assert said == SAYS
            assert requests.get(f"{url}/akash/v1/gpu-prices", timeout=10).json()["models"]
            assert process.stdout.readline() == "recording: GET /akash/v1/gpu-prices 200\n"
        finally:
            process.terminate()
        assert process.wait(10) == 0


def test_a_provider_that_is_not_asked_as_it_wants_fails():
    with recorded_market() as market, pytest.raises(FetchFailed) as caught:
        PROVIDERS["verda"].fetch(Http(), settings("verda", base_url=market.url), cards.load())
    assert (caught.value.reason, caught.value.status) == ("http", 404)
