"""Who is on the GPUs: the process table that is shown, and the jobs to which energy is booked.

Keeps the faults of both away from the sampler: metering goes on whatever happens here.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

from gputally.model import Instant, Ledger
from gputally.node.counters import Tick
from gputally.node.health import Health
from gputally.node.jobs import Jobs
from gputally.node.processes import ProcessTable
from gputally.node.roster import Entry, Roster
from gputally.tariff import Schedule


class Asked(Protocol):
    """Somebody who is asked on a thread of its own."""

    reason: str  # why there was no answer the last time; "" = there was one

    @property
    def errors(self) -> Mapping[str, int]:
        """Questions without an answer, by reason."""


class Occupants:
    """Used by the sampler's thread only. Either part may be off."""

    def __init__(
        self,
        table: ProcessTable | None,
        jobs: Jobs | None,
        health: Health,
        kubelet: Asked | None = None,
        *,
        lists_off: bool = False,
    ) -> None:
        self.jobs = jobs
        self._kubelet = kubelet
        self._off = (("processes", "jobs") if jobs is not None else ("processes",)) if lists_off else ()
        self._shown: Ledger | None = None
        self._saved: dict[str, Any] = {}
        self._table, self._health = table, health

    def begin(self, now: Instant) -> None:
        """Open a tick."""
        if self.jobs is not None:
            self._health.guard("jobs", partial(self.jobs.begin, now))

    def reprice(self, schedule: Schedule) -> None:
        """Another tariff holds from here on."""
        if self.jobs is not None:
            self.jobs.reprice(schedule.tariff.currency, schedule.names)

    def took(self, entry: Entry, tick: Tick, at: Instant) -> None:
        """Divide what a reading added to a GPU's counters."""
        if self.jobs is not None:
            self.jobs.took(entry, tick, at)

    def end(self, roster: Roster, now: Instant) -> None:
        """Close a tick: name processes, find out which jobs have ended."""
        ended = self.jobs is not None and self._health.guard("jobs", partial(self.jobs.end, now))
        if self.jobs is not None and ended and self.jobs.failed:
            self._health.note("jobs", 0.0, "split")
        for collector in self._off:
            self._health.note(collector, 0.0, "crashes")
        if self._kubelet is not None:
            self._health.note("kubelet", 0.0, self._kubelet.reason)
        if self._table is None:
            return
        for entry in roster:
            entry.show_processes(None, None, 0)
        named = self._health.guard("processes", partial(self._name, self._table, roster, now))
        if named and self._table.reason:
            self._health.note("processes", 0.0, self._table.reason)

    def ledger(self, roster: Roster, *, in_step: bool) -> Ledger | None:
        """What is published of jobs and teams.

        While the state cannot be saved this stands still for a time, so that an agent that is killed then and
        goes on from the file takes no counter back.
        """
        if self.jobs is not None and (in_step or self._shown is None):
            self._health.guard("ledger", partial(self._publish, self.jobs, roster))
        return self._shown

    def _publish(self, jobs: Jobs, roster: Roster) -> None:
        self._shown = jobs.ledger({entry.gpu.uuid: entry.gpu.index for entry in roster})

    def to_json(self) -> dict[str, Any] | None:
        """What a restart must not forget. Nothing where that fails: better begin at zero than step back."""
        if self.jobs is None:
            return None
        self._saved = {}
        self._health.guard("ledger", partial(self._write, self.jobs))
        return self._saved

    def _write(self, jobs: Jobs) -> None:
        self._saved = jobs.to_json()

    @property
    def dropped(self) -> Mapping[tuple[str, str], int]:
        """Processes that could not be shown and questions without an answer, by (collector, reason)."""
        processes = self._table.dropped if self._table is not None else {}
        questions = self._kubelet.errors if self._kubelet is not None else {}
        return {
            **{("processes", why): n for why, n in processes.items()},
            **{("kubelet", why): n for why, n in questions.items()},
        }

    def _name(self, table: ProcessTable, roster: Roster, now: Instant) -> None:
        for entry in roster:
            if not entry.up or entry.fast is None or entry.fast.processes is None:
                continue
            rows, count, capped = table.rows(entry.fast.processes, now)
            if self.jobs is not None and (jobs := self.jobs.job_ids(entry.gpu.uuid)):
                rows = tuple(
                    replace(row, job_id=jobs[int(row.pid)])
                    if row.pid.isdigit() and int(row.pid) in jobs
                    else row
                    for row in rows
                )
            entry.show_processes(rows, count, capped)
