"""A machine whose jobs and joules are known in advance: GPUs, a plan of jobs in whole seconds, and the truth.

A GPU draws IDLE_W with nobody on it and a job's own watts with that job; two jobs share by their `part`. The
driver is one that measures SM shares, so that a job's last second is told although its process is gone.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gputally.model import Description, FastReading, Gpu, Instant, Job, ProcessReading, Reading
from gputally.node.gpustate import fresh
from gputally.node.identity.protocol import End, Evidence, Sighting
from gputally.node.roster import Roster

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from random import Random

    from gputally.node.jobs import Jobs

IDLE_W = 75
SECOND_NS = 1_000_000_000
EPOCH_S = 1_700_000_000


@dataclass(frozen=True)
class Plan:
    """One job on one GPU: present from `start` to `end`, seconds of the world."""

    number: int
    gpu: int
    start: int
    end: int
    watts: int  # of the board while it runs alone
    part: float = 1.0  # its SM share
    team: str = "nlp"
    user: str = "ada"
    scheduled: bool = False

    @property
    def job_id(self) -> str:
        return f"job-{self.number}"

    @property
    def pid(self) -> int:
        return 100_000 + self.number

    def computes(self, second: int) -> bool:
        """Whether it computed in the second that ends at `second`."""
        return self.start < second <= self.end

    def is_listed(self, second: int) -> bool:
        """Whether its process is there at that instant."""
        return self.start <= second < self.end


class Remembered:
    """A state folder that knows nothing."""

    def __init__(self) -> None:
        self.remembered: dict[str, tuple[Gpu, object]] = {}
        self.events: dict[tuple[str, str], int] = {}
        self.unread: set[str] = set()

    def state_of(self, uuid: str) -> None:  # noqa: ARG002
        return None


@dataclass
class World:
    """Ticks a roster and an attribution through the plan."""

    gpus: int
    plans: tuple[Plan, ...]
    second: int = 0
    hw_mj: dict[int, int] = field(default_factory=Counter)
    unknown_pids: frozenset[int] = frozenset()
    unread: frozenset[int] = frozenset()  # GPUs that give no reading at present

    def __post_init__(self) -> None:
        self._by_gpu: dict[int, list[Plan]] = {g: [] for g in range(self.gpus)}
        for plan in self.plans:
            self._by_gpu[plan.gpu].append(plan)
        self._by_pid = {plan.pid: plan for plan in self.plans}
        self.boot_offset_s = 1000

    # what the agent asks

    @property
    def now(self) -> Instant:
        return Instant((self.boot_offset_s + self.second) * SECOND_NS, (EPOCH_S + self.second) * SECOND_NS)

    def sightings(self, pids: Collection[int], now: Instant) -> Mapping[int, Sighting]:  # noqa: ARG002
        return {pid: sighting(self._by_pid[pid]) for pid in pids if pid not in self.unknown_pids}

    def allocations(self, now: Instant) -> tuple[()]:  # noqa: ARG002
        return ()

    def end_of(self, job: Job, evidence: Evidence, now: Instant) -> End | None:  # noqa: ARG002
        plan = next(p for p in self.plans if p.job_id == job.job_id)
        return End(EPOCH_S + plan.end, "completed", 0) if self.second >= plan.end else None

    def conflicts(self) -> dict[str, int]:
        return {}

    # what happens

    def uuid(self, gpu: int) -> str:
        return f"GPU-{gpu}"

    def roster(self) -> Roster:
        roster = Roster("boot", SECOND_NS, Remembered())
        roster.present([Gpu(self.uuid(g), str(g)) for g in range(self.gpus)], self.now, "gone")
        for entry in roster:
            entry.state = fresh()
            entry.description = Description("A card", power_limit_max_w=1000.0)
        return roster

    def tick(self, roster: Roster, jobs: Jobs, seconds: int = 1) -> None:
        """Let time pass, then read every GPU."""
        for _ in range(seconds):
            self.second += 1
            for gpu in range(self.gpus):
                self.hw_mj[gpu] += self.watts(gpu, self.second) * 1000
        now = self.now
        jobs.begin(now)
        for gpu in range(self.gpus):
            uuid = self.uuid(gpu)
            if gpu in self.unread:
                roster.down(uuid, "timeout", now)
                continue
            tick = roster.took(uuid, self._reading(gpu), now)
            entry = roster.entry(uuid)
            assert tick is not None
            assert entry is not None
            jobs.took(entry, tick, now)
        jobs.end(now)

    def watts(self, gpu: int, second: int) -> int:
        """Of the board in the second that ends then."""
        return max((p.watts for p in self._on(gpu) if p.computes(second)), default=IDLE_W)

    def _on(self, gpu: int) -> Iterable[Plan]:
        return (p for p in self._by_gpu[gpu] if p.start <= self.second <= p.end)

    def _reading(self, gpu: int) -> Reading:
        here = [p for p in self._on(gpu) if p.is_listed(self.second)]
        gone = [p for p in self._on(gpu) if p.end == self.second]
        computing = any(p.computes(self.second) for p in self._on(gpu))
        return Reading(
            FastReading(
                power_w=float(self.watts(gpu, self.second)),
                energy_mj=10_000_000 + self.hw_mj[gpu],
                utilization_ratio=1.0 if computing else 0.0,
                processes=tuple(self._process(p) for p in here),
                departed=tuple(self._process(p) for p in gone),
            )
        )

    def _process(self, plan: Plan) -> ProcessReading:
        return ProcessReading(plan.pid, "compute", 2**30, plan.part if plan.computes(self.second) else 0.0)


def sighting(plan: Plan) -> Sighting:
    job = Job(plan.job_id, "test", plan.user, plan.team, f"job {plan.number}")
    return Sighting(job, EPOCH_S + plan.start, Evidence(leader=(plan.pid, 1)), plan.scheduled)


def world_at_random(dice: Random, teams: Sequence[str]) -> World:
    """Two GPUs and up to eleven jobs that come and go in 110 s; whose a fifth of them is, nobody knows."""
    plans = tuple(
        Plan(
            n,
            dice.randrange(2),
            (start := dice.randrange(80)),
            start + dice.randrange(1, 30),
            dice.randrange(IDLE_W, 700),
            dice.random(),
            dice.choice(teams),
            scheduled=dice.random() < 0.5,
        )
        for n in range(dice.randrange(12))
    )
    return World(2, plans, unknown_pids=frozenset(plan.pid for plan in plans if dice.random() < 0.2))
