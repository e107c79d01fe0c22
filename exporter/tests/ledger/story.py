"""What happens on a machine in a day: who computes on which GPU, and everything that goes wrong.

Times are seconds since the story begins. Jobs begin and end at ticks, bursts of power do not.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from tests.fakenvml import Constant, Square
from tests.ledger.power import Course
from tests.ledger.prices import IDLE_W, SECOND_NS, Bookkeeper

if TYPE_CHECKING:
    from tests.fakenvml import Waveform

BUSY_PERCENT = 80  # while a job computes
FIRST_PID = 4_000_000  # above what this machine gives to real processes

Spell = tuple[int, int]  # from, until


@dataclass(frozen=True)
class Job:
    """One job and the GPUs that it has."""

    number: int
    who: tuple[str, str, str]  # team, user, model
    gpus: tuple[int, ...]
    start_s: int
    end_s: int
    sm: int = BUSY_PERCENT  # its SM share in percent
    scheduled: bool = True  # pays the baseline
    idle: tuple[Spell, ...] = ()  # when it holds its GPUs and does nothing

    @property
    def pid(self) -> int:
        """Of its one process."""
        return FIRST_PID + self.number

    @property
    def job_id(self) -> str:
        """As published."""
        return f"job-{self.number}"

    def is_idle(self, at_s: float) -> bool:
        """Whether it does nothing then."""
        return any(a <= at_s < b for a, b in self.idle)


@dataclass(frozen=True)
class Restart:
    """The agent is gone after the tick at `at_s`, and ticks again at `back_s`."""

    at_s: int
    back_s: int
    killed: bool


@dataclass(frozen=True)
class Story:
    """All of it."""

    begin_ns: int  # Unix time
    seconds: int
    tick_s: int
    gpus: int
    jobs: tuple[Job, ...]
    without_counter: frozenset[int] = frozenset()  # GPUs of which only power is known
    restarts: tuple[Restart, ...] = ()
    deaf: tuple[Spell, ...] = ()  # when Prometheus is down
    lost: tuple[tuple[int, int, int], ...] = ()  # a GPU, and when it is off the bus
    reload: tuple[int, int, int] | None = None  # the driver is let go of, is loaded anew, is taken up again
    revised_s: int = 1 << 40  # when the price changes
    seed: int = 1
    courses: dict[int, Course] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Draw the power of every GPU."""
        for gpu in range(self.gpus):
            course = self.courses[gpu] = Course()
            jobs = [job for job in self.jobs if gpu in job.gpus]
            power = _power(random.Random(f"{self.seed} {gpu}"), jobs)  # noqa: S311 - a story
            for start_s in sorted(power):
                course.then(start_s, power[start_s])

    def wall_ns(self, at_s: float) -> int:
        """Unix time of a moment."""
        return self.begin_ns + round(at_s * SECOND_NS)

    @property
    def bookkeeper(self) -> Bookkeeper:
        """Who knows what it costs."""
        return Bookkeeper(self.wall_ns(self.revised_s))

    def on(self, gpu: int, at_s: float) -> list[Job]:
        """The jobs on a GPU in the time after a moment."""
        return [job for job in self.jobs if gpu in job.gpus and job.start_s <= at_s < job.end_s]


def _power(rng: random.Random, jobs: list[Job]) -> dict[float, Waveform]:
    """Power of a GPU: idle, and bursts of seconds to minutes while somebody is on it, no two alike."""
    power: dict[float, Waveform] = {0.0: Constant(IDLE_W)}
    edges = {
        edge for job in jobs for edge in (job.start_s, job.end_s, *(at for spell in job.idle for at in spell))
    }
    for start_s, end_s in pairwise(sorted(edges)):
        power[float(start_s)] = power[float(end_s)] = Constant(IDLE_W)
        at_s = float(start_s)
        while at_s < end_s and not all(
            job.is_idle(start_s) for job in jobs if job.start_s <= start_s < job.end_s
        ):
            power[at_s] = Square(rng.uniform(300, 500), rng.uniform(550, 690), rng.uniform(0.4, 3))
            at_s += rng.uniform(3, 45)
            if at_s < end_s:
                power[at_s] = Constant(rng.uniform(75, 160))
            at_s += rng.uniform(2, 60)
    return power
