"""Records of the site agent -> blocks."""

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache, partial

from gputally.catalogue import BUDGETS, EXPORTER, LEDGER, MARKET, RESERVATIONS, SITES, Family
from gputally.collect.exposition import FamilySamples, Sample, label_pairs
from gputally.collect.machine import build_info, from_field, last_sample
from gputally.model.budget import BudgetFigures
from gputally.model.ledger import LedgerFigures
from gputally.model.market import MarketFigures
from gputally.model.reservation import ReservationFigures
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
    for family in SITES:
        yield family, partial(from_field, family, snapshot)
    if snapshot.market is not None:
        yield from _market_families(snapshot.market)
    if snapshot.reservations is not None:
        yield from _reservation_families(snapshot.reservations)
    if snapshot.ledger is not None:
        yield from _ledger_families(snapshot.ledger)
    if snapshot.budgets is not None:
        yield from _budget_families(snapshot.budgets)
    for family in _OWN:
        yield family, partial(_BY_HAND.get(family.name, from_field), family, snapshot)


@lru_cache(maxsize=1)
def _market_families(figures: MarketFigures) -> tuple[FamilySamples, ...]:
    """The same for the same figures, which stay the same over many snapshots: their text is written once."""
    return tuple((family, partial(_kept_samples, family, figures)) for family in MARKET)


@lru_cache(maxsize=1)
def _reservation_families(figures: ReservationFigures) -> tuple[FamilySamples, ...]:
    """As above."""
    return tuple((family, partial(_kept_samples, family, figures)) for family in RESERVATIONS)


@lru_cache(maxsize=1)
def _ledger_families(figures: LedgerFigures) -> tuple[FamilySamples, ...]:
    """As of the market."""
    return tuple((family, partial(_kept_samples, family, figures)) for family in LEDGER)


@lru_cache(maxsize=1)
def _budget_families(figures: BudgetFigures) -> tuple[FamilySamples, ...]:
    """As above."""
    return tuple((family, partial(_kept_samples, family, figures)) for family in BUDGETS)


def _kept_samples(
    family: Family, figures: MarketFigures | ReservationFigures | LedgerFigures | BudgetFigures
) -> list[Sample]:
    series = figures.families.get(family.name, {})
    return [(label_pairs(family.labels, values), value) for values, value in series.items()]
