"""The jobs that are known now, each with one dossier, whatever number of processes works for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gputally.config.teams import TeamRule
from gputally.model import Instant
from gputally.model.clock import NS_PER_SECOND
from gputally.node.identity.dossier import Dossier
from gputally.node.identity.ends import OpenRecords
from gputally.node.identity.owners import OwnerNames
from gputally.node.identity.parts import Pods, SlurmRecord, SlurmRecords
from gputally.node.identity.protocol import Allocation, Sighting
from gputally.node.identity.resolver import Resolver

ASK_AGAIN_NS = 5 * NS_PER_SECOND  # records and users for what they did not know
FORGET_NS = 600 * NS_PER_SECOND  # without having been on a GPU


@dataclass(slots=True)
class Known:
    """One job."""

    dossier: Dossier
    sighting: Sighting
    seen_ns: int
    asked_ns: int
    processes: int = 0  # that are bound to it and live
    source: object = None  # what a scheduler said of it last
    counted: bool = False  # its refused claim to a team


class Register:
    """Jobs by id."""

    def __init__(
        self,
        resolver: Resolver,
        owners: OwnerNames,
        slurm: SlurmRecords | None,
        pods: Pods | None,
        cgroup_root: Path,
    ) -> None:
        self.teams: Sequence[TeamRule] = ()
        self.refused_teams = 0
        self._resolver, self._owners, self._slurm, self._pods = resolver, owners, slurm, pods
        self._open = OpenRecords(cgroup_root, slurm)
        self._jobs: dict[str, Known] = {}

    def file(self, dossier: Dossier, now: Instant, source: object = None) -> Known:
        """Take what is new about a job, or the job itself if that is new."""
        known = self._jobs.get(dossier.job_id)
        if known is None:
            sighting = dossier.settle(self.teams, self._owners, now)
            known = self._jobs[dossier.job_id] = Known(dossier, sighting, now.boot_ns, now.boot_ns)
        else:
            known.dossier.absorb(dossier)
        known.source = source or known.source
        self._settle(known, now)
        return known

    def shown(self, known: Known, now: Instant) -> Sighting:
        """What is said of a job; from time to time others are asked for what is still missing."""
        known.seen_ns = now.boot_ns
        if now.boot_ns - known.asked_ns >= ASK_AGAIN_NS and not known.dossier.complete:
            known.asked_ns = now.boot_ns
            self._resolver.complete(known.dossier)
            self._settle(known, now)
        return known.sighting

    def allocations(self, now: Instant) -> Sequence[Allocation]:
        """GPUs of running Slurm jobs with a record, and what the kubelet says of pods."""
        given = []
        for record in self._slurm.records() if self._slurm is not None else ():
            if record.end is None and record.gpus and self._is_latest(record):
                if not self._open.holds(record, self.processes(record.run_id), now):
                    continue
                known = self._jobs.get(record.run_id)
                if known is None or known.source is not record:
                    known = self.file(self._resolver.of_record(record), now, record)
                given.append(Allocation(self.shown(known, now), minors=record.gpus))
        for one in self._pods.allocations() if self._pods is not None else ():
            seen = one.sighting
            known = self._jobs.get(seen.job.job_id)
            if known is None or known.source is not seen:
                dossier = self._resolver.of_pod(seen.job.job_id, seen.start_seconds, seen.evidence)
                known = self.file(dossier, now, seen)
            given.append(Allocation(self.shown(known, now), one.uuids, one.minors))
        return given

    def processes(self, job_id: str) -> int:
        """How many of a job's processes live that are on a GPU, or were minutes ago."""
        known = self._jobs.get(job_id)
        return 0 if known is None else known.processes

    def is_lost(self, record: SlurmRecord, now: Instant) -> bool:
        """Whether a Slurm job has ended although its record does not say so."""
        return self._open.has_ended(record, self.processes(record.run_id), now)

    def tidy(self, now_ns: int) -> None:
        """Forget who has left long ago."""
        gone = [
            job_id
            for job_id, known in self._jobs.items()
            if not known.processes and now_ns - known.seen_ns >= FORGET_NS
        ]
        for job_id in gone:
            del self._jobs[job_id]
        if self._slurm is not None:
            self._open.keep({record.run_id for record in self._slurm.records() if record.end is None})

    def _settle(self, known: Known, now: Instant) -> None:
        known.sighting = known.dossier.settle(self.teams, self._owners, now)
        if known.dossier.refused and not known.counted:
            known.counted = True
            self.refused_teams += 1

    def _is_latest(self, record: SlurmRecord) -> bool:
        latest = self._slurm.record_for(record.job_id) if self._slurm is not None else None
        return latest is None or latest.restarts <= record.restarts
