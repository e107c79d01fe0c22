"""Jobs that ran where nothing is metered, or of which a scheduler knows best how they ended."""

from dataclasses import dataclass

RUNNING = "running"
# How a job is or ended: the words of measured jobs, and those that only a scheduler has.
STATUSES = (
    RUNNING,
    "completed",
    "failed",
    "cancelled",
    "timeout",
    "out_of_memory",
    "node_fail",
    "preempted",
    "requeued",
    "ended",
)
SLURM = "slurm"
IMPORT = "import"  # the scheduler of a job of which only a table tells


@dataclass(frozen=True, slots=True)
class OutsideJob:
    """One run of one job, as a ledger has it. The key: provider, job_id, start_s. Times are Unix seconds."""

    provider: str  # of a Slurm job its cluster
    job_id: str  # of a Slurm job its own number, of a task of an array, too
    start_s: int
    end_s: int | None  # None: it ran when it was last heard of
    seen_s: int  # when it was last heard of
    status: str  # of STATUSES
    exit_code: int | None = None  # 128 + n for a signal n
    scheduler: str = IMPORT
    shown_id: str = ""  # what its users call it, such as 4700_3; "" where that is job_id
    user: str = ""
    team: str = ""
    name: str = ""
    model: str = ""
    gpu_type: str = ""  # a card of the catalogue, or as it was given
    gpus: int = 1

    @property
    def key(self) -> tuple[str, str, int]:
        """What makes it one run."""
        return self.provider, self.job_id, self.start_s

    @property
    def running(self) -> bool:
        """Whether it had not ended when it was last heard of."""
        return self.end_s is None

    @property
    def known_until_s(self) -> int:
        """Its end, or until when it surely ran."""
        return max(self.start_s, self.seen_s) if self.end_s is None else self.end_s

    @property
    def gpu_seconds(self) -> int:
        """Seconds for which it held GPUs, times how many."""
        return (self.known_until_s - self.start_s) * self.gpus


@dataclass(frozen=True, slots=True)
class Run:
    """A run of a job, and how many of it are known to have been before: a requeued job has several."""

    job: OutsideJob
    earlier: int = 0


@dataclass(frozen=True, slots=True)
class Refused:
    """A row that is no job, and why."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A row that is right and about no work of a GPU: step, not_started, no_gpu."""

    line: int
    why: str


Found = OutsideJob | Refused | LeftOut
