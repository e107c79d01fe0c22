"""Who runs on a GPU, and which share of its multiprocessors each had since the tick before.

A PID is all that is known about a process here; whether it lives, and whose it is, others find out.
"""

import ctypes
import os
from collections.abc import Iterator, Mapping
from struct import Struct

from gputally.model import Clock, ProcessReading
from gputally.model.clock import NS_PER_SECOND
from gputally.node.sources.nvml import abi, codes
from gputally.node.sources.nvml.device import Device

Row = tuple[int, int | None, int | None]  # pid, bytes, MIG GPU instance
_FIRST_ROOM = 64
_MOST_ROOM = 65_536
_WIDEST_ROW = 32  # bytes; buffers are laid out for it, whatever this driver writes

# Within a tick shorter than the driver's sampling window, which is 1 s at most, a busy process may have no
# new sample; its latest share holds for so long.
HOLD_SECONDS = 0.9
# After this long without a sample the cursor is given up: the wall clock may have been set back under it.
RESYNC_SECONDS = 10.0
# So long after a process has left the lists its last samples may still come: a sampling window and a tick.
LINGER_SECONDS = 2.0
_WINDOW_US = 1_000_000


class ProcessList:
    """One of the driver's lists: compute, graphics or MPS. One call; a second one when the list has grown."""

    def __init__(self, device: Device, kind: str, word: str) -> None:
        self.kind = kind
        self._device = device
        self._count = ctypes.c_uint()
        stem = f"nvmlDeviceGet{word}RunningProcesses"
        # Drivers before 470 know only records without instances, which nobody meters with any more.
        self._call = device.call(
            (f"{stem}_v3", f"{stem}_v2"), f"processes.{kind}", expected=(codes.INSUFFICIENT_SIZE,)
        )
        self._layout = _layout(device)
        self._make_room(_FIRST_ROOM)
        self.rows: list[Row] | None = None  # of the latest read; None = not available

    @property
    def absent(self) -> bool:
        """Whether the driver has no such list."""
        return bool(self._call.absent)

    @property
    def wanted(self) -> bool:
        """Whether a list that is mostly empty should be read at this tick: somebody is or may be on it."""
        return self.rows is None or bool(self.rows)

    def read(self) -> None:
        """Bring `rows` up to date."""
        for _ in range(2):
            self._count.value = self._room
            if self._call():
                self.rows = list(self._decode(self._count.value))
                return
            if self._call.code != codes.INSUFFICIENT_SIZE or self._call.absent:
                break
            self._make_room(min(2 * self._count.value + 8, _MOST_ROOM))
        else:
            self._device.fail("processes", "insufficient_size")
        self.rows = None

    def _make_room(self, rows: int) -> None:
        self._room = rows
        self._buffer = ctypes.create_string_buffer(rows * _WIDEST_ROW)
        self._call.bind(self._device.handle, ctypes.byref(self._count), self._buffer)

    def _decode(self, count: int) -> Iterator[Row]:
        size = min(count, self._room) * self._layout.size
        for pid, used, instance, _ in self._layout.iter_unpack(memoryview(self._buffer)[:size]):
            if 0 < pid < 0xFFFFFFFF:
                yield (
                    pid,
                    None if used == abi.NOT_AVAILABLE_64 else used,
                    None if instance == abi.NO_INSTANCE else instance,
                )


def _layout(device: Device) -> Struct:
    """The record of this driver's `_v3` functions.

    The first drivers to have them, up to early 535, wrote a member more; other functions tell them apart.
    """
    early = device.library.function("nvmlDeviceGetConfComputeMemSizeInfo")
    later = device.library.function("nvmlDeviceGetRunningProcessDetailList")
    return abi.PROCESS_INFO_LONG if early is not None and later is None else abi.PROCESS_INFO


class ProcessUtilization:
    """Shares of SM time by PID: nvmlDeviceGetProcessUtilization, with a cursor in the driver's own time."""

    def __init__(self, device: Device, clock: Clock) -> None:
        self._device = device
        self._clock = clock
        self._count = ctypes.c_uint()
        self._since = ctypes.c_ulonglong()
        self._call = device.call(
            "nvmlDeviceGetProcessUtilization",
            "process_sm_ratio",
            expected=(codes.NOT_FOUND, codes.INSUFFICIENT_SIZE),
        )
        self._make_room(_FIRST_ROOM)
        self._newest_us = 0  # of the latest sample ever seen
        self._sampled_ns = 0  # when the latest new sample came, on our own clock
        self._dry = True  # the latest read brought none
        self._held: dict[int, tuple[float, int]] = {}  # pid -> share, when it came
        self.fresh: Mapping[int, float] = {}  # of the latest read: shares by new samples, none that are held

    def read(self) -> dict[int, float] | None:
        """Shares by PID; who is not in it had none. None = the driver does not say."""
        self.fresh = {}
        now_ns = self._clock().boot_ns
        if self._dry and now_ns - self._sampled_ns > RESYNC_SECONDS * NS_PER_SECOND:
            self._since.value = 0
        self._dry = True
        for _ in range(2):
            self._count.value = self._room
            if self._call():
                size = min(self._count.value, self._room) * abi.PROCESS_SAMPLE.size
                self._take(memoryview(self._buffer)[:size], now_ns)
                return self._shares(now_ns)
            if self._call.absent or self._call.code != codes.INSUFFICIENT_SIZE:
                break
            self._make_room(min(2 * self._count.value + 8, _MOST_ROOM))
        else:
            self._device.fail("process_sm_ratio", "insufficient_size")
            return None
        return self._shares(now_ns) if self._call.code == codes.NOT_FOUND else None

    def _make_room(self, samples: int) -> None:
        self._room = samples
        self._buffer = ctypes.create_string_buffer(samples * abi.PROCESS_SAMPLE.size)
        count = ctypes.byref(self._count)
        self._call.bind(self._device.handle, self._buffer, count, self._since)

    def _take(self, buffer: memoryview, now_ns: int) -> None:
        samples: list[tuple[int, int, int]] = []  # us, pid, percent
        for pid, at_us, percent, *_ in abi.PROCESS_SAMPLE.iter_unpack(buffer):
            if not 0 < pid < 0xFFFFFFFF or at_us == 0:
                continue  # drivers are known to pad the list with empty samples
            if self._device.keep("process_sm_ratio", percent, 0, 100) is not None:
                samples.append((at_us, pid, percent))
        newest_us = max(samples, default=(0, 0, 0))[0]
        if newest_us in (0, self._newest_us):
            return  # nothing that was not counted before
        since_us = self._since.value or newest_us - _WINDOW_US
        self.fresh = mean_shares(samples, since_us, newest_us)
        for pid, share in self.fresh.items():
            self._held[pid] = (share, now_ns)
        self._newest_us = self._since.value = newest_us
        self._sampled_ns, self._dry = now_ns, False

    def _shares(self, now_ns: int) -> dict[int, float]:
        oldest_ns = now_ns - HOLD_SECONDS * NS_PER_SECOND
        self._held = {pid: held for pid, held in self._held.items() if held[1] >= oldest_ns}
        return {pid: share for pid, (share, _) in self._held.items()}


