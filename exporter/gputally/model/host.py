"""What the machine around the GPUs did, as counters since it was booted."""

from collections.abc import Mapping
from dataclasses import dataclass

from gputally.model.gpu import NO_LABELS


@dataclass(frozen=True, slots=True)
class HostCounters:
    """One look at /proc and /sys. Counters are the kernel's own, but for energy, which goes on over restarts.

    None or no key = not readable.
    """

    cpu_seconds: Mapping[str, float] = NO_LABELS  # mode -> seconds, all cores together
    cpus: int | None = None
    load_average: Mapping[str, float] = NO_LABELS  # 1m | 5m | 15m
    memory_total_bytes: int | None = None
    memory_available_bytes: int | None = None
    memory_used_bytes: int | None = None
    swap_total_bytes: int | None = None
    swap_used_bytes: int | None = None
    disk_read_bytes: Mapping[str, float] = NO_LABELS  # device -> bytes
    disk_written_bytes: Mapping[str, float] = NO_LABELS
    network_receive_bytes: Mapping[str, float] = NO_LABELS  # interface -> bytes
    network_transmit_bytes: Mapping[str, float] = NO_LABELS
    uptime_seconds: float | None = None
    energy_joules: Mapping[str, float] = NO_LABELS  # RAPL domain -> joules, wraps followed
    temperature_c: Mapping[str, float] = NO_LABELS
