"""The market with every offer, its id and its link, as one JSON document: what /offers of the site agent is.

Prometheus gets sums of it. `gputally offers` and `gputally plan` read this, from the agent or from a file.
Amounts of money are text, so that nothing is lost on the way. What a reader does not know, it leaves alone.
"""

import json
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from decimal import Decimal, InvalidOperation
from typing import Any

from gputally.config.market import GScore
from gputally.model.market import (
    BASES,
    HOST_TIERS,
    MOST_AVAILABLE,
    PRICE_TIERS,
    REJECTIONS,
    Fetched,
    Market,
    Offer,
    ProviderReport,
)
from gputally.site.market.own import Own, OwnGpu

FORMAT = "gputally-offers/1"
MOST_OFFERS = 10_000  # of one document: some 2 MB
MOST_LABELS = 50
_MOST_SECONDS = 1e11  # the year 5138
_ZERO, _LEAST_USD, _MOST_USD = Decimal(0), Decimal("0.000001"), Decimal(10) ** 12
_NOTHING_OWNED, _WEIGHTS = Own(), GScore()
_DEFAULTS = {field.name: field.default for field in fields(Offer) if field.default is not MISSING}
_OFFER_KEYS = tuple(field.name for field in fields(Offer) if field.name != "provider")


class ListingError(ValueError):
    """Why a document is none of ours, in one line."""


@dataclass(frozen=True, slots=True)
class Listing:
    """The market at one moment, and what is needed to compare with it."""

    at_seconds: float
    market: Market
    weights: GScore = _WEIGHTS
    own: Own = _NOTHING_OWNED
    left_out: int = 0  # offers that were too many


