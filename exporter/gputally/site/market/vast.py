"""Vast.ai: many questions, without a key or with one. Prices are for a whole offer with its storage, in USD.

Nobody sees more than 64 offers of a question, and of all models together only the cheap ones, so every group
of similar models is asked for by itself. Whether a host is a datacentre can be asked for and is not told, so
each group is asked for twice; an offer that comes both times is taken for a community's. Only verified hosts
are asked for. Filters that Vast does not know it seems to ignore: what was asked for is looked up in every
row.

A machine with eight free GPUs is offered as one, two, four and eight of them, which are the same GPUs. It
becomes one offer: the cheapest by the GPU, with as many GPUs available as its largest.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from decimal import Decimal

from gputally.config.market import ProviderSettings
from gputally.model.market import Fetched, Offer
from gputally.site.market.cards import Card, Catalogue
from gputally.site.market.http import FetchFailed, Http
from gputally.site.market.keys import key_of
from gputally.site.market.rows import (
    Gathering,
    Row,
    country_of,
    flag,
    identity,
    listed,
    number,
    ratio,
    text,
    whole,
)

BASIS = "instance"
DEFAULT_URL = "https://console.vast.ai"
PATH = "/api/v0/bundles/"
PAGE = "https://cloud.vast.ai/create/"
SEEN = 64  # offers of one reply, whatever the limit
PAUSE_SECONDS = 0.75  # between questions; asked faster, it answers 429
STORAGE_GB = 5.0  # that the price covers
_MIB_PER_GIB = 1024
# Names as Vast has them. What is in a group costs about the same: the cheap would crowd out the dear.
GROUPS = (
    ("B300", "B200"),
    ("GH200 SXM", "H200", "H200 NVL"),
    ("H100 SXM",),
    ("H100 PCIE", "H100 NVL"),
    ("A100 SXM4", "A100X"),
    ("A100 PCIE", "A800 PCIE"),
    ("L40S", "L40", "A40"),
    ("RTX PRO 6000 S", "RTX PRO 6000 WS"),
    ("RTX 6000Ada", "RTX 5880Ada", "RTX A6000"),
    ("RTX 5000Ada", "RTX 4500Ada", "RTX PRO 5000", "RTX PRO 4500", "RTX PRO 4000", "Q RTX 8000"),
    ("RTX 5090",),
    ("RTX 5080", "RTX 5070 Ti", "RTX 4080S", "RTX 4080"),
    ("RTX 4090", "RTX 4090D"),
    ("RTX 3090", "RTX 3090 Ti"),
    ("A10", "L4", "RTX A5000", "RTX A4500", "RTX A4000", "RTX 4000Ada"),
    ("Tesla V100", "Tesla T4", "Tesla P100", "Tesla P40", "Q RTX 6000"),
    ("RTX 5070", "RTX 5060 Ti", "RTX 4070S Ti", "RTX 4070 Ti", "RTX 4070S", "RTX 4070", "RTX 4060 Ti"),
    ("RTX 3080 Ti", "RTX 3080", "RTX 3070 Ti", "RTX 3070", "RTX 3060 Ti", "RTX 3060", "RTX 2080 Ti"),
)


@dataclass(frozen=True, slots=True)
class Query:
    """One question."""

    names: tuple[str, ...]
    datacenter: bool

    def body(self) -> dict[str, object]:
        """The filter itself: wrapped into anything it is refused."""
        return {
            "rentable": {"eq": True},
            "rented": {"eq": False},
            "verified": {"eq": True},
            "external": {"eq": False},
            "datacenter": {"eq": self.datacenter},
            "gpu_name": {"in": list(self.names)},
            "type": "on-demand",
            "order": [["dph_total", "asc"]],
            "limit": SEEN,
            "allocated_storage": STORAGE_GB,
        }

    def asked_for(self, row: Row) -> bool:
        """Whether a row is what the filters say, as far as it tells."""
        return (
            flag(row, "rentable") is not False
            and not flag(row, "rented")
            and not flag(row, "external")
            and text(row, "verification") in ("verified", "")
            and text(row, "gpu_name") in (*self.names, "")
        )


QUERIES = tuple(Query(names, datacenter) for names in GROUPS for datacenter in (True, False))


def fetch(
    http: Http, settings: ProviderSettings, catalogue: Catalogue, pause: Callable[[float], None] = time.sleep
) -> Fetched:
    """Ask for every group. Raises FetchFailed."""
    url = (settings.base_url or DEFAULT_URL).rstrip("/") + PATH
    key = key_of(settings, url)
    headers = {"Authorization": f"Bearer {key}"} if key else None
    replies: list[tuple[Query, object]] = []
    for query in QUERIES:
        if replies and not settings.recording:
            pause(PAUSE_SECONDS)
        replies.append((query, http.post_json(url, query.body(), headers=headers)))
    return parse(replies, catalogue)


def parse(replies: Iterable[tuple[Query, object]], catalogue: Catalogue) -> Fetched:
    """Offers of all replies together. Raises FetchFailed."""
    gathering = Gathering("vast", catalogue)
    rows: dict[str, tuple[Row, str]] = {}  # by id
    truncated = False
    for query, reply in replies:
        found = listed(reply, "offers")
        truncated = truncated or len(found) == SEEN
        asked = [row for row in found if query.asked_for(row)]
        if found and not asked:
            raise FetchFailed("schema", f"no offer is what was asked for: {', '.join(query.names)}")
        for _ in range(len(found) - len(asked)):
            gathering.reject("unasked")
        for row in asked:
            name = identity(row, "id") or f"without {len(rows)}"
            tier = "datacenter" if query.datacenter and name not in rows else "community"
            rows[name] = row, tier
    machines: dict[tuple[str, ...], list[Offer]] = {}
    for name, (row, tier) in rows.items():
        for offer in _offers(gathering, row, tier):
            machine = identity(row, "machine_id") or name
            machines.setdefault((machine, offer.card, offer.price_tier, offer.host_tier), []).append(offer)
    for offers in machines.values():
        gathering.keep(_together(offers))
    return gathering.fetched(truncated=truncated)


def _offers(gathering: Gathering, row: Row, host_tier: str) -> list[Offer]:
    """As it is rented until it is given back, and, cheaper, until somebody bids more."""
    mib = number(row, "gpu_ram")
    card = gathering.card(text(row, "gpu_name"), memory_gib=mib / _MIB_PER_GIB if mib is not None else None)
    gpus = whole(row, "num_gpus")
    usd = gathering.usd_per_gpu(card, number(row, "dph_total"), gpus) if card is not None else None
    if card is None or usd is None or gpus is None:
        return []
    offer = _offer(row, card, usd, gpus, host_tier)
    bid = number(row, "min_bid")
    lowest = gathering.usd_per_gpu(card, bid, gpus) if bid else None
    return [offer] if lowest is None else [offer, replace(offer, price_tier="spot", usd_per_gpu_hour=lowest)]


def _offer(row: Row, card: Card, usd: Decimal, gpus: int, host_tier: str) -> Offer:
    place, nvlink = text(row, "geolocation"), number(row, "bw_nvlink")
    reliability = ratio(row, "reliability2")
    return Offer(
        provider="vast",
        card=card.slug,
        usd_per_gpu_hour=usd,
        host_tier=host_tier,
        region=place,
        country=country_of(place),
        node_gpus=gpus,
        available_gpus=gpus,
        reliability_ratio=ratio(row, "reliability") if reliability is None else reliability,
        nvlink=nvlink > 0 if nvlink is not None else None,
        offer_id=identity(row, "id"),
        url=PAGE,
    )


def _together(offers: list[Offer]) -> Offer:
    """What one machine has."""
    cheapest = min(offers, key=lambda offer: (offer.usd_per_gpu_hour, offer.node_gpus))
    return replace(cheapest, available_gpus=max(offer.node_gpus for offer in offers))
