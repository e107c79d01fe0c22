"""The machine around the GPUs, from /proc and /sys: the kernel's own counters, filtered and bounded.

Each family of figures is read by itself, so that a file that is missing costs that family alone. /proc is
parsed here (hostfiles.py), and not by psutil: its root is one global of the whole process, its notion of
used memory differs between versions, and it writes warnings where we want a reason.
"""

import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gputally.model import Clock, HostCounters
from gputally.model.clock import system_clock
from gputally.node.hostfiles import Counters, decimal_of, parse_cpu, parse_disks, parse_links, parse_memory
from gputally.node.rapl import RaplReader
from gputally.node.sensors import Sensors

logger = logging.getLogger(__name__)

CAP = 64  # disks, and network interfaces; what is beyond stands together as `other`
OTHER = "other"
_STEP_BACK_SECONDS = 3.0


class HostReader:
    """Reads the host. `absent` says what could not be read the last time, and why."""

    def __init__(
        self,
        proc_root: Path = Path("/proc"),
        sys_root: Path = Path("/sys"),
        clock: Clock = system_clock,
        energy_start_joules: Mapping[str, float] | None = None,
    ) -> None:
        self.absent: dict[str, str] = {}
        self._proc = proc_root
        self._cpu_time = Forward(_STEP_BACK_SECONDS)
        self._disks = Bounded(CAP)
        self._links = Bounded(CAP)
        self._rapl = RaplReader(sys_root, clock, energy_start_joules)
        self._sensors = Sensors(sys_root)
        self._families: tuple[tuple[str, Callable[[], dict[str, Any]]], ...] = (
            ("cpu", self._read_cpu),
            ("load", self._read_load),
            ("memory", self._read_memory),
            ("disk", self._read_disks),
            ("network", self._read_links),
            ("uptime", self._read_uptime),
            ("energy", lambda: {"energy_joules": self._rapl.read()}),
            ("temperature", lambda: {"temperature_c": self._sensors.read()}),
        )

    def read(self) -> HostCounters:
        """Take one look. Never raises for what the kernel does not offer; see `absent`."""
        figures: dict[str, Any] = {}
        for family, read in self._families:
            try:
                figures |= read()
            except (OSError, ValueError, LookupError) as error:
                self._missing(family, error)
            else:
                if self.absent.pop(family, None) is not None:
                    logger.info("host figures are back: %s", family)
        return HostCounters(**figures)

    def _missing(self, family: str, error: Exception) -> None:
        if isinstance(error, PermissionError):
            why = f"not permitted to read {error.filename}"
        elif isinstance(error, OSError):
            why = f"{error.filename}: {error.strerror}"
        else:
            why = f"cannot be understood: {error}"
        if self.absent.get(family) != why:
            self.absent[family] = why
            logger.info("no host figures: %s: %s", family, why)

    def _read_cpu(self) -> dict[str, Any]:
        seconds, cpus = parse_cpu((self._proc / "stat").read_bytes(), os.sysconf("SC_CLK_TCK"))
        return {"cpu_seconds": self._cpu_time.follow(seconds), "cpus": cpus}

    def _read_load(self) -> dict[str, Any]:
        one, five, fifteen = (self._proc / "loadavg").read_bytes().split()[:3]
        return {"load_average": {"1m": decimal_of(one), "5m": decimal_of(five), "15m": decimal_of(fifteen)}}

    def _read_memory(self) -> dict[str, Any]:
        return parse_memory((self._proc / "meminfo").read_bytes())

    def _read_disks(self) -> dict[str, Any]:
        disks = self._disks.bound(parse_disks((self._proc / "diskstats").read_bytes()))
        return {
            "disk_read_bytes": {name: read for name, (read, _) in disks.items()},
            "disk_written_bytes": {name: written for name, (_, written) in disks.items()},
        }

    def _read_links(self) -> dict[str, Any]:
        links = self._links.bound(parse_links(self._net_dev()))
        return {
            "network_receive_bytes": {name: received for name, (received, _) in links.items()},
            "network_transmit_bytes": {name: sent for name, (_, sent) in links.items()},
        }

    def _net_dev(self) -> bytes:
        """The table of the machine. Ours may be that of a container, in which the first process is not."""
        try:
            return (self._proc / "1/net/dev").read_bytes()
        except OSError:  # others' processes are hidden from us
            return (self._proc / "net/dev").read_bytes()

    def _read_uptime(self) -> dict[str, Any]:
        return {"uptime_seconds": decimal_of((self._proc / "uptime").read_bytes().split()[0])}


class Forward:
    """Counters that never step back, although the kernel's idle and iowait times now and then do.

    A small step back (proc(5) warns of it) is waited out. A larger one, as when CPUs are taken offline, is a
    new beginning: counting goes on from there, and what was shown stays.
    """

    def __init__(self, largest_slip: float) -> None:
        self._slip = largest_slip
        self._seen: dict[str, float] = {}
        self._lost: dict[str, float] = {}  # by larger steps back, put on top of what is read since

    def follow(self, raw: Mapping[str, float]) -> dict[str, float]:
        """Take the next readings and return what to show."""
        for key, value in raw.items():
            slip = self._seen.get(key, value) - value
            if slip > self._slip:
                self._lost[key] = self._lost.get(key, 0.0) + slip
            if slip <= 0 or slip > self._slip:
                self._seen[key] = value
        return {key: self._seen[key] + self._lost.get(key, 0.0) for key in raw}


class Bounded:
    """At most `limit` devices by name, the first to come; the steps of all others are summed as `other`.

    A device keeps its place while it is there, and `other` counts steps, not totals, so that no counter
    falls when a device goes.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._named: dict[str, None] = {}  # in the order of coming
        self._last: Counters = {}  # of those that are not named
        self._other: tuple[int, int] | None = None

    def bound(self, devices: Counters) -> Counters:
        """Fold what is too much."""
        self._named = {name: None for name in self._named if name in devices}
        for name in devices:
            if len(self._named) < self._limit and name != OTHER:
                self._named[name] = None
        shown = {name: devices[name] for name in self._named}
        rest = {name: io for name, io in devices.items() if name not in self._named}
        if rest or self._other is not None:
            read, written = self._other or (0, 0)
            for name, (reads, writes) in rest.items():
                last = self._last.get(name, (reads, writes))
                read += max(0, reads - last[0])
                written += max(0, writes - last[1])
            shown[OTHER] = self._other = (read, written)
            self._last = rest
        return shown
