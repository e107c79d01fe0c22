"""What is shown of a ledger: sums of its charges and jobs, by few enough names. Pure but for the reading.

Money is added exactly and becomes a float at the end. Of too many groups the largest keep their names and the
others are added up as `other`: so sums stay right, and a family says how many were folded.
"""

import heapq
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from gputally.model.account import Charge
from gputally.model.job import OTHER
from gputally.model.ledger import LedgerFigures, Series
from gputally.site.ledger.bills import charges
from gputally.site.ledger.jobs import KINDS, JobSum, sums
from gputally.site.ledger.store import Ledger

MOST_GROUPS = 200  # of bills: provider, card and team
MOST_JOB_GROUPS = 500
MOST_PROVIDERS = 30
DAYS = 31
JOB_DAYS = 30
UNKNOWN = "unknown"  # the provider of a row that did not tell
_LATEST = "SELECT provider, MAX(last_day) FROM bills GROUP BY provider"
_IMPORTS = "SELECT kind, MAX(at_ns) FROM imports GROUP BY kind"
_ROWS = """
SELECT imports.kind, import_counts.provider, import_counts.result, SUM(import_counts.rows)
FROM import_counts JOIN imports ON imports.id = import_counts.import_id
GROUP BY imports.kind, import_counts.provider, import_counts.result
"""
_REFUSED = """
SELECT latest.kind, SUM(COALESCE(import_counts.rows, 0))
FROM (SELECT kind, MAX(at_ns) / 86400000000000 AS day FROM imports GROUP BY kind) AS latest
JOIN imports ON imports.kind = latest.kind AND imports.at_ns / 86400000000000 = latest.day
LEFT JOIN import_counts ON import_counts.import_id = imports.id AND import_counts.result = 'rejected'
GROUP BY latest.kind
"""
Group = tuple[str, str, str]  # provider, card, team


def figures(ledger: Ledger, now_s: float) -> LedgerFigures:
    """All that is shown at a time. Raises LedgerError and sqlite3.Error where it cannot be read."""
    today = datetime.fromtimestamp(now_s, UTC).date()
    month = today.replace(day=1)
    before = (month - timedelta(days=1)).replace(day=1)
    first = min(before, today - timedelta(days=DAYS - 1))
    with ledger.snapshot():
        found = list(charges(ledger, first, today + timedelta(days=1)))
        latest = {name: date.fromisoformat(day) for name, day in ledger.connection.execute(_LATEST) if day}
        jobs = sums(ledger, _seconds(today - timedelta(days=JOB_DAYS)))
        counted = _imports(ledger.connection)
    known, folded = _largest(found)
    shown_jobs, folded_jobs = _named_jobs(jobs)
    families: dict[str, Series] = {
        **counted,
        **_charged(found, known, today, month, before),
        **_hours(found, known, today, month),
        "gpu_cloud_cost_latest_day_timestamp_seconds": _latest_days(latest),
        "gpu_cloud_jobs": {key: float(number) for key, (number, _) in shown_jobs.items()},
        "gpu_cloud_job_gpu_hours": {key: seconds / 3600 for key, (_, seconds) in shown_jobs.items()},
        "gpu_cloud_groups_folded": {("bills",): float(folded), ("jobs",): float(folded_jobs)},
    }
    return LedgerFigures(families)


