"""The machine around the GPUs, from /proc and /sys: the kernel's own counters, filtered and bounded.

Each family of figures is read by itself, so that a file that is missing costs that family alone. /proc is
parsed here, a few lines a file, and not by psutil: its root is one global of the whole process, its notion of
used memory differs between versions, and it writes warnings where we want a reason.
"""

import logging
import math
import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from gputally.model import Clock, HostCounters
from gputally.model.clock import system_clock
from gputally.node.labels import label_text
from gputally.node.rapl import RaplReader

logger = logging.getLogger(__name__)

CAP = 64  # disks, and network interfaces; what is beyond stands together as `other`
OTHER = "other"
_CPU_MODES = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")  # guests are in user
_STEP_BACK_SECONDS = 3.0
_LONGEST_COUNT = 20  # digits of 2^64
_SECTOR_BYTES = 512  # the unit of /proc/diskstats, whatever the disk's own sectors are
# Memory, drives without a disk, and layers over disks whose bytes have been counted already.
_NOT_A_DISK = re.compile(r"(?:loop|z?ram|dm-|md|sr|fd|zd)\d|nvme\d+c\d+n\d+")
# The machine talking to itself and to its containers.
_NOT_A_LINK = ("veth", "cali", "lxc", "tap", "ifb", "dummy")
# Driver -> its labels for the whole package, best first: Tctl may carry an offset for the fans, Tdie not.
_SENSOR_DRIVERS = {
    "coretemp": ("Package id", "Physical id"),
    "k10temp": ("Tdie", "Tctl"),
    "zenpower": ("Tdie",),
}
_LOOK_AGAIN = 60  # reads until sensors are looked for again where there were none

Counters = dict[str, tuple[int, int]]  # device -> bytes in, bytes out


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
        return {"load_average": {"1m": _decimal(one), "5m": _decimal(five), "15m": _decimal(fifteen)}}

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
        return {"uptime_seconds": _decimal((self._proc / "uptime").read_bytes().split()[0])}


def _count(text: bytes) -> int:
    """A counter as the kernel writes it, of 64 bits at most. Raises ValueError."""
    if not text.isdigit() or len(text) > _LONGEST_COUNT:
        raise ValueError(f"{text[:_LONGEST_COUNT]!r} is no count")
    return int(text)


def _decimal(text: bytes) -> float:
    """A number with a point, never negative. Raises ValueError."""
    for digits in text.split(b".", 1):
        _count(digits)
    return float(text)


def parse_cpu(stat: bytes, ticks_per_second: int) -> tuple[dict[str, float], int]:
    """CPU seconds by mode, and the number of CPUs, from /proc/stat."""
    total, *others = stat.split(b"\n")
    name, *ticks = total.split()
    if name != b"cpu":
        raise ValueError("stat does not begin with a line of all CPUs")
    seconds = {mode: _count(count) / ticks_per_second for mode, count in zip(_CPU_MODES, ticks, strict=False)}
    cpus = 0
    while others[cpus].startswith(b"cpu"):  # before a long line of interrupts, which is not looked at
        cpus += 1
    return seconds, cpus


def parse_memory(meminfo: bytes) -> dict[str, int]:
    """Fields of HostCounters from /proc/meminfo, which counts in KiB."""
    sizes = {}
    for line in meminfo.splitlines():
        name, _, size = line.partition(b":")
        if name in {b"MemTotal", b"MemAvailable", b"SwapTotal", b"SwapFree"}:
            sizes[name] = _count(size.split()[0]) * 1024
    total, available = sizes[b"MemTotal"], sizes[b"MemAvailable"]
    if available > total or sizes.get(b"SwapFree", 0) > sizes.get(b"SwapTotal", math.inf):
        raise ValueError("more is free than there is")
    memory = {
        "memory_total_bytes": total,
        "memory_available_bytes": available,
        "memory_used_bytes": total - available,
    }
    if b"SwapTotal" in sizes and b"SwapFree" in sizes:
        memory["swap_total_bytes"] = sizes[b"SwapTotal"]
        memory["swap_used_bytes"] = sizes[b"SwapTotal"] - sizes[b"SwapFree"]
    return memory


def parse_disks(diskstats: bytes) -> Counters:
    """Bytes read and written by disk, from /proc/diskstats; a partition counts only without its disk."""
    disks = {}
    for line in diskstats.splitlines():
        fields = line.split()
        name = label_text(fields[2])
        if not _NOT_A_DISK.match(name):
            disks[name] = (_count(fields[5]) * _SECTOR_BYTES, _count(fields[9]) * _SECTOR_BYTES)
    return {name: io for name, io in disks.items() if not _is_partition(name, disks)}


def _is_partition(name: str, disks: Iterable[str]) -> bool:
    base = name.rstrip("0123456789")
    # `sda1` of `sda`; after a digit a `p` stands between: `nvme0n1p1` of `nvme0n1`
    return base != name and (
        base in disks or (base[-1:] == "p" and base[-2:-1].isdigit() and base[:-1] in disks)
    )


def parse_links(net_dev: bytes) -> Counters:
    """Bytes received and sent by network interface, from /proc/net/dev."""
    links = {}
    for line in net_dev.splitlines()[2:]:  # two lines of headings
        name, _, counts = line.rpartition(b":")
        label = label_text(name.strip())
        if label != "lo" and not label.startswith(_NOT_A_LINK):
            fields = counts.split()
            links[label] = (_count(fields[0]), _count(fields[8]))
    return links


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


class Sensors:
    """Temperatures of the CPU packages, from the two drivers that know them (hwmon sysfs interface)."""

    def __init__(self, sys_root: Path) -> None:
        self._root = sys_root / "class/hwmon"
        self._inputs: dict[str, Path] = {}
        self._wait = 0

    def read(self) -> dict[str, float]:
        """Degrees Celsius by package. Raises FileNotFoundError where no package has a sensor."""
        if not self._inputs:
            self._wait -= 1
            if self._wait <= 0:
                self._inputs, self._wait = _find_sensors(self._root), _LOOK_AGAIN
        if not self._inputs:
            raise FileNotFoundError(2, "no CPU temperature sensor", str(self._root))
        try:
            degrees = {name: int(path.read_bytes()) / 1000 for name, path in self._inputs.items()}
        except OSError:
            self._inputs = {}
            raise
        return {name: value for name, value in degrees.items() if -50 < value < 150}


def _find_sensors(root: Path) -> dict[str, Path]:
    inputs: dict[str, Path] = {}
    for chip in sorted(root.iterdir(), key=lambda path: path.resolve()):  # packages in the order of the bus
        wanted = _SENSOR_DRIVERS.get(_text(chip / "name"), ())
        sensors = [(_text(path), path) for path in sorted(chip.glob("temp*_label"))] if wanted else []
        for start in wanted:
            found = [path for text, path in sensors if text.startswith(start)]
            for path in found:
                inputs[f"package-{len(inputs)}"] = path.with_name(path.name.replace("label", "input"))
            if found:
                break
    return inputs


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
