"""io.net: two lists of machines, without a key or with one. Prices are for a machine, in USD.

They are a month's price by the hour, without the fees that a quote adds. How many machines of a kind are free
is told by the list for containers, which has the same ids; who runs them is not told, so all count as
community. With a key, the lists are where io.net asks for it.
"""

from collections.abc import Mapping

from gputally.config.market import ProviderSettings
from gputally.model.market import Fetched, Offer
from gputally.site.market.cards import Catalogue
from gputally.site.market.http import Http
from gputally.site.market.keys import key_of
from gputally.site.market.rows import (
    Gathering,
    Row,
    country_of,
    flag,
    form_word,
    identity,
    listed,
    number,
    rows_at,
    text,
    whole,
)

BASIS = "instance"
DEFAULT_URL = "https://api.io.solutions"
MACHINES, CONTAINERS = "/v1/io-cloud/vmaas/hardware", "/v1/io-cloud/caas/hardware"
WITH_KEY = "/enterprise"  # before the path
PAGE = "https://cloud.io.net/"


def fetch(http: Http, settings: ProviderSettings, catalogue: Catalogue) -> Fetched:
    """Ask for both lists. Raises FetchFailed."""
    base = (settings.base_url or DEFAULT_URL).rstrip("/")
    key = key_of(settings, base)
    base, headers = (base + WITH_KEY, {"x-api-key": key}) if key else (base, None)
    machines = http.get_json(base + MACHINES, headers=headers)
    return parse(machines, catalogue, http.get_json(base + CONTAINERS, headers=headers))


def parse(reply: object, catalogue: Catalogue, containers: object = None) -> Fetched:
    """Offers of a reply; of the list for containers comes how many there are. Raises FetchFailed."""
    replicas = _replicas(containers) if containers is not None else {}
    gathering = Gathering("ionet", catalogue)
    for row in rows_at(reply, "data", "hardware"):
        _gather(gathering, row, replicas)
    return gathering.fetched()


def _replicas(containers: object) -> dict[str, int]:
    """Free machines by id."""
    counts = {
        text(row, "id"): whole(row, "available_replicas") for row in listed(containers, "data", "hardware")
    }
    return {name: count for name, count in counts.items() if name and count is not None and count >= 0}


def _gather(gathering: Gathering, row: Row, replicas: Mapping[str, int]) -> None:
    gpus = whole(row, "num_cards")
    if gpus == 0:
        gathering.reject("cpu_only")
        return
    label = f"{text(row, 'name')} {form_word(text(row, 'interconnect'))}".strip()
    card = gathering.card(label, memory_gib=number(row, "vram_per_card"))
    if card is None:
        return
    usd = gathering.usd_per_gpu(card, number(row, "price"), gpus)
    if usd is None or gpus is None:
        return
    place = text(row, "location")
    gathering.keep(
        Offer(
            provider="ionet",
            card=card.slug,
            usd_per_gpu_hour=usd,
            host_tier="community",
            region=place,
            country=country_of(place),
            node_gpus=gpus,
            available_gpus=_available(row, gpus, replicas),
            nvlink=flag(row, "nvlink"),
            offer_id=text(row, "id") or identity(row, "deploy_id"),
            url=PAGE,
        )
    )


def _available(row: Row, gpus: int, replicas: Mapping[str, int]) -> int | None:
    if flag(row, "sold_out"):
        return 0
    machines = replicas.get(text(row, "id"))
    return machines * gpus if machines is not None else None