def _seconds(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def _largest(found: Iterable[Charge]) -> tuple[dict[Group, Group], int]:
    """What each group is shown as, and how many have no name of their own."""
    weights: dict[Group, Decimal] = defaultdict(Decimal)
    for charge in found:
        weights[charge.provider, charge.gpu_type, charge.team] += abs(charge.amount)
    providers: dict[str, Decimal] = defaultdict(Decimal)
    for (provider, _, _), weight in weights.items():
        providers[provider] += weight
    named = set(heapq.nlargest(MOST_PROVIDERS, providers, lambda one: (providers[one], one)))
    own = {group: weight for group, weight in weights.items() if group[0] in named}
    kept = set(heapq.nlargest(MOST_GROUPS, own, lambda one: (own[one], one)))
    shown = {
        group: group if group in kept else (group[0] if group[0] in named else OTHER, OTHER, OTHER)
        for group in weights
    }
    return shown, len(weights) - len(kept)


def _charged(
    found: Iterable[Charge], known: Mapping[Group, Group], today: date, month: date, before: date
) -> dict[str, Series]:
    """Money by month and day."""
    this: dict[tuple[str, ...], Decimal] = defaultdict(Decimal)
    last: dict[tuple[str, ...], Decimal] = defaultdict(Decimal)
    days: dict[tuple[str, ...], Decimal] = defaultdict(Decimal)
    latest: dict[str, tuple[date, dict[tuple[str, ...], Decimal]]] = {}
    since = today - timedelta(days=DAYS - 1)
    for charge in found:
        group = known[charge.provider, charge.gpu_type, charge.team]
        key = (*group, charge.currency)
        if charge.day >= month:
            this[key] += charge.amount
        elif charge.day >= before:
            last[key] += charge.amount
        if charge.day >= since:
            days[(*group, charge.day.isoformat(), charge.currency)] += charge.amount
        day, amounts = latest.get(charge.provider, (charge.day, {}))
        if charge.day > day:
            day, amounts = charge.day, {}
        amounts[key] = amounts.get(key, Decimal(0)) + charge.amount
        latest[charge.provider] = (day, amounts)
    of_last_day: dict[tuple[str, ...], Decimal] = defaultdict(Decimal)
    for _, amounts in latest.values():
        for name, amount in amounts.items():
            of_last_day[name] += amount
    return {
        "gpu_cloud_cost_month_to_date": _floats(this),
        "gpu_cloud_cost_last_month": _floats(last),
        "gpu_cloud_cost_by_day": _floats(days),
        "gpu_cloud_cost_last_day": _floats(of_last_day),
    }


def _hours(
    found: Iterable[Charge], known: Mapping[Group, Group], today: date, month: date
) -> dict[str, Series]:
    """Hours of this month, and what an hour was charged with: of charges that tell hours alone."""
    hours: dict[tuple[str, ...], Decimal] = defaultdict(Decimal)
    paid: dict[tuple[str, ...], Decimal] = defaultdict(Decimal)
    for_hours: dict[tuple[str, ...], Decimal] = defaultdict(Decimal)
    since = today - timedelta(days=DAYS - 1)
    for charge in found:
        if charge.gpu_hours is None:
            continue
        group = known[charge.provider, charge.gpu_type, charge.team]
        if charge.day >= month:
            hours[group] += charge.gpu_hours
        if charge.day >= since and group[1] != OTHER:
            paid[group[0], group[1], charge.currency] += charge.amount
            for_hours[group[0], group[1], charge.currency] += charge.gpu_hours
    means = {key: paid[key] / of for key, of in for_hours.items() if of > 0}
    return {
        "gpu_cloud_gpu_hours_month_to_date": _floats(hours),
        "gpu_cloud_cost_per_gpu_hour": _floats(means),
    }


def _floats(amounts: Mapping[tuple[str, ...], Decimal]) -> Series:
    return {key: float(amount) for key, amount in amounts.items()}


def _latest_days(latest: Mapping[str, date]) -> Series:
    """The providers that were heard of last, if there are too many."""
    newest = sorted(latest, key=lambda name: (latest[name], name), reverse=True)[:MOST_PROVIDERS]
    return {(name,): float(_seconds(latest[name])) for name in newest}


def _named_jobs(jobs: Iterable[JobSum]) -> tuple[dict[tuple[str, ...], tuple[int, int]], int]:
    """Numbers and seconds by labels, and how many groups have no names of their own."""
    largest = sorted(jobs, key=lambda one: (-one.gpu_seconds, -one.jobs, one.provider, one.team, one.model))
    shown: dict[tuple[str, ...], tuple[int, int]] = {}
    for place, one in enumerate(largest):
        key = (one.provider, one.team, one.model, one.gpu_type, one.status)
        if place >= MOST_JOB_GROUPS:
            key = (OTHER, OTHER, OTHER, OTHER, one.status)
        number, seconds = shown.get(key, (0, 0))
        shown[key] = (number + one.jobs, seconds + one.gpu_seconds)
    return shown, max(0, len(largest) - MOST_JOB_GROUPS)


def _imports(connection: sqlite3.Connection) -> dict[str, Series]:
    """What became of rows. Refused ones of nobody known are there from the beginning: the first counts."""
    bills: dict[tuple[str, ...], float] = {(UNKNOWN, "rejected"): 0.0}
    jobs: dict[tuple[str, ...], float] = {(UNKNOWN, "rejected"): 0.0}
    providers: set[str] = set()
    for kind, name, result, rows in connection.execute(_ROWS):
        into = jobs if kind in KINDS else bills
        if name not in providers and len(providers) >= MOST_PROVIDERS:
            name = OTHER  # noqa: PLW2901 - from here on it is called that
        providers.add(name)
        key = (name or UNKNOWN, result)
        into[key] = into.get(key, 0.0) + rows
    return {
        "gpu_cloud_cost_import_rows_total": bills,
        "gpu_cloud_job_import_rows_total": jobs,
        "gpu_cloud_import_timestamp_seconds": {
            (kind,): at_ns / 1e9 for kind, at_ns in connection.execute(_IMPORTS)
        },
        "gpu_cloud_import_rejected_rows": {
            (kind,): float(rows) for kind, rows in connection.execute(_REFUSED)
        },
    }
