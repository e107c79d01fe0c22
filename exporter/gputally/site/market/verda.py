"""Verda (DataCrunch): one list of instance types. Prices are for an instance, in quotes.

The old address answers without a key; others (`base_url`) want a token. Where there is room is told to
customers alone, so nothing is known of availability.
"""

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType

from gputally.config.market import ProviderSettings
from gputally.model.market import Fetched, Offer
from gputally.site.market.cards import Catalogue
from gputally.site.market.http import Http
from gputally.site.market.keys import key_of
from gputally.site.market.rows import Gathering, Row, mapping, money_text, number, rows_at, text, whole

BASIS = "instance"
DEFAULT_URL = "https://api.datacrunch.io"
PATH = "/v1/instance-types"
PAGE = "https://verda.com/pricing"
_NO_RATES: Mapping[str, Decimal] = MappingProxyType({})
_TIERS = {"ondemand": "price_per_hour", "spot": "spot_price"}


def fetch(http: Http, settings: ProviderSettings, catalogue: Catalogue) -> Fetched:
    """Ask. Raises FetchFailed."""
    url = (settings.base_url or DEFAULT_URL).rstrip("/") + PATH
    key = key_of(settings, url)
    headers = {"Authorization": f"Bearer {key}"} if key else None
    reply = http.get_json(url, params={"currency": "usd"}, headers=headers)
    return parse(reply, catalogue, settings.rates)


def parse(reply: object, catalogue: Catalogue, rates: Mapping[str, Decimal] = _NO_RATES) -> Fetched:
    """Offers of a reply; `rates` are USD for one of another currency. Raises FetchFailed."""
    gathering = Gathering("verda", catalogue)
    for index, row in enumerate(rows_at(reply)):
        _gather(gathering, row, f"[{index}]", {**rates, "USD": Decimal(1)})
    return gathering.fetched()


def _gather(gathering: Gathering, row: Row, where: str, rates: Mapping[str, Decimal]) -> None:
    gpu = mapping(row.get("gpu"), f"{where}.gpu")
    gpus = whole(gpu, "number_of_gpus")
    if gpus == 0:
        gathering.reject("cpu_only")
        return
    rate = rates.get(text(row, "currency").upper())  # USD was asked for
    if rate is None:
        gathering.reject("currency")
        return
    total_gib = number(mapping(row.get("gpu_memory"), f"{where}.gpu_memory"), "size_in_gigabytes")
    memory_gib = total_gib / gpus if total_gib is not None and gpus else None
    card = gathering.card(text(gpu, "description"), memory_gib=memory_gib)
    if card is None:
        return
    prices = {tier: money_text(row, key) for tier, key in _TIERS.items()}
    if not prices["spot"]:
        del prices["spot"]  # not every type is rented out like that
    for price_tier, price in prices.items():
        usd = gathering.usd_per_gpu(card, None if price is None else price * rate, gpus)
        if usd is not None and gpus is not None:
            gathering.keep(_offer(row, card.slug, usd, price_tier, gpus))


def _offer(row: Row, slug: str, usd: Decimal, price_tier: str, gpus: int) -> Offer:
    return Offer(
        provider="verda",
        card=slug,
        usd_per_gpu_hour=usd,
        price_tier=price_tier,
        node_gpus=gpus,
        offer_id=text(row, "instance_type"),
        url=PAGE,
    )
