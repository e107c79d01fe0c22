"""The jobs and processes of the simulated machine, as a scheduler and /proc would tell of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from gputally.model.clock import NS_PER_SECOND
from gputally.node.sources.simulated.draw import Draw
from gputally.node.sources.simulated.schedule import Lane, Stint
from gputally.node.sources.simulated.timeline import FIRST_ROUND_NS, ROUND_NS

_PID_FIRST, _PIDS = 10_000, 4_100_000


@dataclass(frozen=True, slots=True)
class SimulatedJob:
    """A job that runs or has ended lately. Times are Unix seconds."""

    job_id: str
    user: str
    team: str
    job_name: str
    model: str
    gpus: tuple[str, ...]  # UUIDs
    pids: tuple[int, ...]
    start: float
    end: float | None  # None while it runs
    state: str  # running | completed | failed | timeout | cancelled
    scheduled: bool = True  # False: a program that somebody started by hand


@dataclass(frozen=True, slots=True)
class Run:
    """One stint of one lane in one round."""

    lane: Lane
    turn: int  # rounds since the first Monday of 1970
    index: int

    @property
    def stint(self) -> Stint:
        """The plan behind it."""
        return self.lane.stints[self.index]

    @property
    def job_id(self) -> str:
        """A number as schedulers give them: growing, and never given twice."""
        return str(self.turn * 100_000 + self.lane.number * 1000 + self.index)

    @classmethod
    def numbered(cls, lanes: Sequence[Lane], job_id: str) -> Self | None:
        """The run that has this number; None where the plan has none."""
        if not (job_id.isascii() and job_id.isdecimal() and len(job_id) < 16):
            return None
        turn, rest = divmod(int(job_id), 100_000)
        number, index = divmod(rest, 1000)
        if number >= len(lanes) or index >= len(lanes[number].stints):
            return None
        return cls(lanes[number], turn, index)

    @property
    def start_ns(self) -> int:
        """Start, in simulated time."""
        return FIRST_ROUND_NS + self.turn * ROUND_NS + round(self.stint.start * NS_PER_SECOND)

    @property
    def end_ns(self) -> int:
        """End, in simulated time."""
        return FIRST_ROUND_NS + self.turn * ROUND_NS + round(self.stint.end * NS_PER_SECOND)

    def pids(self, seed: int, gpu: int) -> tuple[int, ...]:
        """PIDs of its processes on one GPU, in the order of the plan."""
        draw = Draw(seed, "pid", self.job_id, gpu)
        return tuple(_PID_FIRST + draw.number(_PIDS, k) for k in range(len(self.stint.processes)))


def run_at(lane: Lane, at_ns: int) -> Run:
    """The run that is on at an instant of simulated time; every instant has one, if only a rest."""
    turn, within_ns = divmod(at_ns - FIRST_ROUND_NS, ROUND_NS)
    second = within_ns / NS_PER_SECOND
    index = next(i for i, stint in enumerate(lane.stints) if second < stint.end)
    return Run(lane, turn, index)


def runs_until(lane: Lane, at_ns: int, since_ns: int) -> Iterator[Run]:
    """The run at an instant and those before it that ended after `since_ns`, backwards."""
    run = run_at(lane, at_ns)
    while run.end_ns > since_ns:
        yield run
        turns, index = divmod(run.index - 1, len(lane.stints))
        run = Run(lane, run.turn + turns, index)
