"""A market that commands are tried on, as the site agent's /offers would give it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from gputally.config.market import GScore
from gputally.model.market import Market
from gputally.site.market.listing import Listing, write_listing
from gputally.site.market.own import Own, OwnGpu
from tests.site.market.marketplace import A100, H100, L40S, NOW, RTX4090, UNRATED, offer, report

VAST = [
    offer(
        "vast",
        H100,
        "1.87",
        free=8,
        reliability_ratio=0.993,
        region="Norway",
        country="NO",
        node=8,
        nvlink=True,
        offer_id="4711001",
        url="https://cloud.vast.ai/?offer=4711001",
    ),
    offer(
        "vast",
        RTX4090,
        "0.31",
        free=4,
        reliability_ratio=0.978,
        host_tier="community",
        region="Czechia, CZ",
        country="CZ",
        node=4,
        offer_id="4711002",
        url="https://cloud.vast.ai/?offer=4711002",
    ),
    offer("vast", RTX4090, "0.19", free=2, reliability_ratio=0.95, price_tier="spot", host_tier="community"),
]
RUNPOD = [
    offer("runpod", H100, "2.69", offer_id="NVIDIA H100 80GB HBM3", url="https://www.runpod.io/pricing"),
    offer("runpod", L40S, "0.79", offer_id="NVIDIA L40S", url="https://www.runpod.io/pricing"),
    offer("runpod", A100, "1.39", free=0, url="https://www.runpod.io/pricing"),
]
AKASH = [offer("akash", H100, "1.55", free=21), offer("akash", UNRATED, "1.90", free=4)]
RENDER = [offer("render", RTX4090, "0.69", host_tier="community", note="as of 2026-11-01")]
OWN = Own((OwnGpu("NVIDIA H100 80GB HBM3", H100, Decimal("0.941")),), Decimal("0.2"), Decimal("1.5"), "day")

MARKET = Market(
    (
        report("vast", VAST, basis="instance", truncated=True),
        replace(report("runpod", RUNPOD, basis="gpu_only"), source="recording"),
        report("akash", AKASH, basis="bid_stats", rejected={"unmapped": 2}, unmapped=("p4", "rtx8000ada")),
        report("render", RENDER, basis="list"),
        report("ionet", [offer("ionet", H100, "1.1")], age=7200, basis="instance"),
    )
)
LISTING = Listing(NOW, MARKET, GScore(), OWN)
DOCUMENT = write_listing(LISTING)
