"""The document of /offers: nothing is lost in it, and nothing that is none of ours gets through."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gputally.collect.offers import OffersPage
from gputally.config.market import GScore
from gputally.model.market import BASES, HOST_TIERS, PRICE_TIERS, Market, Offer
from gputally.site.market import listing as module
from gputally.site.market.listing import FORMAT, Listing, ListingError, parse_listing, write_listing
from gputally.site.market.own import Own, OwnGpu
from tests.site.market.marketplace import A100, H100, NOW, market, offer, report

OWN = Own(
    (OwnGpu("NVIDIA H100 80GB HBM3", H100, Decimal("0.78")), OwnGpu("X", None, Decimal(1))), Decimal("0.2")
)
THERE = market(
    offer("vast", H100, "1.2345678901234567890", free=8, reliability_ratio=0.99, country="NO", nvlink=False),
    offer("vast", A100, 1, offer_id="7", url="https://example.com/7?a=\"b'", note="as of 2026-11-01", node=8),
    offer("akash", A100, 2, price_tier="spot", host_tier="community", region="Åland, \u202eAX"),
)

texts = st.text(max_size=20)
offers = st.builds(
    Offer,
    st.just("a"),
    texts,
    st.decimals("0.0001", "1000", places=12),
    st.sampled_from(PRICE_TIERS),
    st.sampled_from(HOST_TIERS),
    texts,
    texts,
    st.integers(1, 1000),
    st.none() | st.integers(0, 10**6),
    st.none() | st.floats(0, 1),
    st.none() | st.booleans(),
    texts,
    texts,
    texts,
)


def turned(listing: Listing) -> Listing:
    return parse_listing(json.loads(write_listing(listing)))


def test_what_is_written_is_read_again() -> None:
    listing = Listing(NOW, THERE, GScore(Decimal("0.6"), Decimal("0.3"), Decimal("0.1"), 4), OWN, 3)
    again = turned(listing)
    assert sorted(again.market.offers(NOW), key=str) == sorted(THERE.offers(NOW), key=str)
    assert (again.at_seconds, again.weights, again.own, again.left_out) == (NOW, listing.weights, OWN, 3)
    assert turned(again) == again


@given(st.lists(offers, max_size=4), st.sampled_from(BASES))
def test_any_offer_survives(some: list[Offer], basis: str) -> None:
    there = Market((report("a", some, basis=basis),))
    again = turned(Listing(NOW, there)).market
    assert sorted(again.offers(NOW), key=str) == sorted(some, key=str)
    assert again.providers[0].basis == basis


def test_stale_offers_are_not_in_it_and_their_provider_is() -> None:
    old = Market((report("a", [offer("a", H100, 1)], age=1801), report("b", [offer("b", H100, 2)])))
    again = turned(Listing(NOW, old)).market
    assert [one.provider for one in again.offers(NOW)] == ["b"]
    assert [one.provider for one in again.providers] == ["a", "b"]
    assert again.providers[0].success_seconds == NOW - 1801


def test_it_is_bounded_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_OFFERS", 2)
    again = turned(Listing(NOW, THERE))
    assert (len(again.market.offers(NOW)), again.left_out) == (2, 1)
    monkeypatch.setattr(module, "MOST_OFFERS", 1)
    with pytest.raises(ListingError, match="more than 1 offers"):
        parse_listing(json.loads(write_listing(Listing(NOW, THERE))) | {"providers": both()})


def both() -> list[object]:
    one = json.loads(write_listing(Listing(NOW, market(offer("a", H100, 1)))))["providers"]
    return one * 2


GOOD = json.loads(write_listing(Listing(NOW, market(offer("a", H100, 1)), own=OWN)))


def changed(path: str, value: object) -> object:
    document = json.loads(json.dumps(GOOD))
    inside = document
    *outer, last = path.split(".")
    for key in outer:
        inside = inside[int(key) if key.isdigit() else key]
    if value is None:
        del inside[last]
    else:
        inside[last] = value
    return document


BAD = {
    "a list": ([], "the document: expected an object"),
    "nothing": ({}, f"expected a document of the format {FORMAT}"),
    "another format": (changed("format", "gputally-offers/9"), "expected a document of the format"),
    "no time": (changed("at", None), "the document.at: expected a number"),
    "time as text": (changed("at", "now"), "the document.at: expected a number"),
    "an endless time": (changed("at", 1e999), "the document.at: expected a number within reason"),
    "a time before all": (changed("at", -1), "the document.at: expected a number within reason"),
    "no providers": (changed("providers", None), "the document.providers: expected a list"),
    "a provider as text": (changed("providers", ["a"]), "the document.providers[0]: expected an object"),
    "no basis": (changed("providers.0.basis", None), "providers[0].basis: expected one of gpu_only"),
    "an unknown tier": (changed("providers.0.offers.0.price_tier", "gift"), "price_tier: expected one of"),
    "a price as a number": (changed("providers.0.offers.0.usd_per_gpu_hour", 1.5), "an amount in quotes"),
    "no price": (changed("providers.0.offers.0.usd_per_gpu_hour", None), "an amount in quotes"),
    "a price for nothing": (changed("providers.0.offers.0.usd_per_gpu_hour", "0"), "an amount within reason"),
    "a price of nobody": (changed("providers.0.offers.0.usd_per_gpu_hour", "NaN"), "an amount within reason"),
    "a price in words": (changed("providers.0.offers.0.usd_per_gpu_hour", "ten"), "an amount in quotes"),
    "half a GPU": (changed("providers.0.offers.0.node_gpus", 0.5), "node_gpus: expected a whole number"),
    "no GPU": (changed("providers.0.offers.0.node_gpus", 0), "node_gpus: expected a whole number"),
    "too many": (changed("providers.0.offers.0.node_gpus", 10**9), "node_gpus: expected a whole number"),
    "truth": (changed("providers.0.offers.0.available_gpus", True), "available_gpus: expected a whole"),
    "less than none": (
        changed("providers.0.offers.0.available_gpus", -1),
        "available_gpus: expected a whole",
    ),
    "a name as a list": (changed("providers.0.offers.0.region", ["x"]), "region: expected text"),
    "no weights": (changed("gscore", None), "the document.gscore: expected an object"),
    "no own": (changed("own", None), "the document.own: expected an object"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_not_ours_is_refused_with_its_place(name: str) -> None:
    document, words = BAD[name]
    with pytest.raises(ListingError) as caught:
        parse_listing(document)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted(GOOD)), inner, max_size=4)
    ),
    max_leaves=8,
)


@pytest.mark.fault("offers-unanswered")
@given(st.sampled_from(["at", "gscore", "own", "providers", "providers.0.offers", "left_out"]), json_values)
def test_whatever_stands_there_it_is_read_or_refused(path: str, value: object) -> None:
    with suppress(ListingError):
        parse_listing(changed(path, value))


class Turning:
    """What an agent shows: a market and a clock that a test moves."""

    def __init__(self) -> None:
        self.market, self.terms, self.now = THERE, object(), NOW
        self.page = OffersPage(
            lambda: (self.market, (self.terms, None)),
            lambda: Listing(self.now, self.market),
            lambda: self.now,
        )


def test_a_page_is_another_when_the_market_is_or_its_terms_or_when_a_reply_gets_too_old() -> None:
    agent = Turning()
    versions = [agent.page.version]
    agent.now += 600
    assert agent.page.version == versions[0]
    agent.market = replace(THERE)
    versions.append(agent.page.version)
    agent.terms = object()
    versions.append(agent.page.version)
    agent.now += 1200
    versions.append(agent.page.version)
    assert len(set(versions)) == 4
    assert json.loads(agent.page.render())["providers"][0]["offers"] == []
