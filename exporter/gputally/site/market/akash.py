"""Akash: one page of bid statistics by model, without a key. Prices are for one GPU, in USD.

They come of what providers bid in the last 31 days for deployments of a single GPU, the best bid of each.
Nobody can order at such a price, least of all at the lowest, which may be a month old: the median stands for
the model, and the note says from where to where the bids go. There are no regions and no single offers; who
runs a machine is not told, so all count as community.
"""

import re
from decimal import Decimal

from gputally.config.market import ProviderSettings
from gputally.model.market import Fetched, Offer
from gputally.site.market.cards import Catalogue
from gputally.site.market.http import Http
from gputally.site.market.rows import Gathering, Row, form_word, number, rows_at, text, whole

BASIS = "bid_stats"
DEFAULT_URL = "https://console-api.akash.network"
PATH = "/v1/gpu-prices"
PAGE = "https://akash.network/pricing/gpus/"
_GIB = re.compile(r"([0-9]{1,4})Gi")


def fetch(http: Http, settings: ProviderSettings, catalogue: Catalogue) -> Fetched:
    """Ask. Raises FetchFailed."""
    return parse(http.get_json((settings.base_url or DEFAULT_URL).rstrip("/") + PATH), catalogue)


def parse(reply: object, catalogue: Catalogue) -> Fetched:
    """Offers of a reply. Raises FetchFailed."""
    gathering = Gathering("akash", catalogue)
    for row in rows_at(reply, "models"):
        _gather(gathering, row)
    return gathering.fetched()


def _gather(gathering: Gathering, row: Row) -> None:
    card = gathering.card(_label(row), memory_gib=_memory_gib(row))
    if card is None:
        return
    price = row.get("price")
    if not isinstance(price, dict):
        gathering.reject("no_price")  # null: nobody bid for this model
        return
    if text(price, "currency") != "USD":
        gathering.reject("currency")
        return
    usd = gathering.usd_per_gpu(card, number(price, "med"))
    if usd is not None:
        gathering.keep(_offer(row, card.slug, usd, price))


def _offer(row: Row, slug: str, usd: Decimal, price: Row) -> Offer:
    lowest, highest = number(price, "min"), number(price, "max")
    has_range = lowest is not None and highest is not None
    return Offer(
        provider="akash",
        card=slug,
        usd_per_gpu_hour=usd,
        host_tier="community",
        available_gpus=_available(row),
        url=PAGE,
        note=f"median of bids from {lowest:.2f} to {highest:.2f}" if has_range else "median of bids",
    )


def _label(row: Row) -> str:
    """The model, and the column beside it where that says how the card is connected: "Nothsure" does not."""
    return f"{text(row, 'model')} {form_word(text(row, 'interface'))}".strip()


def _memory_gib(row: Row) -> Decimal | None:
    match = _GIB.fullmatch(text(row, "ram"))
    return Decimal(match[1]) if match else None


def _available(row: Row) -> int | None:
    availability = row.get("availability")
    count = whole(availability, "available") if isinstance(availability, dict) else None
    return count if count is not None and count >= 0 else None
