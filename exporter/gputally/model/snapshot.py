"""What a scrape sees: one immutable picture, made by the sampler, swapped in by one assignment.

Data and health are separate fields: a reader never has to guess one from the other.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gputally.model.clock import Instant
from gputally.model.gpu import NO_LABELS, Description, Driver, Gpu
from gputally.model.host import HostCounters
from gputally.model.job import Ledger
from gputally.model.reading import FastReading, SlowReading


@dataclass(frozen=True, slots=True)
class GpuMoney:
    """What a GPU's energy has cost and emitted. Money by currency; days by the site's calendar."""

    cost: Mapping[str, float]
    credit: Mapping[str, float]  # what prices below zero would have paid back
    by_tariff_joules: Mapping[str, float]  # name of the band
    emissions_grams: float
    day_cost: Mapping[tuple[str, str], float]  # (day, currency): today and yesterday
    day_joules: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class GpuCounters:
    """Counters of one GPU as published: monotonic over restarts of exporter, driver and machine."""

    energy_joules: float | None = None
    money: GpuMoney | None = None  # None as long as there is no energy to be paid for
    energy_source: str = "none"  # counter | samples | average | instant | none
    energy_source_reason: str = ""
    energy_clamped_joules: float = 0.0
    energy_unmeasured_seconds: float = 0.0
    busy_seconds: float | None = None
    throttle_seconds: Mapping[str, float] = NO_LABELS
    pcie_transmit_bytes: float | None = None
    pcie_receive_bytes: float | None = None
    pcie_replays: float | None = None
    nvlink_transmit_bytes: Mapping[str, float] = NO_LABELS  # link -> bytes; "all" where per-link is off
    nvlink_receive_bytes: Mapping[str, float] = NO_LABELS
    nvlink_errors: Mapping[tuple[str, str], float] = field(default_factory=dict)  # (link, type)
    ecc_errors: Mapping[str, float] = NO_LABELS  # severity
    xid_errors: Mapping[str, float] = NO_LABELS  # xid -> count
    xid_last_seconds: Mapping[str, float] = NO_LABELS  # xid -> unix time
    power_peak_w: float | None = None  # over the last 60 s
    utilization_peak_ratio: float | None = None


@dataclass(frozen=True, slots=True)
class ProcessRow:
    """One process as shown: who it is, by what /proc says; `other` for what a cap folded together."""

    pid: str
    name: str
    user: str
    memory_bytes: int | None
    sm_ratio: float | None
    job_id: str = ""


@dataclass(frozen=True, slots=True)
class GpuSnapshot:
    """One GPU. `fast` and `slow` are None while it is down; its counters stay."""

    gpu: Gpu
    up: bool
    reason: str  # "" while up; else timeout | lost | gone | no_permission | released | ...
    read_at: Instant | None  # when the latest good reading was taken
    description: Description | None
    fast: FastReading | None
    slow: SlowReading | None
    counters: GpuCounters
    processes: tuple[ProcessRow, ...] | None = None
    process_count: int | None = None
    processes_capped: int = 0  # processes folded into `other`


@dataclass(frozen=True, slots=True)
class CollectorHealth:
    """How the latest run of one collector went."""

    collector: str  # nvml | nvidia-smi | nvtop | simulated | processes | host | state | self
    success: bool
    duration_seconds: float
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SelfReport:
    """The exporter about itself."""

    collectors: tuple[CollectorHealth, ...] = ()
    sample_errors: Mapping[tuple[str, str], int] = field(default_factory=dict)  # (collector, reason)
    rejected: Mapping[str, int] = field(default_factory=dict)  # reading -> dropped as out of bounds
    device_events: Mapping[tuple[str, str, str], int] = field(default_factory=dict)  # (gpu, uuid, event)
    samples: int = 0
    sample_gaps: int = 0
    stuck_workers: int = 0
    driver_up: bool = False
    driver_reason: str = ""
    state_write_success: bool | None = None  # None = no state folder in use
    state_recovered: bool = False  # the newest state file was unusable and the one before it was read
    interval_seconds: float = 1.0
    # this process: resident memory, CPU seconds, open files, threads
    process: Mapping[str, float] = NO_LABELS


@dataclass(frozen=True, slots=True)
class WebReport:
    """The web server and the configuration about themselves, as the sampler saw them at the latest tick."""

    requests: Mapping[str, int] = NO_LABELS  # HTTP status -> answered
    connections: int | None = None
    refused: Mapping[str, int] = NO_LABELS  # reason -> connections closed by a limit or deadline
    auth_failures: int | None = None
    reload_success: Mapping[str, bool] = NO_LABELS  # main | web | prices | carbon
    reload_seconds: Mapping[str, float] = NO_LABELS  # the same -> unix time of the latest success
    certificate_expiry_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class TariffReport:
    """Whose prices are integrated."""

    currency: str
    timezone: str
    source: str  # configured | default


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that a scrape may show."""

    at: Instant | None  # None until the first tick has been published
    driver: Driver | None = None
    gpus: tuple[GpuSnapshot, ...] = ()
    host: HostCounters | None = None
    ledger: Ledger | None = None  # None: attribution is off
    tariff: TariffReport | None = None
    report: SelfReport = field(default_factory=SelfReport)
    web: WebReport = field(default_factory=WebReport)
