"""Lambda: one list of instance types, with a key. Prices are for an instance, in cents.

Regions are those with room; how many instances one has is not published. A type that none has is sold out: 0
available.
"""

from decimal import Decimal

from gputally.config.market import ProviderSettings
from gputally.model.market import Fetched, Offer
from gputally.site.market.cards import Catalogue
from gputally.site.market.http import FetchFailed, Http
from gputally.site.market.keys import key_of
from gputally.site.market.rows import Gathering, Row, mapping, number, text, whole

BASIS = "instance"
DEFAULT_URL = "https://cloud.lambda.ai"
PATH = "/api/v1/instance-types"
PAGE = "https://cloud.lambda.ai/instances"
_CENTS = Decimal(100)
# As the descriptions of regions end, such as "California, USA".
_COUNTRIES = {
    "USA": "US",
    "Australia": "AU",
    "Germany": "DE",
    "India": "IN",
    "Israel": "IL",
    "Japan": "JP",
}


def fetch(http: Http, settings: ProviderSettings, catalogue: Catalogue) -> Fetched:
    """Ask. Raises FetchFailed."""
    url = (settings.base_url or DEFAULT_URL).rstrip("/") + PATH
    key = key_of(settings, url)
    if key is None and not settings.recording:
        raise FetchFailed("auth", "Lambda answers to nobody without a key (api_key_file)")
    headers = {"Authorization": f"Bearer {key}"} if key else None
    return parse(http.get_json(url, headers=headers), catalogue)


def parse(reply: object, catalogue: Catalogue) -> Fetched:
    """Offers of a reply. Raises FetchFailed."""
    types = mapping(mapping(reply, "the top").get("data"), "data")
    if not types:
        raise FetchFailed("empty", "no instance type in data")
    gathering = Gathering("lambda", catalogue)
    for name, value in types.items():
        entry = mapping(value, f"data.{name}")
        _gather(gathering, name, mapping(entry.get("instance_type"), f"data.{name}.instance_type"), entry)
    return gathering.fetched()


def _gather(gathering: Gathering, name: str, instance: Row, entry: Row) -> None:
    regions = _regions(name, entry)
    gpus = whole(mapping(instance.get("specs"), f"data.{name}.instance_type.specs"), "gpus")
    if gpus == 0:
        gathering.reject("cpu_only")
        return
    card = gathering.card(text(instance, "gpu_description"))
    if card is None:
        return
    cents = number(instance, "price_cents_per_hour")
    usd = gathering.usd_per_gpu(card, cents / _CENTS if cents is not None else None, gpus)
    if usd is None or gpus is None:
        return
    for region, country, available in regions or [("", "", 0)]:
        gathering.keep(
            Offer(
                provider="lambda",
                card=card.slug,
                usd_per_gpu_hour=usd,
                region=region,
                country=country,
                node_gpus=gpus,
                available_gpus=available,
                offer_id=text(instance, "name"),
                url=PAGE,
            )
        )


def _regions(name: str, entry: Row) -> list[tuple[str, str, int | None]]:
    """Regions with room. They stand beside the instance type; no list there does not mean sold out."""
    listed = entry.get("regions_with_capacity_available")
    where = f"data.{name}.regions_with_capacity_available"
    if not isinstance(listed, list):
        raise FetchFailed("schema", f"expected a list at {where}")
    rows = [mapping(region, where) for region in listed]
    return [
        (text(row, "name"), _COUNTRIES.get(text(row, "description").rpartition(", ")[2], ""), None)
        for row in rows
    ]
