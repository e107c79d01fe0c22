"""Records of the site agent -> blocks."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial

from gputally.catalogue import EXPORTER, SITES, Family
from gputally.collect.exposition import FamilySamples, Sample
from gputally.collect.machine import build_info, from_field, last_sample
from gputally.model.site import SiteSnapshot

_BY_HAND: Mapping[str, Callable[[Family, SiteSnapshot], list[Sample]]] = {
    "gputally_build_info": build_info,
    "gputally_last_sample_timestamp_seconds": last_sample,
}
# What an agent without a sampler, a driver and a state has to say of itself.
_OWN = tuple(
    row for row in EXPORTER if row.record == "web" or row.name.startswith("process_") or row.name in _BY_HAND
)


def site_families(snapshot: SiteSnapshot) -> Iterator[FamilySamples]:
    """All families of a site's snapshot, in the order of the catalogue."""
    for family in (*SITES, *_OWN):
        yield family, partial(_BY_HAND.get(family.name, from_field), family, snapshot)
