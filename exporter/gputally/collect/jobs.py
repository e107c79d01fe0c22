"""The ledger of jobs and teams -> blocks."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from gputally.catalogue import JOBS, Family
from gputally.catalogue.jobs import TEAM
from gputally.collect.exposition import FamilySamples, Sample, escape, label_pairs
from gputally.model import JobRow, Ledger, Snapshot, TeamRow

Rows = list[Sample]


def job_families(snapshot: Snapshot) -> Iterator[FamilySamples]:
    """Yield the families of jobs, teams and what is unattributed, in the order of the catalogue."""
    if snapshot.ledger is None:
        return
    for family in JOBS:
        yield family, partial(_ROWS[family.name], family, snapshot.ledger)


def _info(family: Family, ledger: Ledger) -> Rows:
    return [
        (label_pairs(family.labels, [getattr(row.job, name) for name in family.labels]), 1)
        for row in ledger.jobs
    ]


def _state(family: Family, ledger: Ledger) -> Rows:
    return [(label_pairs(family.labels, (row.job.job_id, row.state)), 1) for row in ledger.jobs]


def _by_job(value_of: Callable[[JobRow], float | None]) -> "_RowsOf":
    def rows(_family: Family, ledger: Ledger) -> Rows:
        return [
            (f'job_id="{escape(row.job.job_id)}"', value)
            for row in ledger.jobs
            if (value := value_of(row)) is not None
        ]

    return rows


def _energy(_family: Family, ledger: Ledger) -> Rows:
    samples: Rows = []
    for row in ledger.jobs:
        job = f'job_id="{escape(row.job.job_id)}"'
        samples += [
            (f'gpu="{escape(gpu)}",uuid="{escape(uuid)}",{job},component="{component}"', joules)
            for (gpu, uuid, component), joules in row.energy_joules.items()
        ]
    return samples


def _by_team(value_of: Callable[[TeamRow], float]) -> "_RowsOf":
    def rows(family: Family, ledger: Ledger) -> Rows:
        return [
            (label_pairs(family.labels, (row.team, row.user, row.model)), value_of(row))
            for row in ledger.teams
        ]

    return rows


def _spent(of: str, rows_of: Callable[[Ledger], Sequence[JobRow | TeamRow]]) -> "_RowsOf":
    """A field of what jobs or teams have spent; one by currency or band gives a series for each."""

    def rows(family: Family, ledger: Ledger) -> Rows:
        samples: Rows = []
        for row in rows_of(ledger):
            who = _who(row)
            value = getattr(row.spent, of)
            if isinstance(value, Mapping):
                samples += [(f'{who},{family.labels[-1]}="{escape(k)}"', v) for k, v in value.items()]
            else:
                samples.append((who, value))
        return samples

    return rows


def _who(row: JobRow | TeamRow) -> str:
    if isinstance(row, JobRow):
        return f'job_id="{escape(row.job.job_id)}"'
    return label_pairs(TEAM, (row.team, row.user, row.model))


def _jobs(ledger: Ledger) -> Sequence[JobRow]:
    return ledger.jobs


def _teams(ledger: Ledger) -> Sequence[TeamRow]:
    return ledger.teams


def _keyed(values_of: Callable[[Ledger], Mapping[Any, float]]) -> "_RowsOf":
    def rows(family: Family, ledger: Ledger) -> Rows:
        return [(label_pairs(family.labels, key), value) for key, value in values_of(ledger).items()]

    return rows


def _method(family: Family, ledger: Ledger) -> Rows:
    return [
        (label_pairs(family.labels, (*gpu, method, ledger.policy)), 1)
        for gpu, method in ledger.methods.items()
    ]


_RowsOf = Callable[[Family, Ledger], Sequence[Sample]]
_ROWS: Mapping[str, _RowsOf] = {
    "gpu_job_info": _info,
    "gpu_job_state": _state,
    "gpu_job_start_time_seconds": _by_job(lambda row: row.start_seconds),
    "gpu_job_end_time_seconds": _by_job(lambda row: row.end_seconds),
    "gpu_job_exit_code": _by_job(lambda row: row.exit_code),
    "gpu_job_energy_joules_total": _energy,
    "gpu_job_gpu_seconds_total": _by_job(lambda row: row.gpu_seconds),
    "gpu_job_busy_seconds_total": _by_job(lambda row: row.busy_seconds),
    "gpu_job_cost_total": _spent("cost", _jobs),
    "gpu_job_energy_by_tariff_joules_total": _spent("energy_by_tariff_joules", _jobs),
    "gpu_job_emissions_grams_total": _spent("emissions_grams", _jobs),
    "gpu_job_unused_energy_joules_total": _spent("unused_joules", _jobs),
    "gpu_job_unused_cost_total": _spent("unused_cost", _jobs),
    "gpu_team_cost_total": _spent("cost", _teams),
    "gpu_team_energy_by_tariff_joules_total": _spent("energy_by_tariff_joules", _teams),
    "gpu_team_emissions_grams_total": _spent("emissions_grams", _teams),
    "gpu_team_unused_energy_joules_total": _spent("unused_joules", _teams),
    "gpu_team_unused_cost_total": _spent("unused_cost", _teams),
    "gpu_unattributed_cost_total": _keyed(lambda ledger: ledger.unattributed.cost),
    "gpu_team_energy_joules_total": _by_team(lambda row: row.energy_joules),
    "gpu_team_gpu_seconds_total": _by_team(lambda row: row.gpu_seconds),
    "gpu_team_busy_seconds_total": _by_team(lambda row: row.busy_seconds),
    "gpu_unattributed_energy_joules_total": _keyed(lambda ledger: ledger.unattributed.energy_joules),
    "gpu_unattributed_gpu_seconds_total": _keyed(lambda ledger: ledger.unattributed.gpu_seconds),
    "gpu_unattributed_busy_seconds_total": _keyed(lambda ledger: ledger.unattributed.busy_seconds),
    "gpu_idle_power_watts": _keyed(lambda ledger: ledger.idle_watts),
    "gpu_attribution_info": _method,
}
