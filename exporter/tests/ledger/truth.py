"""What everybody has used and what it costs, from the story alone: minute by minute, by a clock on the wall.

What nobody watched is nobody's: a job is not charged for the time in which the agent was down.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Self

from tests.ledger.prices import GRAMS_PER_KWH, IDLE_W, MJ_PER_KWH, PUE, SECOND_NS, on_the_wall
from tests.ledger.story import BUSY_PERCENT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.ledger.story import Job, Spell, Story

MINUTE_S = 60


@dataclass
class Sum:
    """Energy and what goes with it."""

    mj: float = 0.0
    cost: float = 0.0
    unused_mj: float = 0.0
    unused_cost: float = 0.0
    by_band_mj: Counter[str] = field(default_factory=Counter)
    by_day_mj: Counter[str] = field(default_factory=Counter)
    by_day_cost: Counter[str] = field(default_factory=Counter)

    @property
    def joules(self) -> float:
        """The energy."""
        return self.mj / 1000

    @property
    def unused_joules(self) -> float:
        """The energy that went by."""
        return self.unused_mj / 1000

    @property
    def grams(self) -> float:
        """Of carbon dioxide."""
        return self.mj / MJ_PER_KWH * PUE * GRAMS_PER_KWH

    def add(self, wall_ns: int, mj: float, unused_mj: float, price: float) -> None:
        """Energy of a piece of time in which nothing changes."""
        day, band = on_the_wall(wall_ns // SECOND_NS)
        cost = mj / MJ_PER_KWH * PUE * price
        self.mj += mj
        self.cost += cost
        self.unused_mj += unused_mj
        self.unused_cost += unused_mj / MJ_PER_KWH * PUE * price
        self.by_band_mj[band] += mj
        self.by_day_mj[day] += mj
        self.by_day_cost[day] += cost

    def __iadd__(self, other: Sum) -> Self:
        self.mj += other.mj
        self.cost += other.cost
        self.unused_mj += other.unused_mj
        self.unused_cost += other.unused_cost
        self.by_band_mj.update(other.by_band_mj)
        self.by_day_mj.update(other.by_day_mj)
        self.by_day_cost.update(other.by_day_cost)
        return self


@dataclass(frozen=True)
class Truth:
    """Of one story."""

    story: Story

    def of_gpu(self, gpu: int, from_s: float, until_s: float) -> Sum:
        """Everything that a GPU used."""
        total = Sum()
        for a_s, b_s in _pieces(from_s, until_s, ()):
            self._add(total, a_s, self.story.courses[gpu].mj(a_s, b_s), 0.0)
        return total

    def of_job(self, job: Job, from_s: float, until_s: float) -> Sum:
        """What a job used while it was watched."""
        total = Sum()
        for gpu in job.gpus:
            others = [other for other in self.story.jobs if gpu in other.gpus]
            edges = {at for other in others for at in (other.start_s, other.end_s)}
            edges.update(at for spell in (*job.idle, *self.unwatched()) for at in spell)
            for a_s, b_s in _pieces(max(from_s, job.start_s), min(until_s, job.end_s), edges):
                if not any(a <= a_s < b for a, b in self.unwatched()):
                    self._add(total, a_s, *self._part(job, gpu, a_s, b_s))
        return total

    def of_team(self, who: tuple[str, str, str], from_s: float, until_s: float) -> Sum:
        """What a team's user used with a model."""
        total = Sum()
        for job in self.story.jobs:
            if job.who == who and job.start_s < until_s and job.end_s > from_s:
                total += self.of_job(job, from_s, until_s)
        return total

    def of_nobody_while_down(self, gpu: int) -> Sum:
        """What a GPU used while the agent was not there."""
        total = Sum()
        for from_s, until_s in self.unwatched():
            total += self.of_gpu(gpu, from_s, until_s)
        return total

    def unwatched(self) -> Iterable[Spell]:
        """From the last tick of a life to the first of the next."""
        return [(restart.at_s, restart.back_s) for restart in self.story.restarts]

    def _part(self, job: Job, gpu: int, from_s: float, until_s: float) -> tuple[float, float]:
        """A job's part of a GPU's energy, and what of it went by unused, while the same jobs are there."""
        here = self.story.on(gpu, from_s)
        baseline_mj = IDLE_W * 1000 * (until_s - from_s)
        above_mj = self.story.courses[gpu].mj(from_s, until_s) - baseline_mj
        payers = [other for other in here if other.scheduled]
        owed_mj = baseline_mj / len(payers) if job in payers else 0.0
        if job.is_idle(from_s):
            return above_mj + owed_mj, above_mj + owed_mj
        active_mj = above_mj * job.sm / sum(other.sm for other in here)
        return active_mj + owed_mj, owed_mj * (100 - BUSY_PERCENT) / 100

    def _add(self, total: Sum, at_s: float, mj: float, unused_mj: float) -> None:
        wall_ns = self.story.wall_ns(at_s)
        total.add(wall_ns, mj, unused_mj, self.story.bookkeeper.price(wall_ns))


def _pieces(from_s: float, until_s: float, edges: Iterable[float]) -> Iterator[tuple[float, float]]:
    """An interval cut at every minute and at some edges."""
    if until_s <= from_s:
        return
    first = int(from_s // MINUTE_S) + 1
    cuts = {minute * MINUTE_S for minute in range(first, int(until_s // MINUTE_S) + 1)}
    cuts.update(at for at in edges if from_s < at < until_s)
    yield from pairwise(sorted({from_s, until_s, *cuts}))
