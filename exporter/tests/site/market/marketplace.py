"""Markets that are made up, for whoever compares their offers."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from gputally.model.market import Fetched, Market, Offer, ProviderReport

if TYPE_CHECKING:
    from collections.abc import Iterable

NOW = 1_796_000_000.0
H100, A100, RTX4090, L40S = "h100-sxm5-80gb", "a100-sxm4-80gb", "rtx4090-24gb", "l40s-48gb"
UNRATED = "h100-nvl-94gb"  # of which the catalogue has no TFLOPS


def offer(
    provider: str, card: str, usd: str | Decimal, free: int | None = None, node: int = 1, **more
) -> Offer:
    return Offer(provider, card, Decimal(usd), node_gpus=node, available_gpus=free, **more)


def report(provider: str, offers: Iterable[Offer], age: float = 60.0, basis: str = "instance", **more):
    fetched = Fetched(tuple(offers), **more)
    return ProviderReport(provider, basis, f"{provider}.example.com", 1800.0, fetched, NOW - age)


def market(*offers: Offer) -> Market:
    """Every provider has answered a minute ago."""
    names = dict.fromkeys(one.provider for one in offers)
    return Market(tuple(report(name, [o for o in offers if o.provider == name]) for name in names))
