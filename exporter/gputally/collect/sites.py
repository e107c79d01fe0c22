"""Records of the site agent -> blocks."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache, partial

from gputally.catalogue import BUDGETS, EXPORTER, LEDGER, MARKET, RESERVATIONS, SITES, Family
from gputally.collect.exposition import FamilySamples, Sample, label_pairs
from gputally.collect.machine import build_info, from_field, last_sample
from gputally.model.budget import BudgetFigures
from gputally.model.ledger import LedgerFigures
from gputally.model.market import MarketFigures
from gputally.model.reservation import ReservationFigures
from gputally.model.site import SiteSnapshot

Figures = MarketFigures | ReservationFigures | LedgerFigures | BudgetFigures
_BY_HAND: Mapping[str, Callable[[Family, SiteSnapshot], list[Sample]]] = {
    "gputally_build_info": build_info,
    "gputally_last_sample_timestamp_seconds": last_sample,
}
# What an agent without a sampler, a driver and a state has to say of itself.
_OWN = tuple(
    row for row in EXPORTER if row.record == "web" or row.name.startswith("process_") or row.name in _BY_HAND
)


def _kept(section: Sequence[Family]) -> Callable[[Figures], tuple[FamilySamples, ...]]:
    """The same for the same figures, which stay the same over many snapshots: their text is written once."""

    @lru_cache(maxsize=1)
    def families(figures: Figures) -> tuple[FamilySamples, ...]:
        return tuple((family, partial(_kept_samples, family, figures)) for family in section)

    return families


# Fields of a snapshot, each of which is there or not, and their families.
_PARTS = (
    ("market", _kept(MARKET)),
    ("reservations", _kept(RESERVATIONS)),
    ("ledger", _kept(LEDGER)),
    ("budgets", _kept(BUDGETS)),
)


def site_families(snapshot: SiteSnapshot) -> Iterator[FamilySamples]:
    """All families of a site's snapshot, in the order of the catalogue."""
    for family in SITES:
        yield family, partial(from_field, family, snapshot)
    for field, families in _PARTS:
        figures: Figures | None = getattr(snapshot, field)
        if figures is not None:
            yield from families(figures)
    for family in _OWN:
        yield family, partial(_BY_HAND.get(family.name, from_field), family, snapshot)


def _kept_samples(family: Family, figures: Figures) -> list[Sample]:
    series = figures.families.get(family.name, {})
    return [(label_pairs(family.labels, values), value) for values, value in series.items()]
