"""What attribution asks of whoever knows the jobs of a machine."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from gputally.model import Instant, Job


@dataclass(frozen=True, slots=True)
class Evidence:
    """By what the end of a job can be found out later, by this process or by the one after a restart."""

    record: str = ""  # path of a scheduler's or a wrapper's record
    cgroup: str = ""  # path below the cgroup file system
    leader: tuple[int, int] | None = None  # PID and start in clock ticks since boot
    boot_id: str = ""  # of the boot in which PID and cgroup mean something


@dataclass(frozen=True, slots=True)
class Sighting:
    """A job as it was first seen."""

    job: Job
    start_seconds: float  # Unix time
    evidence: Evidence = Evidence()
    scheduled: bool = False  # a scheduler gave it the GPUs that its processes are on


@dataclass(frozen=True, slots=True)
class Allocation:
    """GPUs that a scheduler has given to a job, whether or not it uses them."""

    sighting: Sighting
    uuids: tuple[str, ...] = ()  # of GPUs or of MIG instances
    minors: tuple[int, ...] = ()  # numbers of /dev/nvidiaN


@dataclass(frozen=True, slots=True)
class End:
    """How a job ended."""

    seconds: float | None  # Unix time; None = when it was last seen
    state: str  # completed | failed | cancelled | timeout | ended
    exit_code: int | None = None


class Identities(Protocol):
    """Knows jobs. Used from the sampler's thread only; must answer in well under a tick."""

    def sightings(self, pids: Collection[int], now: Instant) -> Mapping[int, Sighting]:
        """The jobs of processes that are on a GPU now; a PID that is missing cannot be resolved.

        A PID is bound to its job when it is first seen and keeps it until the process ends, so that a later
        process with the same PID does not inherit it.
        """

    def allocations(self, now: Instant) -> Sequence[Allocation]:
        """What schedulers say belongs to whom."""

    def end_of(self, job: Job, evidence: Evidence, now: Instant) -> End | None:
        """How a job ended that has no process on a GPU; None while it goes on."""

    def conflicts(self) -> Mapping[str, int]:
        """Claims that were refused since the start, by kind: environment | team | lookalike | record."""
