"""Simulated GPUs as a source: every reading is a pure function of seed, GPU and instant.

Nothing is remembered between readings but when the latest was, which decides what XIDs are new. Real
processes that visit (visitors.py) change who is on a GPU, and nothing that is counted. Simulated
time begins with the machine's boot and runs by the boot clock, so that steps of the wall clock move nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gputally.model import Clock, Description, Driver, Gpu, Instant, Inventory, Reading
from gputally.model.clock import NS_PER_SECOND, system_clock
from gputally.node.sources.protocol import GpuLost
from gputally.node.sources.simulated.cards import H200, RTX_6000
from gputally.node.sources.simulated.draw import Draw
from gputally.node.sources.simulated.jobs import Run, SimulatedJob, runs_until
from gputally.node.sources.simulated.readings import Gauge
from gputally.node.sources.simulated.schedule import Lane, plan
from gputally.node.sources.simulated.timeline import Timeline
from gputally.node.sources.simulated.visitors import Visitors, beside

_DRIVER = Driver("simulated", driver_version="simulated", cuda_version="simulated")


@dataclass(frozen=True, slots=True)
class SimulatedFault:
    """Something that goes wrong on a GPU, by plan. Times are Unix seconds; equal where it is an event."""

    uuid: str
    kind: str  # xid | lost
    start: float
    end: float
    xid: int | None = None


class SimulatedTime:
    """Simulated instants, in nanoseconds: wall time at boot, and from there on `speed` times as fast."""

    def __init__(self, now: Instant, speed: float) -> None:
        self.origin_ns = now.wall_ns - now.boot_ns
        self.speed = speed

    def at_ns(self, now: Instant) -> int:
        """Simulated time of an instant."""
        return self.origin_ns + (now.boot_ns if self.speed == 1 else round(now.boot_ns * self.speed))

    def unix_seconds(self, at_ns: int) -> float:
        """Real time of a simulated one."""
        return (self.origin_ns + (at_ns - self.origin_ns) / self.speed) / NS_PER_SECOND


class SimulatedReader:
    """Reads one simulated GPU."""

    def __init__(
        self, gpu: Gpu, gauge: Gauge, time: SimulatedTime, clock: Clock, visitors: Visitors | None
    ) -> None:
        self._gpu, self._gauge, self._time, self._clock = gpu, gauge, time, clock
        self._visitors = visitors
        self._before_ns: int | None = None

    @property
    def key(self) -> str:
        """Stable as the UUID is."""
        return f"simulated:{self._gpu.uuid}"

    @property
    def uuids(self) -> tuple[str, ...]:
        """One GPU."""
        return (self._gpu.uuid,)

    def describe(self) -> Mapping[str, Description]:
        """Names and limits. Raises GpuLost while the GPU is off the bus."""
        self._present(self._time.at_ns(self._clock()))
        return {self._gpu.uuid: self._gauge.describe()}

    def read(self, *, slow: bool) -> Mapping[str, Reading]:
        """Readings of this instant. Raises GpuLost while the GPU is off the bus."""
        at_ns = self._time.at_ns(self._clock())
        self._present(at_ns)
        fast = self._gauge.fast(at_ns, self._before_ns)
        self._before_ns = at_ns
        if self._visitors is not None:
            fast = beside(fast, self._visitors.on(self._gpu.index))
        return {self._gpu.uuid: Reading(fast, self._gauge.slow(at_ns) if slow else None)}

    def close(self) -> None:
        """Nothing to free."""

    def _present(self, at_ns: int) -> None:
        if self._gauge.timeline.lost(at_ns):
            raise GpuLost(f"simulated GPU {self._gpu.index} has fallen off the bus")


class SimulatedSource:
    """A machine full of GPUs, invented from a seed.

    With `speed` days pass so much faster; watts, joules and rates stay those of real seconds. With `faults`
    there are XIDs, throttling, and a GPU that is lost for some minutes. `visitors` is a folder in which real
    processes register: see visitors.py.
    """

    name = "simulated"

    def __init__(  # noqa: PLR0913 - all that a machine can be
        self,
        gpus: int = 4,
        seed: int = 1,
        clock: Clock = system_clock,
        *,
        faults: bool = False,
        speed: float = 1.0,
        visitors: Path | None = None,
    ) -> None:
        self._seed, self._speed = seed, speed
        self._visitors = Visitors(visitors) if visitors is not None else None
        self._clock = clock
        self._time = SimulatedTime(clock(), speed)
        self._lanes = plan(gpus, seed, faults=faults)
        self._gpus = tuple(Gpu(_uuid(seed, index), str(index)) for index in range(gpus))
        self._timelines = tuple(self._timeline(lane, index) for lane in self._lanes for index in lane.gpus)
        self._readers = tuple(self._reader(lane, index) for lane in self._lanes for index in lane.gpus)

    def open(self) -> Inventory:
        """Always succeeds."""
        return Inventory(_DRIVER, self._gpus)

    def scan(self) -> Inventory:
        """The same GPUs every time; one that is lost stays in the list, as with the real driver."""
        return self.open()

    def readers(self) -> Sequence[SimulatedReader]:
        """One for each GPU."""
        return self._readers

    def close(self) -> None:
        """Nothing to let go of."""

    def identify(self, pid: int) -> tuple[str, str] | None:
        """Name and user of a process that runs now or did a minute ago, or visits; None for any other PID."""
        if visitor := self.visitor(pid):
            return visitor
        found = self._run_of(pid, self._time.at_ns(self._clock()))
        return (found[1], found[0].stint.user) if found is not None else None

    def visitor(self, pid: int) -> tuple[str, str] | None:
        """Name and user of a real process that is on a GPU of ours; None for any other PID."""
        return self._visitors.identify(pid) if self._visitors is not None else None

    def job_of(self, pid: int, now: Instant) -> SimulatedJob | None:
        """What a process of ours works for, now or a minute ago, whether or not a scheduler knows it."""
        at_ns = self._time.at_ns(now)
        found = self._run_of(pid, at_ns)
        return self._job(found[0], at_ns) if found is not None else None

    def job(self, job_id: str, now: Instant) -> SimulatedJob | None:
        """The job of this number, however long ago it ended; None where there is none or will be one."""
        at_ns = self._time.at_ns(now)
        run = Run.numbered(self._lanes, job_id)
        if run is None or not run.stint.processes or run.start_ns > at_ns:
            return None
        return self._job(run, at_ns)

    def jobs(self, now: Instant, ended_within_seconds: float = 3600.0) -> tuple[SimulatedJob, ...]:
        """What the scheduler knows: jobs that run, and those that ended lately, by lane, latest first."""
        at_ns = self._time.at_ns(now)
        since_ns = at_ns - round(ended_within_seconds * self._time.speed * NS_PER_SECOND)
        return tuple(
            self._job(run, at_ns)
            for lane in self._lanes
            for run in runs_until(lane, at_ns, since_ns)
            if run.stint.scheduled
        )

    def faults(self, since: Instant, until: Instant) -> tuple[SimulatedFault, ...]:
        """What will go wrong, or went, between two instants; in the order of time."""
        first_ns, last_ns = self._time.at_ns(since), self._time.at_ns(until)
        found = []
        for gpu, timeline in zip(self._gpus, self._timelines, strict=True):
            for kind, start_ns, end_ns, xid in timeline.faults(first_ns, last_ns):
                start, end = self._time.unix_seconds(start_ns), self._time.unix_seconds(end_ns)
                found.append(SimulatedFault(gpu.uuid, kind, start, end, xid))
        return tuple(sorted(found, key=lambda fault: (fault.start, fault.uuid)))

    def _run_of(self, pid: int, at_ns: int) -> tuple[Run, str] | None:
        """The run of a process, and its name."""
        since_ns = at_ns - round(60 * NS_PER_SECOND * self._time.speed)
        for lane in self._lanes:
            for run in runs_until(lane, at_ns, since_ns):
                for gpu in lane.gpus:
                    pids = run.pids(self._seed, gpu)
                    if pid in pids:
                        return run, run.stint.processes[pids.index(pid)][0]
        return None

    def _job(self, run: Run, at_ns: int) -> SimulatedJob:
        stint, running = run.stint, run.end_ns > at_ns
        return SimulatedJob(
            job_id=run.job_id,
            user=stint.user,
            team=stint.team,
            job_name=stint.job_name,
            model=stint.model,
            gpus=tuple(self._gpus[index].uuid for index in run.lane.gpus),
            pids=tuple(pid for index in run.lane.gpus for pid in run.pids(self._seed, index)),
            start=self._time.unix_seconds(run.start_ns),
            end=None if running else self._time.unix_seconds(run.end_ns),
            state="running" if running else stint.outcome,
            scheduled=stint.scheduled,
        )

    def _timeline(self, lane: Lane, index: int) -> Timeline:
        return Timeline(
            RTX_6000 if lane.kind == "desk" else H200,
            lane.stints,
            self._time.origin_ns,
            Draw(self._seed, "card", index),
            faulty=index == self._lanes[0].gpus[-1],  # if any: without faults the plan has none
        )

    def _reader(self, lane: Lane, index: int) -> SimulatedReader:
        gauge = Gauge(self._timelines[index], lane, index, self._seed, self._speed)
        return SimulatedReader(self._gpus[index], gauge, self._time, self._clock, self._visitors)


def _uuid(seed: int, index: int) -> str:
    digits = (
        f"{Draw(seed, 'uuid', index).number(1 << 64):016x}{Draw(seed, 'uuid', index, 2).number(1 << 64):016x}"
    )
    return f"GPU-51a0{digits[:4]}-{digits[4:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:28]}"
