"""Files of /proc about the machine: a few lines each, in the kernel's own words, into figures."""

import math
import re
from collections.abc import Iterable

from gputally.node.labels import label_text

_CPU_MODES = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")  # guests are in user
_LONGEST_COUNT = 20  # digits of 2^64
_SECTOR_BYTES = 512  # the unit of /proc/diskstats, whatever the disk's own sectors are
# Memory, drives without a disk, and layers over disks whose bytes have been counted already.
_NOT_A_DISK = re.compile(r"(?:loop|z?ram|dm-|md|sr|fd|zd)\d|nvme\d+c\d+n\d+")
# The machine talking to itself and to its containers.
_NOT_A_LINK = ("veth", "cali", "lxc", "tap", "ifb", "dummy")

Counters = dict[str, tuple[int, int]]  # device -> bytes in, bytes out


def _count(text: bytes) -> int:
    """A counter as the kernel writes it, of 64 bits at most. Raises ValueError."""
    if not text.isdigit() or len(text) > _LONGEST_COUNT:
        raise ValueError(f"{text[:_LONGEST_COUNT]!r} is no count")
    return int(text)


def decimal_of(text: bytes) -> float:
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
