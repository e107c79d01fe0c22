"""The NVML source: opens the driver, keeps the list of GPUs right, hands out a reader for each."""

import ctypes
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gputally.model import Clock, Driver, Gpu, Instant, Inventory
from gputally.model.clock import system_clock
from gputally.node.sources.nvml.describe import versions
from gputally.node.sources.nvml.device import Device
from gputally.node.sources.nvml.library import Library
from gputally.node.sources.nvml.options import Options
from gputally.node.sources.nvml.reader import GpuReader
from gputally.node.sources.protocol import GpuLost, Reader, SourceError, Unavailable

logger = logging.getLogger(__name__)
_ENUMERATE_SECONDS = 30.0  # a MIG or hot-plug change that no count shows is found this late
_AFTER_LOSS_SECONDS = 5.0  # a lost GPU says so at every tick; the others are not asked that often
_FILE_SECONDS = 5.0
_MOST_GPUS = 256


@dataclass(frozen=True, slots=True)
class _Found:
    gpu: Gpu
    handle: int
    reader: GpuReader


class NvmlSource:
    """GPUs by NVIDIA's management library. All calls but those of the readers come from one thread."""

    name = "nvml"

    def __init__(  # noqa: PLR0913 - the options of the command line
        self,
        *,
        gpm: bool = False,
        nvlink_links: bool = False,
        processes: bool = True,
        proc_root: Path = Path("/proc"),
        sys_root: Path = Path("/sys"),
        clock: Clock = system_clock,
    ) -> None:
        self._options = Options(clock, proc_root, sys_root, gpm, nvlink_links, processes)
        self._library = Library()
        self._readers: list[GpuReader] = []  # every one ever handed out and not yet closed
        self._found: dict[str, _Found] = {}  # in the driver's order
        self._skipped: dict[str, str] = {}  # GPUs that are there and not read, by index -> why
        self._driver = Driver(source="nvml")
        self._listed: frozenset[str] = frozenset()  # GPUs that the kernel module lists, by PCI address
        self._count = 0
        self._enumerated: Instant | None = None
        self._file_checked: Instant | None = None
        self._lost = False  # set by readers, on their own threads

    def open(self) -> Inventory:
        """Load the library, start NVML and look. Raises Unavailable or VersionMismatch."""
        self._library.open()
        try:
            system = Device(self._library, None, "the driver")
            self._driver = versions(system)
            self._listed = self._list_of_kernel()
            self._count = self._count_gpus(system)
            self._enumerate()
        except SourceError:
            self._library.close()
            raise
        return self._inventory()

    def scan(self) -> Inventory:
        """Count; look closer if something changed, every 30 s, or after a loss. Raises SourceError."""
        self._library.check()
        now = self._options.clock()
        if _due(self._file_checked, now, _FILE_SECONDS):
            self._file_checked = now
            self._library.check_file()
        listed = self._list_of_kernel()
        count = self._count_gpus(Device(self._library, None, "the driver"))
        if listed - self._listed and count <= self._count:
            raise GpuLost("the kernel module has a GPU that NVML counts only after it is opened again")
        changed = count != self._count or listed != self._listed
        self._count, self._listed = count, listed
        lost = self._lost and _due(self._enumerated, now, _AFTER_LOSS_SECONDS)
        due = lost or (_due(self._enumerated, now, _ENUMERATE_SECONDS) and not self._asleep())
        if changed or (due and not self._stuck(now)):
            self._enumerate()
        return self._inventory()

    def readers(self) -> Sequence[Reader]:
        """One reader a GPU; the same object as before while its UUID and handle are."""
        return tuple(found.reader for found in self._found.values())

    def close(self) -> None:
        """Free what the readers hold and shut NVML down."""
        for reader in self._readers:
            reader.close()
        self._readers.clear()
        self._found = {}
        self._library.close()

    def _stuck(self, now: Instant) -> bool:
        """Whether a GPU holds a call: a look at all of them would be a second one on it, and hang as well."""
        return any(found.reader.stuck(now) for found in self._found.values())

    def _asleep(self) -> bool:
        """Whether some GPU is suspended, and would be woken by a look at it."""
        return any(found.reader.suspended for found in self._found.values())

    def _inventory(self) -> Inventory:
        return Inventory(self._driver, tuple(found.gpu for found in self._found.values()))

    def _count_gpus(self, system: Device) -> int:
        """How many GPUs NVML has; what it said last where it fails for once. Raises SourceError."""
        number = ctypes.c_uint()
        names = ("nvmlDeviceGetCount_v2", "nvmlDeviceGetCount")
        if system.ask(names, "count", ctypes.byref(number)):
            return min(number.value, _MOST_GPUS)
        if "count" in system.absent or self._enumerated is None:
            reason = _reason(system, "count")
            raise Unavailable(f"the driver does not count its GPUs: {reason}", reason=reason)
        return self._count

    def _list_of_kernel(self) -> frozenset[str]:
        """What /proc/driver/nvidia/gpus lists; nothing where there is no such folder, as in a container."""
        folder = self._options.proc_root / "driver" / "nvidia" / "gpus"
        try:
            return frozenset(entry.name for entry in folder.iterdir())
        except OSError:
            return frozenset()

    def _enumerate(self) -> None:
        """Look at every GPU. One that fails is kept if it was known at this index, for it may recover."""
        self._lost = False
        self._enumerated = self._options.clock()
        before = {found.gpu.index: found for found in self._found.values()}
        told, self._skipped = self._skipped, {}
        current: dict[str, _Found] = {}
        errors: dict[str, SourceError] = {}
        for index in map(str, range(self._count)):
            try:
                handle, uuid = self._look(index)
            except SourceError as error:
                errors[index] = error
                continue
            if not uuid or uuid in current:
                self._skipped[index] = "duplicate_uuid" if uuid else "empty_uuid"
            else:
                current[uuid] = self._take(index, handle, uuid)
        for index, fault in errors.items():
            known = before.get(index)
            if known is not None and known.gpu.uuid not in current:
                current[known.gpu.uuid] = known
            else:
                self._skipped[index] = fault.reason
        if errors and not current:
            raise next(iter(errors.values()))
        for index, why in sorted(self._skipped.items() - told.items()):
            logger.warning("GPU %s is there and not read: %s", index, why)
        self._found = dict(sorted(current.items(), key=lambda item: int(item[1].gpu.index)))
        self._readers = [reader for reader in self._readers if not reader.closed]

    def _look(self, index: str) -> tuple[ctypes.c_void_p, str]:
        """Handle and UUID of the GPU at an index. Raises SourceError."""
        handle = ctypes.c_void_p()
        system = Device(self._library, None, f"GPU {index}")
        names = ("nvmlDeviceGetHandleByIndex_v2", "nvmlDeviceGetHandleByIndex")
        at = (ctypes.c_uint(int(index)), ctypes.byref(handle))
        if not system.ask(names, "handle", *at) or not handle.value:
            raise SourceError(f"GPU {index} has no handle", reason=_reason(system, "handle"))
        device = Device(self._library, handle, f"GPU {index}")
        uuid = device.text("nvmlDeviceGetUUID", "uuid")
        if uuid is None:
            raise SourceError(f"GPU {index} has no UUID", reason=_reason(device, "uuid"))
        return handle, uuid

    def _take(self, index: str, handle: ctypes.c_void_p, uuid: str) -> _Found:
        """A GPU with its reader: the one it had, if this is the same handle and it is not outdated."""
        known = self._found.get(uuid)
        if known is not None and known.handle == handle.value and not known.reader.outdated:
            return _Found(Gpu(uuid, index), handle.value, known.reader)
        reader = GpuReader(self._library, handle, uuid, self._options, self._note_loss)
        self._readers.append(reader)
        return _Found(Gpu(uuid, index), handle.value or 0, reader)

    def _note_loss(self) -> None:
        self._lost = True


def _due(at: Instant | None, now: Instant, seconds: float) -> bool:
    return at is None or now.seconds_since(at) >= seconds


def _reason(device: Device, reading: str) -> str:
    return device.absent.get(reading) or device.failed.get(reading) or "nothing"
