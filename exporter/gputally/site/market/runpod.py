"""RunPod: one GraphQL query for all kinds of GPU, without a key. Prices are for one GPU, in USD.

Its own datacentres ("secure") and those of partners ("community") are told apart. How many GPUs there are is
not published, only whether there is stock; for a kind without any, the list price stands with 0 available.
"""

from decimal import Decimal

from gputally.config.market import ProviderSettings
from gputally.model.market import Fetched, Offer
from gputally.site.market.cards import Card, Catalogue
from gputally.site.market.http import FetchFailed, Http
from gputally.site.market.keys import key_of
from gputally.site.market.rows import Gathering, Row, flag, mapping, number, rows_at, text

BASIS = "gpu_only"
DEFAULT_URL = "https://api.runpod.io"
PATH = "/graphql"
PAGE = "https://www.runpod.io/pricing"
QUERY = """query {
  gpuTypes {
    id displayName manufacturer memoryInGb maxGpuCount secureCloud communityCloud
    securePrice communityPrice secureSpotPrice communitySpotPrice oneMonthPrice threeMonthPrice
    secure: lowestPrice(input: {gpuCount: 1, secureCloud: true}) {
      uninterruptablePrice minimumBidPrice stockStatus
    }
    community: lowestPrice(input: {gpuCount: 1, secureCloud: false}) {
      uninterruptablePrice minimumBidPrice stockStatus
    }
  }
}"""
_CLOUDS = {"secure": "datacenter", "community": "community"}
_TIERS = {"ondemand": ("uninterruptablePrice", "Price"), "spot": ("minimumBidPrice", "SpotPrice")}


def fetch(http: Http, settings: ProviderSettings, catalogue: Catalogue) -> Fetched:
    """Ask. Raises FetchFailed."""
    url = (settings.base_url or DEFAULT_URL).rstrip("/") + PATH
    key = key_of(settings, url)
    headers = {"Authorization": f"Bearer {key}"} if key else None
    return parse(http.post_json(url, {"query": QUERY}, headers=headers), catalogue)


def parse(reply: object, catalogue: Catalogue) -> Fetched:
    """Offers of a reply. Raises FetchFailed."""
    _no_errors(mapping(reply, "the top"))
    gathering = Gathering("runpod", catalogue)
    for row in rows_at(reply, "data", "gpuTypes"):
        _gather(gathering, row)
    return gathering.fetched()


def _no_errors(reply: Row) -> None:
    """GraphQL says with HTTP 200 that it could not answer."""
    errors = reply.get("errors")
    if errors:
        first = errors[0] if isinstance(errors, list) else errors
        said = text(first, "message") if isinstance(first, dict) else ""
        raise FetchFailed("schema", f"the query is refused: {said or 'no reason is given'}")


def _gather(gathering: Gathering, row: Row) -> None:
    card = gathering.card(text(row, "id"), memory_gib=number(row, "memoryInGb"))
    if card is None:
        return
    offers = [
        _offer(row, card, (price_tier, cloud), usd)
        for cloud in _CLOUDS
        if flag(row, f"{cloud}Cloud")
        for price_tier, (now, listed) in _TIERS.items()
        if (usd := _price(row, cloud, now, listed)) is not None
    ]
    month = _positive(row, "oneMonthPrice")
    if month is not None and flag(row, "secureCloud"):
        offers.append(_offer(row, card, ("reserved", "secure"), month))
    if not offers:
        gathering.reject("no_price")
    for offer in offers:
        if gathering.usd_per_gpu(card, offer.usd_per_gpu_hour) is not None:
            gathering.keep(offer)


def _offer(row: Row, card: Card, kind: tuple[str, str], usd: Decimal) -> Offer:
    price_tier, cloud = kind
    stock = _stock(row, cloud)
    return Offer(
        provider="runpod",
        card=card.slug,
        usd_per_gpu_hour=usd,
        price_tier=price_tier,
        host_tier=_CLOUDS[cloud],
        available_gpus=None if stock is not None else 0,
        offer_id=text(row, "id"),
        url=PAGE,
        note=_note(price_tier, stock),
    )


def _note(price_tier: str, stock: str | None) -> str:
    words = [f"stock: {stock.lower()}" if stock else "", "for a month" if price_tier == "reserved" else ""]
    return ", ".join(word for word in words if word)


def _price(row: Row, cloud: str, now: str, listed: str) -> Decimal | None:
    """What it costs at the moment; where nothing is to be had, what it costs by the list."""
    lowest = row.get(cloud)
    price = _positive(lowest, now) if isinstance(lowest, dict) else None
    return price if price is not None else _positive(row, f"{cloud}{listed}")


def _positive(row: Row, key: str) -> Decimal | None:
    """A price; 0 stands where there is none."""
    price = number(row, key)
    return price if price is not None and price > 0 else None


def _stock(row: Row, cloud: str) -> str | None:
    """High, medium or low; "" where there is some and it is not said how much; None where there is none."""
    lowest = row.get(cloud)
    if not isinstance(lowest, dict):
        return None
    has_price = any(number(lowest, key) is not None for key, _ in _TIERS.values())
    stock = text(lowest, "stockStatus")
    return stock if stock or has_price else None
