"""What a test hands to a fake GPU: processes, MIG instances, NVLinks, growing counters."""

from __future__ import annotations

from dataclasses import dataclass, field

NOT_AVAILABLE = 0xFFFFFFFFFFFFFFFF
NO_INSTANCE = 0xFFFFFFFF
KINDS = {"": 0, "compute": 1, "graphics": 2, "mps": 4}


@dataclass(frozen=True)
class Rate:
    """A counter that grows by itself from `base` at `per_second`, starting when it is set."""

    base: int = 0
    per_second: float = 0.0


@dataclass(frozen=True)
class Process:
    """One row of a process list.

    `kind` is compute, graphics, mps, several joined by +, or empty: gone from the lists, still among the
    utilisation samples. `used_bytes` None is the driver's "not available". `sampled_us` fixes the wall-clock
    time of the utilisation sample; 0 lets it move along the driver's sampling grid.
    """

    pid: int
    used_bytes: int | None = 1 << 30
    kind: str = "compute"
    sm: int = 0
    memory: int = 0
    encoder: int = 0
    decoder: int = 0
    jpeg: int = 0
    ofa: int = 0
    name: str | bytes = ""
    gpu_instance_id: int = NO_INSTANCE
    compute_instance_id: int = NO_INSTANCE
    sampled_us: int = 0
    start_us: int = 0
    run_ms: int = 0

    def row(self) -> dict[str, int | bytes]:
        """The row of the control file."""
        kinds = 0
        for kind in self.kind.split("+"):
            kinds |= KINDS[kind]
        return {
            "pid": self.pid,
            "kinds": kinds,
            "used_bytes": NOT_AVAILABLE if self.used_bytes is None else self.used_bytes,
            "gpu_instance_id": self.gpu_instance_id,
            "compute_instance_id": self.compute_instance_id,
            "sm_percent": self.sm,
            "memory_percent": self.memory,
            "encoder_percent": self.encoder,
            "decoder_percent": self.decoder,
            "jpeg_percent": self.jpeg,
            "ofa_percent": self.ofa,
            "sampled_us": self.sampled_us,
            "start_us": self.start_us,
            "run_ms": self.run_ms,
            "name": self.name.encode() if isinstance(self.name, str) else self.name,
        }


@dataclass(frozen=True)
class Instance:
    """A MIG instance; `gpm` gives its activity metrics by NVML_GPM_METRIC_* number."""

    gpu_instance_id: int
    compute_instance_id: int = 0
    uuid: str | bytes = ""
    name: str | bytes = "MIG 1g.10gb"
    memory_total: int = 10 << 30
    memory_used: int = 0
    memory_reserved: int = 0
    multiprocessors: int = 16
    gpu_slices: int = 1
    compute_slices: int = 1
    gpm: dict[int, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Link:
    """An NVLink, traffic in KiB; `errors` are replay, recovery, CRC flit, CRC data, ECC data."""

    active: bool = True
    transmit_kib: int | Rate = 0
    receive_kib: int | Rate = 0
    errors: tuple[int, int, int, int, int] = (0, 0, 0, 0, 0)
    version: int = 6
    speed_mbps: int = 26562
    remote_type: int = 2
    remote_bus_id: str = "00000000:D0:00.0"