def write_listing(listing: Listing) -> bytes:
    """The document; offers of providers whose last good reply is too old are not in it."""
    at_seconds, left = listing.at_seconds, MOST_OFFERS
    providers: list[dict[str, Any]] = []
    left_out = listing.left_out
    for report in listing.market.providers:
        fetched = report.fetched if report.fetched is not None and report.fresh(at_seconds) else None
        offers = fetched.offers if fetched is not None else ()
        shown = sorted(offers, key=lambda offer: offer.usd_per_gpu_hour)[:left]
        left -= len(shown)
        left_out += len(offers) - len(shown)
        providers.append(_provider(report, fetched) | {"offers": [_offer(offer) for offer in shown]})
    weights, own = listing.weights, listing.own
    document = {
        "format": FORMAT,
        "at": at_seconds,
        "gscore": {
            "price": str(weights.price),
            "reliability": str(weights.reliability),
            "availability": str(weights.availability),
            "gpus": weights.gpus,
        },
        "own": {
            "usd_per_kwh": str(own.usd_per_kwh),
            "pue": str(own.pue),
            "tariff": own.tariff,
            "currency_without_rate": own.currency_without_rate,
            "gpus": [
                {"model": gpu.model, "card": gpu.card, "usd_per_hour": str(gpu.usd_per_hour)}
                for gpu in own.gpus
            ],
        },
        "left_out": left_out,
        "providers": providers,
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _provider(report: ProviderReport, fetched: Fetched | None) -> dict[str, Any]:
    return {
        "provider": report.provider,
        "basis": report.basis,
        "source": report.source,
        "max_age_seconds": report.max_age_seconds,
        "success_seconds": report.success_seconds,
        "truncated": fetched.truncated if fetched is not None else False,
        "rejected": dict(fetched.rejected) if fetched is not None else {},
        "unmapped": list(fetched.unmapped) if fetched is not None else [],
    }


def _offer(offer: Offer) -> dict[str, Any]:
    """Without what is as it is by default."""
    found: dict[str, Any] = {}
    for key in _OFFER_KEYS:
        value = getattr(offer, key)
        if key not in _DEFAULTS or value != _DEFAULTS[key]:
            found[key] = str(value) if isinstance(value, Decimal) else value
    return found


def parse_listing(document: object) -> Listing:
    """Read the document. Raises ListingError."""
    top = _Reader(document, "the document")
    if top.text("format") != FORMAT:
        raise ListingError(f"expected a document of the format {FORMAT}")
    at_seconds = top.number("at")
    providers = tuple(_report(row) for row in top.rows("providers"))
    weights, own = top.inside("gscore"), top.inside("own")
    if sum(len(report.fetched.offers) for report in providers if report.fetched is not None) > MOST_OFFERS:
        raise ListingError(f"more than {MOST_OFFERS} offers")
    return Listing(
        at_seconds,
        Market(providers),
        GScore(
            weights.money("price"),
            weights.money("reliability"),
            weights.money("availability"),
            weights.whole("gpus", 8, 1),
        ),
        Own(
            tuple(
                OwnGpu(row.text("model"), row.text("card") or None, row.money("usd_per_hour"))
                for row in own.rows("gpus")
            ),
            own.money("usd_per_kwh", -_MOST_USD),
            own.money("pue"),
            own.text("tariff"),
            own.text("currency_without_rate"),
        ),
        top.whole("left_out"),
    )


def _report(row: "_Reader") -> ProviderReport:
    name, success = row.text("provider"), row.get("success_seconds")
    offers = tuple(_read_offer(name, offer) for offer in row.rows("offers"))
    rejected = row.inside("rejected")
    return ProviderReport(
        name,
        row.word("basis", BASES, ""),
        row.text("source"),
        row.number("max_age_seconds"),
        Fetched(
            offers,
            {reason: rejected.whole(reason) for reason in REJECTIONS if rejected.get(reason) is not None},
            tuple(str(label) for label in row.items("unmapped")[:MOST_LABELS]),
            row.get("truncated") is True,
        ),
        row.number("success_seconds") if success is not None else None,
    )


def _read_offer(provider: str, row: "_Reader") -> Offer:
    available, reliability, nvlink = (
        row.get(key) for key in ("available_gpus", "reliability_ratio", "nvlink")
    )
    return Offer(
        provider,
        row.text("card"),
        row.money("usd_per_gpu_hour", _LEAST_USD),
        row.word("price_tier", PRICE_TIERS, "ondemand"),
        row.word("host_tier", HOST_TIERS, "datacenter"),
        row.text("region"),
        row.text("country"),
        row.whole("node_gpus", 1, 1),
        row.whole("available_gpus") if available is not None else None,
        row.number("reliability_ratio") if reliability is not None else None,
        nvlink if isinstance(nvlink, bool) else None,
        row.text("offer_id"),
        row.text("url"),
        row.text("note"),
    )


class _Reader:
    """An object of the document, by type. Raises ListingError with the place."""

    def __init__(self, value: object, where: str) -> None:
        if not isinstance(value, Mapping):
            raise ListingError(f"{where}: expected an object")
        self._row, self._where = value, where

    def get(self, key: str) -> object:
        return self._row.get(key)

    def text(self, key: str) -> str:
        """What is not there is empty, as in an offer without a region."""
        value = self.get(key)
        return "" if value is None else self._of(key, value, str, "text")

    def word(self, key: str, words: tuple[str, ...], default: str) -> str:
        value = self.text(key) or default
        if value not in words:
            raise ListingError(f"{self._where}.{key}: expected one of {', '.join(words)}")
        return value

    def number(self, key: str) -> float:
        value = self._of(key, self.get(key), (int, float), "a number")
        if not 0 <= value < _MOST_SECONDS:
            raise ListingError(f"{self._where}.{key}: expected a number within reason")
        return float(value)

    def whole(self, key: str, default: int = 0, least: int = 0) -> int:
        value = self.get(key)
        if value is None:
            return default
        count = self._of(key, value, int, "a whole number")
        if not least <= count <= MOST_AVAILABLE:
            raise ListingError(
                f"{self._where}.{key}: expected a whole number from {least} to {MOST_AVAILABLE}"
            )
        return int(count)

    def money(self, key: str, least: Decimal = _ZERO) -> Decimal:
        text = self._of(key, self.get(key), str, "an amount in quotes")
        try:
            amount = Decimal(text)
        except InvalidOperation:
            raise ListingError(f"{self._where}.{key}: expected an amount in quotes") from None
        if not amount.is_finite() or not least <= amount <= _MOST_USD:
            raise ListingError(f"{self._where}.{key}: expected an amount within reason")
        return amount

    def items(self, key: str) -> list[Any]:
        return list(self._of(key, self.get(key), list, "a list"))

    def rows(self, key: str) -> "list[_Reader]":
        return [_Reader(row, f"{self._where}.{key}[{at}]") for at, row in enumerate(self.items(key))]

    def inside(self, key: str) -> "_Reader":
        return _Reader(self.get(key), f"{self._where}.{key}")

    def _of(self, key: str, value: object, kind: Any, what: str) -> Any:  # noqa: ANN401 - a type of JSON
        if not isinstance(value, kind) or isinstance(value, bool):
            raise ListingError(f"{self._where}.{key}: expected {what}")
        return value
