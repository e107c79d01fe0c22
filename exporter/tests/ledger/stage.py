"""The machine of the story: GPUs of the fake driver, its clocks, and who the processes are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gputally.model import Instant
from gputally.model import Job as Known
from gputally.node.identity.protocol import End, Evidence, Sighting
from tests.fakenvml import Constant, FakeNvml, Process
from tests.ledger.prices import IDLE_W, SECOND_NS
from tests.ledger.story import BUSY_PERCENT

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from tests.ledger.story import Job, Story

_SAMPLED_NS = 100_000_000  # as slow cards do it; the driver's ring of samples is then longer than a tick


@dataclass
class Stage:
    """The machine: GPUs, clocks, and who its processes are."""

    story: Story
    fake: FakeNvml

    def __post_init__(self) -> None:
        """Put up the GPUs."""
        self.begin_ns = self.fake.now_ns()
        self.fake.raw.wall_origin_ns = self.story.begin_ns - self.begin_ns
        self._by_pid = {job.pid: job for job in self.story.jobs}
        self._by_id = {job.job_id: job for job in self.story.jobs}
        self._drawn = dict.fromkeys(range(self.story.gpus), 0)
        self._ends: dict[int, set[int]] = {}  # second -> GPUs on which a job ends
        self._edges: dict[int, set[int]] = {}  # on which something changes
        for job in self.story.jobs:
            self._ends.setdefault(job.end_s, set()).update(job.gpus)
            for at_s in (job.start_s, job.end_s, *(at for spell in job.idle for at in spell)):
                self._edges.setdefault(at_s, set()).update(job.gpus)
        for number in range(self.story.gpus):
            metered = number not in self.story.without_counter
            gpu = self.fake.add_gpu("full" if metered else "p100", power=Constant(IDLE_W))
            if not metered:
                gpu.set(sample_period_ns=_SAMPLED_NS)

    def clock(self) -> Instant:
        """Both clocks."""
        boot_ns = self.fake.now_ns()
        return Instant(boot_ns, boot_ns + self.fake.raw.wall_origin_ns)

    # whose processes they are

    def sightings(self, pids: Collection[int], now: Instant) -> Mapping[int, Sighting]:  # noqa: ARG002
        return {pid: self._sighting(self._by_pid[pid]) for pid in pids}

    def allocations(self, now: Instant) -> tuple[()]:  # noqa: ARG002
        return ()

    def end_of(self, job: Known, evidence: Evidence, now: Instant) -> End | None:  # noqa: ARG002
        end_ns = self.story.wall_ns(self._by_id[job.job_id].end_s)
        return End(end_ns / SECOND_NS, "completed", 0) if now.wall_ns >= end_ns else None

    def conflicts(self) -> dict[str, int]:
        return {}

    def _sighting(self, job: Job) -> Sighting:
        team, user, model = job.who
        known = Known(job.job_id, "slurm" if job.scheduled else "process", user, team, job.job_id, model)
        start_s = self.story.wall_ns(job.start_s) / SECOND_NS
        return Sighting(known, start_s, Evidence(leader=(job.pid, 1)), job.scheduled)

    # what the driver shows

    def leave(self, at_s: int) -> None:
        """Just before a tick: who ends now is on no list any more; his last samples are still there."""
        for gpu in self._ends.get(at_s, ()):
            jobs = self.story.on(gpu, at_s - 1)
            self._list(gpu, jobs, at_s - 1, gone={job.pid for job in jobs if job.end_s == at_s})

    def arrive(self, at_s: int) -> None:
        """Just after a tick: who begins now is there, who ended is forgotten, who pauses pauses."""
        for gpu in self._edges.get(at_s, ()):
            here = self.story.on(gpu, at_s)
            self._list(gpu, here, at_s, gone=set())
            busy = any(not job.is_idle(at_s) for job in here)
            self.fake.gpu(gpu).set(gpu_percent=BUSY_PERCENT if busy else 0)

    def draw(self, until_s: float) -> None:
        """Let power take its course until then."""
        for gpu, course in self.story.courses.items():
            at = self._drawn[gpu]
            while at < len(course.starts_s) and course.starts_s[at] < until_s:
                at_ns = self.begin_ns + round(course.starts_s[at] * SECOND_NS)
                self.fake.gpu(gpu).start_power(course.waves[at], at_ns)
                at += 1
            self._drawn[gpu] = at

    def _list(self, gpu: int, jobs: list[Job], at_s: int, gone: set[int]) -> None:
        self.fake.set_processes(
            gpu,
            [
                Process(
                    job.pid,
                    kind="" if job.pid in gone else "compute",
                    sm=0 if job.is_idle(at_s) else job.sm,
                )
                for job in jobs
            ],
        )
