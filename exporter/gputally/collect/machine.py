"""Host, exporter and web records -> blocks."""

import platform
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from operator import attrgetter

from gputally import __version__
from gputally.catalogue import EXPORTER, HOSTS, Family
from gputally.collect.exposition import FamilySamples, Sample, label_pairs
from gputally.model import Snapshot
from gputally.model.site import SiteSnapshot

Rows = list[Sample]


def machine_families(snapshot: Snapshot) -> Iterator[FamilySamples]:
    """Yield the families of the host and of the exporter, in the order of the catalogue."""
    for family in (*HOSTS, *EXPORTER):
        if family.name == "gputally_left_out_families":
            continue  # only the page knows, once all others are rendered
        by_hand = _BY_HAND.get(family.name)
        yield family, partial(by_hand or from_field, family, snapshot)


def from_field(family: Family, snapshot: Snapshot | SiteSnapshot) -> Rows:
    """What the row's field of the snapshot holds."""
    record = attrgetter(family.record)(snapshot)
    if record is None:
        return []
    key, _, entry = family.key.partition(".")
    value = getattr(record, key)
    if entry:
        value = value.get(entry)
    if value is None:
        return []
    if not isinstance(value, Mapping):
        return [("", value)]
    keys = [k if isinstance(k, tuple) else (k,) for k in value]
    return [(label_pairs(family.labels, k), v) for k, v in zip(keys, value.values(), strict=True)]


def build_info(family: Family, _snapshot: object) -> Rows:
    """Versions of exporter and Python."""
    return [(label_pairs(family.labels, (__version__, platform.python_version())), 1)]


def _success(family: Family, snapshot: Snapshot) -> Rows:
    return [(label_pairs(family.labels, (c.collector,)), int(c.success)) for c in snapshot.report.collectors]


def _duration(family: Family, snapshot: Snapshot) -> Rows:
    return [
        (label_pairs(family.labels, (c.collector,)), c.duration_seconds) for c in snapshot.report.collectors
    ]


def last_sample(_family: Family, snapshot: Snapshot | SiteSnapshot) -> Rows:
    """When the snapshot was published."""
    return [("", snapshot.at.wall_seconds)] if snapshot.at is not None else []


def _driver_down(family: Family, snapshot: Snapshot) -> Rows:
    report = snapshot.report
    return (
        [] if report.driver_up else [(label_pairs(family.labels, (report.driver_reason or "starting",)), 1)]
    )


def _capped(family: Family, snapshot: Snapshot) -> Rows:
    processes = sum(gpu.processes_capped for gpu in snapshot.gpus)
    jobs = snapshot.ledger.folded_jobs if snapshot.ledger is not None else 0
    return [(label_pairs(family.labels, (cap,)), n) for cap, n in (("processes", processes), ("jobs", jobs))]


def _conflicts(family: Family, snapshot: Snapshot) -> Rows:
    if snapshot.ledger is None:
        return []
    return [(label_pairs(family.labels, (kind,)), n) for kind, n in snapshot.ledger.conflicts.items()]


def _tariff(family: Family, snapshot: Snapshot) -> Rows:
    tariff = snapshot.tariff
    if tariff is None:
        return []
    return [(label_pairs(family.labels, (tariff.currency, tariff.timezone, tariff.source)), 1)]


_BY_HAND: Mapping[str, Callable[[Family, Snapshot], Rows]] = {
    "gputally_build_info": build_info,
    "gputally_collector_success": _success,
    "gputally_collector_duration_seconds": _duration,
    "gputally_last_sample_timestamp_seconds": last_sample,
    "gputally_tariff_info": _tariff,
    "gputally_driver_down_info": _driver_down,
    "gputally_capped_items": _capped,
    "gputally_identity_conflicts_total": _conflicts,
}
