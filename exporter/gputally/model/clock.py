"""Instants on two clocks: one that never steps, for intervals, and one that people read.

Everything below the command line takes its time from a `Clock` that is handed in, so a test can stop it.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

NS_PER_SECOND = 1_000_000_000
NS_PER_HOUR = 3600 * NS_PER_SECOND


@dataclass(frozen=True, slots=True)
class Instant:
    """One moment, read from both clocks at once."""

    boot_ns: int  # CLOCK_BOOTTIME: monotonic, and goes on while the machine is suspended
    wall_ns: int  # CLOCK_REALTIME: may step in either direction

    def seconds_since(self, earlier: "Instant") -> float:
        """Length of the interval in seconds; never negative, whatever the wall clock did."""
        return max(0, self.boot_ns - earlier.boot_ns) / NS_PER_SECOND

    @property
    def wall_seconds(self) -> float:
        """Unix time in seconds, as Prometheus writes it."""
        return self.wall_ns / NS_PER_SECOND


Clock = Callable[[], Instant]


def system_clock() -> Instant:
    """Read the machine's clocks. The one place below the command line that does."""
    return Instant(time.clock_gettime_ns(time.CLOCK_BOOTTIME), time.time_ns())