def mean_shares(samples: list[tuple[int, int, int]], since_us: int, until_us: int) -> dict[int, float]:
    """Each PID's mean ratio over the window, from samples of (us, pid, percent).

    A sample speaks for the time since the one before. The driver dates the samples of one round a few
    microseconds apart, so that shares may miss their sum by that much.
    """
    window_us = until_us - since_us
    busy_us: dict[int, float] = {}
    reached_us: dict[int, int] = {}
    for at_us, pid, percent in sorted(samples):
        if at_us <= since_us:
            continue
        busy_us[pid] = busy_us.get(pid, 0.0) + percent / 100 * (at_us - reached_us.get(pid, since_us))
        reached_us[pid] = at_us
    return {pid: busy / window_us for pid, busy in busy_us.items()}


class Processes:
    """The lists and the shares together, as readings."""

    def __init__(self, device: Device, clock: Clock) -> None:
        self._device = device
        self._compute = ProcessList(device, "compute", "Compute")
        self._graphics = ProcessList(device, "graphics", "Graphics")
        self._mps = ProcessList(device, "mps", "MPSCompute")
        self._utilization = ProcessUtilization(device, clock)
        self._clock = clock
        self._listed: dict[int, tuple[str, int]] = {}  # pid -> kind, when it was last on a list
        self._own_pid = os.getpid()
        self.departed: tuple[ProcessReading, ...] = ()  # of the latest read: gone, but with new samples

    def read(
        self, *, slow: bool, rare: bool, memory_total_bytes: int | None
    ) -> tuple[ProcessReading, ...] | None:
        """All processes by PID and instance, once each. None if neither main list is available.

        The graphics and MPS lists are empty on most servers: they are read at every tick only while somebody
        is on them, else at the pace of the slow lane.
        """
        self._compute.read()
        if slow or self._graphics.wanted:
            self._graphics.read()
        if rare or self._mps.wanted:
            self._mps.read()
        shares = self._utilization.read()
        self.departed = ()
        if self._compute.rows is None and (self._graphics.rows is None or not self._compute.absent):
            return None
        found = self._merge()
        self._part_with({pid: kind for (pid, _), (kind, _) in found.items()})
        most_bytes = memory_total_bytes * 1.02 if memory_total_bytes else float("inf")
        return tuple(
            ProcessReading(
                pid=pid,
                kind=kind,
                memory_bytes=self._device.keep("process_memory_bytes", used, 0, most_bytes),
                sm_ratio=None if shares is None else shares.get(pid, 0.0),
                gpu_instance_id=instance,
            )
            for (pid, instance), (kind, used) in found.items()
        )

    def _part_with(self, kinds: Mapping[int, str]) -> None:
        """Find those who have left and used the GPU until then; a PID that was never listed is not one.

        A sample speaks for the time before it, so the last one of a process comes when it is gone. A share
        that is merely held was handed on while it lived.
        """
        known, now_ns = self._listed, self._clock().boot_ns
        self.departed = tuple(
            ProcessReading(pid, kind=known[pid][0], sm_ratio=share)
            for pid, share in self._utilization.fresh.items()
            if share > 0 and pid in known and pid not in kinds
        )
        oldest_ns = now_ns - LINGER_SECONDS * NS_PER_SECOND
        self._listed = {pid: row for pid, row in known.items() if row[1] >= oldest_ns}
        self._listed.update((pid, (kind, now_ns)) for pid, kind in kinds.items())

    def _merge(self) -> dict[tuple[int, int | None], tuple[str, int | None]]:
        """Kind and memory by PID and instance; a later list knows better of what kind a process is."""
        found: dict[tuple[int, int | None], tuple[str, int | None]] = {}
        for each in (self._graphics, self._compute, self._mps):
            for pid, used, instance in each.rows or ():
                if pid != self._own_pid:
                    before = found.get((pid, instance), ("", None))[1]
                    found[pid, instance] = (each.kind, _larger(used, before))
        return found


def _larger(one: int | None, other: int | None) -> int | None:
    """A process on two lists has the same memory on both, unless it changed in between."""
    return one if other is None or (one is not None and one >= other) else other
