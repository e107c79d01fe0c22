"""The large clouds, by the price lists that the library gpuhunt gathers. Prices are for a virtual machine.

The library is an extra (`pip install 'gputally[clouds]'`) and is imported only where a cloud is configured.
Its lists know no stock, and they call every H100 an H100: which form it has, the type of the machine says.
"""

import logging
import re
from collections.abc import Iterable, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from gputally.config.market import ProviderSettings
from gputally.model.causes import innermost
from gputally.model.market import Fetched, Offer
from gputally.site.market import narrow
from gputally.site.market.cards import Catalogue
from gputally.site.market.http import FetchFailed, Http
from gputally.site.market.rows import Gathering, Row, flag, number, text, whole

BASIS = "list"
DEFAULT_URL = ""
SOURCE = "gpuhunt"
LIBRARY = "gpuhunt"
MISSING = "the library gpuhunt is not installed: pip install 'gputally[clouds]'"
# Families that come in several forms, by the names that clouds give to machines that hold them.
_FORMS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "aws": ((r"p3", "SXM2"), (r"p4", "SXM4"), (r"p5", "SXM5")),
    "azure": (
        (r"Standard_NC\d+r?s_v3", "PCIe"),
        (r"Standard_ND40rs_v2", "SXM2"),
        (r"Standard_NC\d+ads_A100_v4", "PCIe"),
        (r"Standard_ND96a", "SXM4"),
        (r"Standard_NCC?\d+\w*_H100_v5", "NVL"),
        (r"Standard_ND\d+\w*_H[12]00_v5", "SXM5"),
    ),
    "gcp": ((r"n1-", "SXM2"), (r"a2-", "SXM4"), (r"a3-", "SXM5")),
    "nebius": ((r"gpu-h[12]00-sxm", "SXM5"),),
    "oci": (
        (r"(BM|VM)\.GPU3\.", "SXM2"),
        (r"BM\.GPU4\.|BM\.GPU\.A100", "SXM4"),
        (r"BM\.GPU\.H[12]00", "SXM5"),
    ),
}
_SEVERAL_FORMS = {"V100", "A100", "H100", "H200"}
_BOOKED = "gcp-dws-calendar-mode"  # for days that are booked ahead


def fetch(_http: Http, settings: ProviderSettings, catalogue: Catalogue) -> Fetched:
    """Let the library load its list. Raises FetchFailed."""
    return parse(_listed(settings.name), settings.name, catalogue)


def is_installed() -> bool:
    """Whether the library is there. It is not imported."""
    return find_spec(LIBRARY) is not None


def parse(items: Iterable[Row], cloud: str, catalogue: Catalogue) -> Fetched:
    """Offers of the rows of one cloud. Raises FetchFailed."""
    gathering = Gathering(cloud, catalogue)
    for row in items:
        _gather(gathering, row, cloud)
    return gathering.fetched()


def _gather(gathering: Gathering, row: Row, cloud: str) -> None:
    gpus = whole(row, "gpu_count")
    if gpus == 0:
        gathering.reject("cpu_only")
        return
    card = gathering.card(_label(row, cloud), memory_gib=number(row, "gpu_memory"))
    usd = gathering.usd_per_gpu(card, number(row, "price"), gpus) if card is not None else None
    if card is None or usd is None or gpus is None:
        return
    gathering.keep(
        Offer(
            provider=cloud,
            card=card.slug,
            usd_per_gpu_hour=usd,
            price_tier=_price_tier(row),
            region=text(row, "location"),
            node_gpus=gpus,
            offer_id=text(row, "instance_name"),
        )
    )


def _price_tier(row: Row) -> str:
    flags = row.get("flags")
    if isinstance(flags, list) and _BOOKED in flags:
        return "reserved"
    return "spot" if flag(row, "spot") else "ondemand"


def _label(row: Row, cloud: str) -> str:
    """The name of the GPU; where it has several forms, with that of the machine, if it is known."""
    name, machine = re.sub("NVL$", " NVL", text(row, "gpu_name")), text(row, "instance_name")
    if name not in _SEVERAL_FORMS:
        return name
    forms = (form for pattern, form in _FORMS.get(cloud, ()) if re.match(pattern, machine))
    return f"{name} {next(forms, '')}".rstrip()


def _listed(cloud: str) -> list[dict[str, Any]]:
    """What the library has of a cloud. It loads all its lists for it; they are given back afterwards."""
    try:
        library = import_module(LIBRARY)
    except ImportError:
        raise FetchFailed("network", MISSING) from None
    narrow.install()
    logging.getLogger(LIBRARY).setLevel(logging.CRITICAL)  # it logs a traceback of whatever it raises
    try:
        items = library.Catalog(balance_resources=False).query(provider=cloud, min_gpu_count=1)
        return [dict(vars(item)) for item in items]
    except (OSError, library.GPUHuntError) as error:
        raise FetchFailed("network", f"gpuhunt: {innermost(error)}") from None
    except Exception as error:  # noqa: BLE001 - a library of others, which changes
        raise FetchFailed("schema", f"gpuhunt: {type(error).__name__}: {innermost(error)}") from None
