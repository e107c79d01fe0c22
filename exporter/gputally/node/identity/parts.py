"""What the binder asks of those who keep records of jobs: Slurm's prolog, `gputally run`, the kubelet.

Each part is optional. Times are Unix seconds. Texts have passed label_text; "" = not known. `path` is the
record's file, from which an end can be read later. No method raises on bad records, and none blocks.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from gputally.node.identity.protocol import Allocation, End


@dataclass(frozen=True, slots=True)
class SlurmRecord:
    """One run of a Slurm job on this node, as prolog and epilog wrote it down (root-owned)."""

    job_id: str  # as Slurm says it: "4711"; the run is "4711-r1" once `restarts` is 1
    restarts: int = 0
    user: str = ""
    account: str = ""
    job_name: str = ""
    partition: str = ""
    gpus: tuple[int, ...] = ()  # numbers of /dev/nvidiaN
    start_seconds: float = 0.0
    end: End | None = None  # None while it runs
    path: str = ""
    comment_model: str = ""  # model=... in the job's comment
    sluid: str = ""  # what Slurm 26.05 calls the job in cgroup paths

    @property
    def run_id(self) -> str:
        """The job id that is published: a requeued job is another."""
        return f"{self.job_id}-r{self.restarts}" if self.restarts else self.job_id


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One command under `gputally run`, written by its user."""

    job_id: str
    job_name: str = ""
    team: str = ""  # a claim: see teams.py
    model: str = ""
    start_seconds: float = 0.0
    end: End | None = None  # None while it runs
    path: str = ""


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod on this node."""

    uid: str  # with dashes; static pods have 32 hex digits without
    namespace: str
    name: str


class SlurmRecords(Protocol):
    """The records of Slurm jobs on this node."""

    refused: int  # files that were not believed since the start

    def record_for(self, job_id: str) -> SlurmRecord | None:
        """The latest run of a job that runs or ended lately."""

    def record_for_sluid(self, sluid: str) -> SlurmRecord | None:
        """The same by SLUID, as cgroup paths of Slurm 26.05 name a job ("s" and base32)."""

    def records(self) -> Iterable[SlurmRecord]:
        """All that are remembered, running or ended."""


class RunRecords(Protocol):
    """The records of `gputally run`."""

    def find(self, pid: int, start_ticks: int, uid: int) -> RunRecord | None:
        """The record of the command that is this very process; the file must belong to `uid`."""

    def reread(self, path: str) -> RunRecord | None:
        """The record as it is now; None = the file is gone or makes no sense."""

    def conflicts(self) -> Mapping[str, int]:
        """Files that were refused since the start, by kind."""


class Pods(Protocol):
    """Names of pods and what the kubelet has given them."""

    def pod(self, uid: str) -> Pod | None:
        """Namespace and name of a pod of this node."""

    def allocations(self) -> Sequence[Allocation]:
        """GPUs that containers hold, as the kubelet's pod-resources socket says."""
