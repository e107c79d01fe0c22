"""What a provider's offers have to be like, so that they can be shown and asked for; shorter recordings."""

from __future__ import annotations

import copy
import json
from typing import Any

from gputally.model.market import HOST_TIERS, PRICE_TIERS, REJECTIONS, Fetched, Market
from gputally.site.market import cards
from gputally.site.market.board import board, groups_of
from gputally.site.market.listing import Listing, parse_listing, write_listing
from gputally.site.market.series import of_offers
from tests.site.market.marketplace import NOW, report

ROWS = 3  # of each list: enough to see that one bad row costs no other
CATALOGUE = cards.load()


def shortened(node: Any) -> Any:
    """A copy with the first few of every list, and of a mapping of many."""
    if isinstance(node, list):
        return [shortened(one) for one in node[:ROWS]]
    if isinstance(node, dict):
        few = list(node.items())[: ROWS if all(isinstance(one, dict) for one in node.values()) else None]
        return {key: shortened(value) for key, value in few}
    return copy.copy(node)


def assert_can_be_shown(kind: str, fetched: Fetched) -> None:
    assert fetched.offers
    assert set(fetched.rejected) <= set(REJECTIONS)
    for offer in fetched.offers:
        card = CATALOGUE.cards[offer.card]
        assert card.low_usd <= offer.usd_per_gpu_hour <= card.high_usd
        assert offer.price_tier in PRICE_TIERS
        assert offer.host_tier in HOST_TIERS
        assert offer.node_gpus >= 1
        assert offer.available_gpus is None or offer.available_gpus >= 0
        assert offer.reliability_ratio is None or 0 <= offer.reliability_ratio <= 1
        for text in (offer.region, offer.country, offer.offer_id, offer.note):
            assert len(text) <= 256
            text.encode()
            assert all(letter.isprintable() for letter in text)
    there = report(kind, fetched.offers)
    for region in ("all", "continent", "country"):
        assert of_offers(board(groups_of(there, region), 1000))
    again = parse_listing(json.loads(write_listing(Listing(NOW, Market((there,)))))).market
    assert sorted(again.offers(NOW), key=str) == sorted(fetched.offers, key=str)
