"""What a split of one GPU's tick needs to know, and what comes out of it. Records only.

Conservation is the contract: over the shares of a split, active_mj + idle_mj sum to the booking's energy_mj,
held_ns to its dt_ns and busy_ns to its busy_ns (dt_ns, if that is less), exactly; no number is negative.
"""

from dataclasses import dataclass

POLICIES = ("allocated", "used", "weighted")
# Why energy belongs to nobody:
IDLE = "idle"  # the baseline of a GPU that no scheduler gave to a job
NO_PROCESS = "no_process"  # above the baseline, and no process is there
NO_ACTIVITY = "no_activity"  # several jobs are there and none of them does anything
UNRESOLVED = "unresolved"  # a process is there, but not whose it is
NO_PROCESS_DATA = "no_process_data"  # the driver does not list processes
UNUSED_SLICES = "unused_slices"  # the baseline of MIG slices that nobody uses
EXPORTER_DOWN = "exporter_down"  # used while gputally was not running
GAP = "gap"  # used while the GPU gave no readings
REASONS = (
    IDLE,
    NO_PROCESS,
    NO_ACTIVITY,
    UNRESOLVED,
    NO_PROCESS_DATA,
    UNUSED_SLICES,
    EXPORTER_DOWN,
    GAP,
)


@dataclass(frozen=True, slots=True)
class Booking:
    """One tick of one GPU, to be divided."""

    energy_mj: int
    covers_ns: (
        int  # the time in which the energy was used; may differ from dt_ns where the driver's counter lags
    )
    dt_ns: int  # since the tick before
    busy_ns: int  # of dt_ns, in which a kernel ran
    idle_w: float = 0.0  # baseline of the GPU; 0 = unknown
    cause: str = ""  # EXPORTER_DOWN or GAP: was not watched, is nobody's


@dataclass(frozen=True, slots=True)
class Tenant:
    """One process that was on the GPU in the tick, at its end or until shortly before."""

    job_id: str | None  # None: nobody can say whose it is
    sm_ratio: float | None = None  # its mean share of SM time; None = the driver does not say
    partition: str | None = None  # MIG GPU instance
    scheduled: bool = False  # its job has the GPU (or partition) from a scheduler, not by just using it


@dataclass(frozen=True, slots=True)
class Partition:
    """One MIG GPU instance."""

    partition: str
    slices: int  # compute slices
    active_ratio: float | None = None  # SM activity, where the card measures it
    allocated: tuple[str, ...] = ()  # job_ids to which a scheduler gave this instance, processes or not


@dataclass(frozen=True, slots=True)
class Occupancy:
    """Who is on the GPU."""

    tenants: tuple[Tenant, ...] | None  # None = the driver does not list processes
    allocated: tuple[str, ...] = ()  # job_ids to which a scheduler gave the whole GPU, processes or not
    partitions: tuple[Partition, ...] = ()  # empty = no MIG
    slices: int = 7  # compute slices of the whole board


@dataclass(frozen=True, slots=True)
class Share:
    """One party's part of a tick: a job's, or what is nobody's for a reason."""

    job_id: str | None
    reason: str = ""  # of REASONS where job_id is None
    active_mj: int = 0
    idle_mj: int = 0
    held_ns: int = 0
    busy_ns: int = 0


@dataclass(frozen=True, slots=True)
class Split:
    """How a tick was divided. At most one share a job and one a reason."""

    shares: tuple[Share, ...]
    method: str  # sole | sm_share | equal | allocation | mig_activity | mig_slices | none
