"""The jobs of the simulated machine, as its scheduler would tell of them; others know its real processes."""

from collections.abc import Collection, Mapping, Sequence

from gputally.model import Instant, Job
from gputally.node.identity.protocol import Allocation, End, Evidence, Identities, Sighting
from gputally.node.sources.simulated import SimulatedJob, SimulatedSource

_RECORD = "simulated:"  # stands in evidence before the number of a simulated job


class SimulatedIdentities:
    """Knows the simulation's own processes; `inner` is asked about its visitors, which are real."""

    def __init__(self, source: SimulatedSource, inner: Identities | None = None) -> None:
        self._source, self._inner = source, inner
        self._bound: dict[int, Sighting] = {}  # own PIDs, as long as they are asked for

    def sightings(self, pids: Collection[int], now: Instant) -> Mapping[int, Sighting]:
        """The jobs of these processes."""
        own: dict[int, Sighting] = {}
        strangers = []
        for pid in pids:
            sighting = self._bound.get(pid) or self._look(pid, now)
            if sighting is None:
                strangers.append(pid)
            else:
                own[pid] = sighting
        self._bound = own
        # Asked at every tick, also about nobody: so it can forget.
        return {**self._inner.sightings(strangers, now), **own} if self._inner is not None else own

    def allocations(self, now: Instant) -> Sequence[Allocation]:
        """The GPUs of the jobs that run by order of the simulated scheduler."""
        jobs = self._source.jobs(now, ended_within_seconds=0.0)
        own = [Allocation(_sighting(job), uuids=job.gpus) for job in jobs if job.end is None]
        return [*own, *self._inner.allocations(now)] if self._inner is not None else own

    def end_of(self, job: Job, evidence: Evidence, now: Instant) -> End | None:
        """How a job ended; None while it goes on. One that another simulation has left behind has ended."""
        if not evidence.record.startswith(_RECORD):
            return self._inner.end_of(job, evidence, now) if self._inner is not None else End(None, "ended")
        found = self._source.job(evidence.record.removeprefix(_RECORD), now)
        if found is None or found.user != job.user:
            return End(None, "ended")
        if found.end is None:
            return None
        return End(found.end, found.state if found.scheduled else "ended")

    def conflicts(self) -> Mapping[str, int]:
        """Those of real processes; the simulation's tell the truth."""
        return self._inner.conflicts() if self._inner is not None else {}

    def _look(self, pid: int, now: Instant) -> Sighting | None:
        if self._inner is not None and self._source.visitor(pid) is not None:
            return None  # a real process may have the PID of an invented one
        job = self._source.job_of(pid, now)
        return _sighting(job) if job is not None else None


def _sighting(found: SimulatedJob) -> Sighting:
    evidence = Evidence(record=f"{_RECORD}{found.job_id}")
    if found.scheduled:
        job = Job(
            job_id=found.job_id,
            scheduler="simulated",
            user=found.user,
            team=found.team,
            job_name=found.job_name,
            model=found.model,
            identity="record",
        )
    else:  # who started a program by hand is known, for which team is not
        job = Job(f"{found.user}-{found.job_id}", "process", user=found.user, identity="owner")
    return Sighting(job, found.start, evidence, scheduled=found.scheduled)
