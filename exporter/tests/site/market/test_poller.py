"""Providers asked in the background over real HTTP: none waits for another, and a reload loses nothing."""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from gputally.config.market import MarketSettings, PriceRow, ProviderSettings
from gputally.model.clock import system_clock
from gputally.model.market import Fetched, Offer
from gputally.site.market import cards
from gputally.site.market.poller import MOST_BYTES, Poller
from gputally.site.market.registry import Provider
from tests.report.answering import Answer, Seen, speaking
from tests.site.declaring import StoppedClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gputally.model import Clock
    from gputally.site.market.cards import Catalogue
    from gputally.site.market.http import Http

CARD = "h100-sxm5-80gb"
CATALOGUE = cards.load()


def fetch(http: Http, settings: ProviderSettings, _catalogue: Catalogue) -> Fetched:
    """A provider whose reply is a number."""
    usd = http.get_json(f"{settings.base_url}/{settings.name}")
    return Fetched((Offer(settings.name, CARD, Decimal(str(usd))),))


KINDS = dict.fromkeys(("vast", "akash", "ionet"), Provider("instance", "", fetch))


class Exchange:
    """One server for all providers; each says what it was told to, once it may."""

    def __init__(self) -> None:
        self.says: dict[str, Answer] = {}
        self.asked: dict[str, int] = {}
        self.held: set[str] = set()
        self.release = threading.Event()

    def price(self, name: str, usd: float) -> None:
        self.says[name] = Answer(body=json.dumps(usd).encode())

    def answer(self, seen: Seen) -> Answer:
        name = seen.path.strip("/")
        self.asked[name] = self.asked.get(name, 0) + 1
        if name in self.held:
            self.release.wait(30)
        return self.says.get(name, Answer(404))


@contextmanager
def polling(
    clock: Clock = system_clock,
) -> Iterator[tuple[Exchange, Poller, Callable[..., ProviderSettings]]]:
    exchange = Exchange()
    with speaking(exchange.answer) as server:
        poller = Poller(clock, lambda: 0.0, KINDS)

        def settings(name: str, **more) -> ProviderSettings:
            return ProviderSettings(name, name, server.url, **more)

        try:
            yield exchange, poller, settings
        finally:
            exchange.release.set()
            poller.stop()


def until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def prices(poller: Poller) -> dict[str, float]:
    offers = poller.market().offers(system_clock().wall_seconds)
    return {offer.provider: float(offer.usd_per_gpu_hour) for offer in offers}


def threads() -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread.name.startswith("market-")}


@pytest.mark.fault("provider-slow")
def test_who_hangs_keeps_neither_the_others_nor_the_end_waiting():
    with polling() as (exchange, poller, settings):
        exchange.held.add("vast")
        exchange.price("vast", 1)
        exchange.price("akash", 2)
        poller.adopt(MarketSettings((settings("vast"), settings("akash"))), CATALOGUE)
        until(lambda: prices(poller) == {"akash": 2})
        until(lambda: exchange.asked.get("vast"))
        assert threads() == {"market-vast", "market-akash"}
        poller.stop()
        assert not exchange.release.is_set()  # the server has not answered, and nobody waits for it
        until(lambda: threads() == set())
        assert prices(poller) == {"akash": 2}


def test_nobody_is_asked_and_no_thread_is_there_unless_somebody_is_configured():
    with polling() as (_exchange, poller, _settings):
        before = poller.market()
        assert before.providers == ()
        poller.adopt(MarketSettings(), CATALOGUE)
        assert threads() == set()


def test_the_market_is_the_same_object_until_somebody_has_news_and_has_the_order_of_the_file():
    with polling() as (exchange, poller, settings):
        for number, name in enumerate(("vast", "akash", "ionet")):
            exchange.price(name, number + 1)
        poller.adopt(MarketSettings(tuple(map(settings, ("ionet", "vast", "akash")))), CATALOGUE)
        assert [report.provider for report in poller.market().providers] == ["ionet", "vast", "akash"]
        until(lambda: len(prices(poller)) == 3)
        assert poller.market() is poller.market()
        assert [report.provider for report in poller.market().providers] == ["ionet", "vast", "akash"]
        assert {report.basis for report in poller.market().providers} == {"instance"}
        assert {report.source for report in poller.market().providers} == {"127.0.0.1"}


def test_a_reload_starts_and_stops_providers_and_leaves_the_others_alone():
    with polling() as (exchange, poller, settings):
        for number, name in enumerate(("vast", "akash", "ionet")):
            exchange.price(name, number + 1)
        poller.adopt(MarketSettings((settings("vast"), settings("akash"))), CATALOGUE)
        until(lambda: len(prices(poller)) == 2)
        (kept,) = (report for report in poller.market().providers if report.provider == "vast")
        poller.adopt(MarketSettings((settings("vast"), settings("ionet"))), CATALOGUE)
        assert [report.provider for report in poller.market().providers] == ["vast", "ionet"]
        until(lambda: prices(poller) == {"vast": 1, "ionet": 3})
        assert poller.market().providers[0] is kept
        assert exchange.asked["vast"] == 1
        until(lambda: threads() == {"market-vast", "market-ionet"})


