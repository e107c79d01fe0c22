"""What a source says about one GPU at one instant. SI units; None or a missing key = not available.

Two lanes: `FastReading` at every tick, `SlowReading` at a slower, fixed pace. Sources drop values outside
physical bounds and count them in `rejected`; nothing here is clamped or made up.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from gputally.model.gpu import NO_LABELS


@dataclass(frozen=True, slots=True)
class ProcessReading:
    """One process on one GPU, as the driver lists it: a PID of the host and nothing else about who it is."""

    pid: int
    kind: str = "compute"  # compute | graphics | mps
    memory_bytes: int | None = None
    sm_ratio: float | None = None  # mean SM share since the previous tick; None = driver does not say
    gpu_instance_id: int | None = None  # MIG


@dataclass(frozen=True, slots=True)
class FastReading:
    """Power, energy, utilisation, memory, processes and events: what changes between two scrapes."""

    power_w: float | None = None  # the driver's own default reading
    power_average_w: float | None = None  # 1 s mean, where the driver has one
    power_instant_w: float | None = None
    energy_mj: int | None = None  # driver's counter since it was loaded, millijoules
    power_samples: tuple[tuple[int, int], ...] | None = None  # (driver time in us, mW), new since last tick
    utilization_ratio: float | None = None
    memory_utilization_ratio: float | None = None  # memory controller busy, not occupancy
    memory_total_bytes: int | None = None
    memory_used_bytes: int | None = None
    memory_free_bytes: int | None = None
    memory_reserved_bytes: int | None = None
    processes: tuple[ProcessReading, ...] | None = None  # None = not available; () = none running
    departed: tuple[ProcessReading, ...] = ()  # on no list any more, but with SM samples since the last tick
    new_xids: tuple[int, ...] = ()  # XIDs delivered since the previous tick
    throttle_ns: Mapping[str, int] | None = None  # reason -> driver's counter since load, nanoseconds
    throttling: Mapping[str, bool] | None = None  # reason -> now; only where there is no counter
    pcie_transmit_bytes: int | None = None  # driver's counters since load
    pcie_receive_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class MigInstance:
    """One MIG partition. Board power and energy are never repeated here."""

    gpu_instance_id: str
    compute_instance_id: str
    uuid: str
    profile: str | None = None  # "1g.10gb"
    compute_slices: int | None = None  # of the compute instance: 1 of "1c.3g.40gb"
    memory_total_bytes: int | None = None
    memory_used_bytes: int | None = None
    sm_active_ratio: float | None = None  # GPM of the GPU instance, where enabled
    gpu_instance_slices: int | None = None  # of the GPU instance that it is in: 3 of "1c.3g.40gb"


@dataclass(frozen=True, slots=True)
class NvLink:
    """One NVLink, or all of a GPU's links together where `link` is None."""

    link: str | None
    up: bool | None = None
    transmit_bytes: int | None = None  # counters since the driver was loaded
    receive_bytes: int | None = None
    errors: Mapping[str, int] = NO_LABELS  # type -> count: crc, replay, recovery


@dataclass(frozen=True, slots=True)
class SlowReading:
    """Temperatures, limits, clocks, links, errors: what a person looks at and an alert waits minutes for."""

    temperature_c: float | None = None
    memory_temperature_c: float | None = None
    temperature_margin_c: float | None = None  # distance to the limit at which the card slows down
    power_limit_w: float | None = None  # as set
    power_limit_enforced_w: float | None = None  # as in force, all sources of limits considered
    fan_ratio: Mapping[str, float] = NO_LABELS  # fan -> ratio
    clock_hz: Mapping[str, float] = NO_LABELS  # clock -> hertz
    performance_state: int | None = None
    engine_ratio: Mapping[str, float] = NO_LABELS  # encoder | decoder | jpeg | ofa
    throttle_active: Mapping[str, bool] = NO_LABELS  # reason -> now
    ecc_volatile: Mapping[str, int] = NO_LABELS  # corrected | uncorrected, since the driver was loaded
    ecc_aggregate: Mapping[str, int] = NO_LABELS  # the same over the card's life
    retired_pages: Mapping[str, int] = NO_LABELS  # single_bit | double_bit
    retired_pages_pending: bool | None = None
    remapped_rows: Mapping[str, int] = NO_LABELS  # corrected | uncorrected
    row_remap_pending: bool | None = None
    row_remap_failed: bool | None = None
    pcie_link_generation: int | None = None
    pcie_link_width: int | None = None
    pcie_replays: int | None = None  # counter since the driver was loaded
    nvlinks: tuple[NvLink, ...] = ()
    recovery_action: int | None = None  # 0 none, 1 reset, 2 reboot, 3 drain P2P, 4 drain and reset
    mig_enabled: bool | None = None
    mig_pending: bool | None = None
    mig_instances: tuple[MigInstance, ...] = ()
    # From GPM where enabled; keys sm, sm_occupancy, tensor, dram, fp64, fp32 and fp16.
    activity_ratio: Mapping[str, float] = NO_LABELS


@dataclass(frozen=True, slots=True)
class Reading:
    """What one read of one GPU brought. `slow` is None when that lane was not due."""

    fast: FastReading
    slow: SlowReading | None = None
    rejected: tuple[str, ...] = ()  # names of readings outside physical bounds, dropped
    failed: Mapping[str, str] = NO_LABELS  # reading -> reason, calls that failed
