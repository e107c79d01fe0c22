"""Every metric family as one typed row: name, type, unit, labels, help, source, since.

A family exists only if it has a row here. docs/metrics.md is written from these rows, and rules, alerts and
dashboards may name only what they define.
"""

from collections.abc import Mapping
from types import MappingProxyType

from gputally.catalogue.budgets import BUDGETS
from gputally.catalogue.devices import DEVICES
from gputally.catalogue.exporter import EXPORTER
from gputally.catalogue.family import Family
from gputally.catalogue.hosts import HOSTS
from gputally.catalogue.jobs import JOBS
from gputally.catalogue.ledger import LEDGER
from gputally.catalogue.market import MARKET
from gputally.catalogue.reservations import RESERVATIONS
from gputally.catalogue.sites import SITES

FAMILIES: tuple[Family, ...] = (
    *DEVICES,
    *JOBS,
    *HOSTS,
    *SITES,
    *MARKET,
    *RESERVATIONS,
    *LEDGER,
    *BUDGETS,
    *EXPORTER,
)
BY_NAME: Mapping[str, Family] = MappingProxyType({row.name: row for row in FAMILIES})

if len(BY_NAME) != len(FAMILIES):
    raise ValueError("catalogue: a family has two rows")

__all__ = [
    "BUDGETS",
    "BY_NAME",
    "DEVICES",
    "EXPORTER",
    "FAMILIES",
    "HOSTS",
    "JOBS",
    "LEDGER",
    "MARKET",
    "RESERVATIONS",
    "SITES",
    "Family",
]