def test_who_is_asked_otherwise_keeps_its_offers_and_counts_and_is_asked_at_once():
    with polling() as (exchange, poller, settings):
        exchange.price("vast", 1)
        poller.adopt(MarketSettings((settings("vast"),)), CATALOGUE)
        until(lambda: prices(poller) == {"vast": 1})
        exchange.held.add("vast")
        poller.adopt(
            MarketSettings((settings("vast", interval_seconds=60.0, max_age_seconds=90.0),)), CATALOGUE
        )
        (report,) = poller.market().providers
        assert (report.max_age_seconds, report.fetches) == (90, 1)
        assert prices(poller) == {"vast": 1}
        exchange.price("vast", 5)
        exchange.release.set()
        until(lambda: prices(poller) == {"vast": 5})
        assert poller.market().providers[0].fetches == 2


def test_who_is_asked_elsewhere_keeps_its_counts_and_loses_offers_that_are_of_another_place():
    with polling() as (exchange, poller, settings):
        exchange.price("vast", 1)
        poller.adopt(MarketSettings((settings("vast"),)), CATALOGUE)
        until(lambda: prices(poller) == {"vast": 1})
        exchange.held.add("vast")
        poller.adopt(MarketSettings((replace(settings("vast"), recording=True),)), CATALOGUE)
        (report,) = poller.market().providers
        assert (report.fetches, report.fetched, report.success_seconds, report.source) == (
            1,
            None,
            None,
            "recording",
        )


def test_other_names_for_cards_are_taken_at_once():
    with polling() as (exchange, poller, settings):
        exchange.price("vast", 1)
        told = MarketSettings((settings("vast"),))
        poller.adopt(told, CATALOGUE)
        until(lambda: exchange.asked.get("vast") == 1)
        poller.adopt(told, cards.load({"my box": CARD}))
        until(lambda: exchange.asked.get("vast") == 2)
        until(lambda: prices(poller) == {"vast": 1})


def test_a_reload_tries_whoever_fails_again_but_not_at_once():
    clock = StoppedClock(1_796_000_000_000_000_000)
    with polling(clock) as (exchange, poller, settings):
        exchange.says["vast"] = Answer(403)
        exchange.price("akash", 2)
        told = MarketSettings((settings("vast"), settings("akash")))
        poller.adopt(told, CATALOGUE)
        until(lambda: poller.market().providers[0].failures == {"auth": 1})
        until(lambda: poller.market().providers[1].fetches == 1)
        poller.adopt(told, CATALOGUE)  # within five seconds, of a clock that stands still
        clock.wall_ns += 5_000_000_000
        exchange.price("vast", 1)
        poller.adopt(told, CATALOGUE)
        until(lambda: poller.market().providers[0].fetched is not None)
        assert exchange.asked == {"vast": 2, "akash": 1}


@pytest.mark.fault("provider-large")
def test_a_reply_that_would_fill_the_memory_is_not_read() -> None:
    with polling() as (exchange, poller, settings):
        exchange.says["vast"] = Answer(body=b"[" + b"1," * (MOST_BYTES // 2) + b"1]")
        poller.adopt(MarketSettings((settings("vast"),)), CATALOGUE)
        until(lambda: poller.market().providers[0].failures == {"parse": 1})


@pytest.mark.fault("provider-nonsense")
@pytest.mark.parametrize("status", [200, 500])
def test_a_provider_that_says_nonsense_leaves_what_was_good(status):
    with polling() as (exchange, poller, settings):
        exchange.price("vast", 1)
        poller.adopt(MarketSettings((settings("vast"),)), CATALOGUE)
        until(lambda: prices(poller) == {"vast": 1})
        exchange.says["vast"] = Answer(status, b"<html>busy</html>")
        poller.adopt(MarketSettings((settings("vast", interval_seconds=61.0),)), CATALOGUE)
        reason = "parse" if status == 200 else "http"
        until(lambda: poller.market().providers[0].failures == {reason: 1})
        assert prices(poller) == {"vast": 1}


def test_rows_are_there_at_once_and_each_until_it_is_too_old():
    day = 86_400 * 1_000_000_000
    clock = StoppedClock()
    clock.set(datetime(2026, 11, 10, tzinfo=UTC))
    rows = tuple(
        PriceRow("render", CARD, Decimal(usd), "https://example.com", date(2026, 11, on), price_tier=tier)
        for usd, on, tier in (("2.5", 1, "ondemand"), ("1.5", 5, "spot"))
    )
    told = ProviderSettings("render", "static", max_age_seconds=10 * 86_400.0, options={"rows": rows})
    with polling(clock) as (_exchange, poller, _settings):
        poller.adopt(MarketSettings((told,)), CATALOGUE)
        assert threads() == set()
        counts = []
        for _ in range(7):
            market = poller.market()
            counts.append(len(market.offers(clock().wall_seconds)))
            clock.wall_ns += day
        assert counts == [2, 1, 1, 1, 1, 0, 0]
        (report,) = poller.market().providers
        assert (report.source, report.basis) == ("file", "list")
        assert not report.fresh(clock().wall_seconds)
