"""Whose work it was: jobs and teams as they are named and as they are published.

A job is whatever a machine's users call one: a Slurm job, a pod, a container, a service, a wrapped command, a
login session. Sums of its counters are exact: job shares and what is unattributed add up to the device.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gputally.model.gpu import NO_LABELS

UNASSIGNED = "unassigned"  # the team of whom no rule names
OTHER = "other"  # where a cap folds together


@dataclass(frozen=True, slots=True)
class Job:
    """Who work on a GPU is booked to. Every text has passed the sanitiser of label values."""

    job_id: str  # unique on the node among all that it remembers; a requeued job is another: "4711-r1"
    scheduler: str  # slurm kubernetes lsf pbs docker podman lxc systemd run process simulated
    user: str = ""
    team: str = UNASSIGNED
    job_name: str = ""
    model: str = ""
    identity: str = "owner"  # what named the job: record | cgroup | unit | owner


@dataclass(frozen=True, slots=True)
class Spent:
    """What somebody's energy cost and emitted. Money by currency."""

    cost: Mapping[str, float]
    energy_by_tariff_joules: Mapping[str, float]
    emissions_grams: float
    unused_joules: float  # while a GPU was held and no kernel ran
    unused_cost: Mapping[str, float]


NOTHING = Spent(NO_LABELS, NO_LABELS, 0.0, 0.0, NO_LABELS)


@dataclass(frozen=True, slots=True)
class JobRow:
    """One job as published; counters are monotonic from its start until it is forgotten."""

    job: Job
    start_seconds: float  # Unix time
    end_seconds: float | None  # None while it runs
    state: str  # running | completed | failed | cancelled | timeout | ended (how, nobody said)
    exit_code: int | None  # where known; 128 + n for a signal n
    energy_joules: Mapping[tuple[str, str, str], float]  # (gpu, uuid, component active|idle)
    gpu_seconds: float  # time for which it held a GPU, or its part of a shared one
    busy_seconds: float  # of these, time in which its kernels ran
    spent: Spent = NOTHING


@dataclass(frozen=True, slots=True)
class TeamRow:
    """What a team's user has used with one model since counting began. Never vanishes."""

    team: str
    user: str
    model: str
    energy_joules: float
    gpu_seconds: float
    busy_seconds: float
    spent: Spent = NOTHING


@dataclass(frozen=True, slots=True)
class Unattributed:
    """What belongs to no job, by GPU. (gpu, uuid) or (gpu, uuid, reason) -> value."""

    energy_joules: Mapping[tuple[str, str, str], float] = field(default_factory=dict)
    cost: Mapping[tuple[str, str, str, str], float] = field(default_factory=dict)  # and the currency
    gpu_seconds: Mapping[tuple[str, str], float] = field(default_factory=dict)
    busy_seconds: Mapping[tuple[str, str], float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ledger:
    """All that attribution publishes."""

    jobs: tuple[JobRow, ...] = ()
    teams: tuple[TeamRow, ...] = ()
    unattributed: Unattributed = field(default_factory=Unattributed)
    idle_watts: Mapping[tuple[str, str], float] = field(default_factory=dict)  # (gpu, uuid) -> baseline
    methods: Mapping[tuple[str, str], str] = field(default_factory=dict)  # (gpu, uuid) -> how it was split
    policy: str = ""  # allocated | used | weighted; "" = attribution is off
    conflicts: Mapping[str, int] = field(default_factory=dict)  # kind -> claims refused since start
    folded_jobs: int = 0  # running jobs that a cap has folded into `other`
