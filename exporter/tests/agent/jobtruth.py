"""Thousands of short jobs on a jobworld.World, and what each of them must have used.

The truth is worked out here second by second in fractions, from the plan alone.
"""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from gputally.node.identity.protocol import End
from tests.node.jobworld import EPOCH_S, IDLE_W, Plan, World

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gputally.model import Instant, Job
    from gputally.node.identity.protocol import Evidence

FIRST_S = 2  # the first reading has nothing before it
USERS = {"nlp": ("ada", "grace"), "vision": ("alan", "ada", "mary"), "unassigned": ("root",)}


@dataclass(frozen=True)
class Rank(Plan):
    """A process of a job that may have one on several GPUs."""

    job: int = 0

    @property
    def job_id(self) -> str:
        return f"job-{self.job}"


@dataclass
class Used:
    """What one job has used, and in how many ticks it had to share: each is worth one unit of rounding."""

    active_mj: Fraction = Fraction(0)
    idle_mj: Fraction = Fraction(0)
    held_s: Fraction = Fraction(0)
    busy_s: Fraction = Fraction(0)
    shared: int = 0


class BusyWorld(World):
    """A World that finds its way among thousands of plans."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._there: dict[tuple[int, int], list[Plan]] = defaultdict(list)
        for plan in self.plans:
            for second in range(plan.start, plan.end + 1):
                self._there[plan.gpu, second].append(plan)
        self._by_job = {plan.job_id: plan for plan in self.plans}

    def _on(self, gpu: int) -> list[Plan]:
        return self._there.get((gpu, self.second), [])

    def end_of(self, job: Job, evidence: Evidence, now: Instant) -> End | None:  # noqa: ARG002
        plan = self._by_job[job.job_id]
        return End(EPOCH_S + plan.end, "completed", 0) if self.second >= plan.end else None


def short_jobs(count: int, gpus: int, seed: int) -> tuple[Rank, ...]:
    """Jobs of 5 to 60 seconds, one after the other; some on two GPUs, some two to a GPU, some scheduled."""
    dice = random.Random(seed)  # noqa: S311 - no secret
    free_at = [FIRST_S + dice.randrange(10) for _ in range(gpus)]
    ranks: list[Rank] = []
    job = 0

    def place(gpu: int, start: int, end: int, who: tuple[str, str], *, part: float, scheduled: bool) -> None:
        watts = dice.randrange(IDLE_W + 1, 700)
        ranks.append(Rank(len(ranks), gpu, start, end, watts, part, *who, scheduled, job))

    while job < count:
        first, second = sorted(range(gpus), key=lambda gpu: free_at[gpu])[:2]
        start = free_at[first] + dice.choice((0, 0, 0, 1, 4))
        end = start + _length(dice)
        who, scheduled, kind = _somebody(dice), dice.random() < 0.3, dice.random()
        if kind < 0.1:  # on two GPUs
            start, end = (at + max(0, free_at[second] - start) for at in (start, end))
            for gpu in (first, second):
                place(gpu, start, end, who, part=1.0, scheduled=scheduled)
                free_at[gpu] = end
        elif kind < 0.4 and job + 1 < count:  # two to a GPU, from and until different times
            part = dice.randrange(10, 91) / 100
            place(first, start, end, who, part=part, scheduled=scheduled)
            job += 1
            begun = start + dice.randrange(end - start)
            until = begun + _length(dice)
            free_at[first] = max(until, end)
            place(first, begun, until, _somebody(dice), part=1 - part, scheduled=dice.random() < 0.3)
        else:
            place(first, start, end, who, part=1.0, scheduled=scheduled)
            free_at[first] = end
        job += 1
    return tuple(ranks)


def _length(dice: random.Random) -> int:
    """5 to 60 seconds, most of them short."""
    return 5 + int(56 * dice.random() ** 3)


def _somebody(dice: random.Random) -> tuple[str, str]:
    team = dice.choice(list(USERS))
    return team, dice.choice(USERS[team])


def truth_of(plans: Iterable[Plan]) -> dict[str, Used]:
    """What each job uses under the idle policy `allocated`."""
    truth: dict[str, Used] = defaultdict(Used)
    there: dict[tuple[int, int], list[Plan]] = defaultdict(list)
    for plan in plans:  # in every second at whose end it is there, or in which it left
        for second in range(plan.start, plan.end + 1):
            there[plan.gpu, second].append(plan)
    for (_, second), present in there.items():
        _divide(truth, second, present)
    return truth


def _divide(truth: dict[str, Used], second: int, present: list[Plan]) -> None:
    """Two of one job on one GPU there are none."""
    computing = [plan for plan in present if plan.computes(second)]
    payers = [plan for plan in present if plan.scheduled]
    active_mj = (max(plan.watts for plan in computing) - IDLE_W) * 1000 if computing else 0
    together = sum(round(plan.part * 100) for plan in computing)
    for plan in present:
        used = truth[plan.job_id]
        if plan in computing:
            part = Fraction(round(plan.part * 100), together)
            used.active_mj += active_mj * part
            used.busy_s += part
            used.held_s += part
        elif not computing:
            used.held_s += Fraction(1, len(present))
        if plan in payers:
            used.idle_mj += Fraction(IDLE_W * 1000, len(payers))
        used.shared += len(present) > 1
