"""Which offers are found, in which order, and how good they are said to be."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gputally.config.market import GScore
from gputally.model.market import Market
from gputally.site.market.cards import load
from gputally.site.market.gscore import Score, gscore
from gputally.site.market.search import ORDERS, Found, Sight, Wanted, search
from tests.site.market.marketplace import A100, H100, L40S, NOW, RTX4090, UNRATED, market, offer, report

CATALOGUE = load()
EVEN = GScore()


def score(usd: object, cheapest: object, reliability: float | None, free: int | None, weights=EVEN) -> Score:
    return gscore(weights, Decimal(str(usd)), Decimal(str(cheapest)), reliability, free)


@pytest.mark.parametrize(
    ("usd", "cheapest", "reliability", "free", "expected"),
    [
        (1, 1, 1.0, 8, 1.0),
        (2, 1, 0.95, 4, 0.5 * 0.5 + 0.3 * 0.5 + 0.2 * 0.5),
        (2, 1, 0.5, 0, 0.25),
        (2, 1, None, 4, (0.25 + 0.1) / 0.7),
        (2, 1, 0.95, None, (0.25 + 0.15) / 0.8),
        (2, 1, None, None, 0.5),
        (1, 1, 0.95, 800, 0.85),
        (1, 2, None, None, 1.0),  # sold out at a price below all that are not
    ],
)
def test_the_formula(usd, cheapest, reliability, free, expected) -> None:
    assert score(usd, cheapest, reliability, free).ratio == pytest.approx(expected)


def test_the_score_tells_what_it_is_made_of() -> None:
    assert score(1, 1, None, 4).parts == ("price", "availability")
    by_reliability = GScore(Decimal(0), Decimal(1), Decimal(0))
    assert score(1, 1, None, 4, by_reliability) == Score(None, ())
    assert score(1, 1, 0.95, 4, by_reliability).parts == ("reliability",)


prices = st.decimals("0.01", "100", places=4)
shares = st.none() | st.floats(0, 1)
counts = st.none() | st.integers(0, 10_000)


@given(st.tuples(prices, prices), shares, counts, shares, counts)
def test_it_is_a_part_of_1_and_no_part_of_it_gets_worse_by_being_better(
    usd, reliability, free, more_reliability, more_free
) -> None:
    low, high = sorted(usd)
    ratio = gscore(EVEN, high, low, reliability, free).ratio
    assert ratio is not None
    assert 0 <= ratio <= 1
    assert gscore(EVEN, low, low, reliability, free).ratio >= ratio
    if reliability is not None and more_reliability is not None:
        better = gscore(EVEN, high, low, max(reliability, more_reliability), free).ratio
        assert better >= ratio - 1e-12
    if free is not None and more_free is not None:
        assert gscore(EVEN, high, low, reliability, max(free, more_free)).ratio >= ratio - 1e-12


THERE = market(
    offer("vast", H100, 2, free=8, reliability_ratio=0.99, country="NO", region="Norway", nvlink=True),
    offer("vast", RTX4090, "0.4", free=1, reliability_ratio=0.9, host_tier="community", region="Czechia, CZ"),
    offer("lambda", H100, 3, node=8, region="us-west-1"),
    offer("lambda", A100, "1.5", free=0),
    offer("akash", L40S, "0.8", free=30, price_tier="spot"),
    offer("akash", UNRATED, "2.5", free=3),
)


def sight(there: Market) -> Sight:
    return Sight(there, CATALOGUE, EVEN, NOW)


def found(wanted: Wanted, order: str = "price") -> list[Found]:
    return list(search(sight(THERE), wanted, order))


@pytest.mark.parametrize(
    ("wanted", "prices_found"),
    [
        (Wanted(), ["0.4", "0.8", "2", "2.5", "3"]),
        (Wanted(sold_out=True), ["0.4", "0.8", "1.5", "2", "2.5", "3"]),
        (Wanted(cards=frozenset({H100, L40S})), ["0.8", "2", "3"]),
        (Wanted(memory_gib=Decimal(80)), ["2", "2.5", "3"]),
        (Wanted(memory_gib=Decimal("80.5")), ["2.5"]),
        (Wanted(providers=frozenset({"vast"})), ["0.4", "2"]),
        (Wanted(regions=frozenset({"no"})), ["2"]),
        (Wanted(regions=frozenset({"norway"})), ["2"]),
        (Wanted(regions=frozenset({"CZ", "us"})), ["0.4", "3"]),
        (Wanted(regions=frozenset({"US-West"})), ["3"]),
        (Wanted(regions=frozenset({"orway"})), []),
        (Wanted(regions=frozenset({"-"})), []),
        (Wanted(price_tiers=frozenset({"spot"})), ["0.8"]),
        (Wanted(host_tiers=frozenset({"community"})), ["0.4"]),
        (Wanted(max_usd=Decimal(2)), ["0.4", "0.8", "2"]),
        (Wanted(min_available=8), ["0.8", "2"]),
        (Wanted(nvlink=True), ["2"]),
        (Wanted(cards=frozenset({A100})), []),
    ],
)
def test_what_is_wanted_is_found_and_nothing_else(wanted: Wanted, prices_found: list[str]) -> None:
    assert [str(one.offer.usd_per_gpu_hour) for one in found(wanted)] == prices_found


def test_every_order_has_the_best_first_and_what_is_not_known_last() -> None:
    by_tflop = [one.offer.card for one in found(Wanted(), "tflop")]
    assert by_tflop == [H100, L40S, RTX4090, H100, UNRATED]
    free = [one.offer.available_gpus for one in found(Wanted(), "available")]
    assert free == [30, 8, 3, 1, None]
    scores = [one.score.ratio for one in found(Wanted(), "gscore")]
    assert scores == sorted(scores, reverse=True)
    assert set(ORDERS) == {"price", "tflop", "gscore", "available"}


def test_a_price_is_compared_within_its_card_price_tier_and_host_tier_and_with_what_can_be_had() -> None:
    (h100, lambda_h100) = found(Wanted(cards=frozenset({H100})))
    assert h100.score.ratio == pytest.approx(0.5 + 0.3 * 0.9 + 0.2)
    assert lambda_h100.score.ratio == pytest.approx(2 / 3)
    gone = market(offer("a", A100, 1, free=0), offer("b", A100, 2, free=8))
    (b,) = search(sight(gone), Wanted())
    assert b.score.ratio == 1


def test_the_price_of_a_tflop_is_exact() -> None:
    (one, _) = found(Wanted(cards=frozenset({H100})))
    assert one.usd_per_tflop_hour == Decimal(2) / 989
    (none,) = found(Wanted(cards=frozenset({UNRATED})))
    assert none.usd_per_tflop_hour is None


def test_who_has_not_answered_for_long_is_not_found_and_nobody_compares_with_them() -> None:
    old = Market((report("a", [offer("a", H100, 1)], age=1801), report("b", [offer("b", H100, 2)])))
    (b,) = search(sight(old), Wanted())
    assert (b.offer.provider, b.score.ratio) == ("b", 1.0)


def test_the_same_market_is_always_listed_in_the_same_order() -> None:
    turned = replace(THERE, providers=THERE.providers[::-1])
    for order in ORDERS:
        one, other = (search(sight(there), Wanted(), order) for there in (THERE, turned))
        assert one == other
