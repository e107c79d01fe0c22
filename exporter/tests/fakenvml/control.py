"""The control file from the test's side: GPUs, clock, faults and counts of the fake driver."""

from __future__ import annotations

import ctypes
import mmap
import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from .build import SONAME, build
from .gpu import FakeGpu
from .layout import CONSTANTS, DEVICE_FUNCTIONS, FUNCTIONS, Control
from .profiles import FULL, PROFILES
from .waveform import Constant, Waveform

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .records import Process

_ROW = CONSTANTS["FAKE_FUNCTIONS"]
_HANG, _SEGV = 1, 2
_NOT_SUPPORTED = 3


class FakeNvml:
    """A fake driver with its GPUs. Any process that has `env` in its environment sees it as the real one.

    Args:
        path: the control file; made if it is not there, else taken over with all it holds.
        library: what `build()` returned; by default built beside the control file.
        virtual: the clock stands still at 1000 s after boot and moves by `advance()` alone.
        driver_version: what the driver says it is; by default the version of the library.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        library: Path | None = None,
        virtual: bool = False,
        driver_version: str = "",
    ) -> None:
        self.path = Path(path).absolute()
        self.library = library or build(self.path.parent / "fake-nvml")
        self.lock = threading.RLock()
        self.raw: Any = self._map()
        self._in_process: ctypes.CDLL | None = None
        if self.raw.magic == 0:
            self._initialise(virtual=virtual, driver_version=driver_version)
        if (self.raw.magic, self.raw.layout) != (CONSTANTS["FAKE_MAGIC"], CONSTANTS["FAKE_LAYOUT"]):
            raise ValueError(f"{self.path} is no control file of this version")

    def _map(self) -> Any:
        size = ctypes.sizeof(Control)
        with self.path.open("a+b") as file:
            if file.seek(0, os.SEEK_END) == 0:
                file.truncate(size)  # sparse: only touched pages take room
            mapping = mmap.mmap(file.fileno(), size)
        mapping.madvise(mmap.MADV_RANDOM)
        return Control.from_buffer(mapping)

    def _initialise(self, *, virtual: bool, driver_version: str) -> None:
        boot_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        self.raw.layout = CONSTANTS["FAKE_LAYOUT"]
        self.raw.size = ctypes.sizeof(Control)
        self.raw.clock_mode = int(virtual)
        self.raw.virtual_ns = 1_000_000_000_000 if virtual else 0
        self.raw.wall_origin_ns = time.time_ns() - (self.raw.virtual_ns if virtual else boot_ns)
        self.raw.cuda_version = 13000
        self.raw.driver_version = driver_version.encode()
        self.raw.magic = CONSTANTS["FAKE_MAGIC"]

    def __enter__(self) -> Self:
        """Nothing to open."""
        return self

    def __exit__(self, *_exc: object) -> None:
        """Releases what hangs and detaches this process."""
        self.close()

    def close(self) -> None:
        """Lets hung calls go on and takes this process off the control file; the file stays."""
        self.release()
        if self._in_process is not None:
            deadline = time.monotonic() + 2
            while self.hanging() and time.monotonic() < deadline:
                time.sleep(0.002)
            self._in_process.fake_nvml_attach(None)
            self._in_process = None

    @property
    def env(self) -> dict[str, str]:
        """What to add to a program's environment so that it loads this driver."""
        folders = [str(self.library.parent), *filter(None, [os.environ.get("LD_LIBRARY_PATH")])]
        return {"LD_LIBRARY_PATH": ":".join(folders), "FAKE_NVML_CONTROL": str(self.path)}

    def load_in_process(self) -> None:
        """Makes this the driver of the present process, for pynvml too, whatever was attached before.

        dlopen("libnvidia-ml.so.1") finds the library already loaded by its soname. The first one stays for
        the life of the process, as with the real driver.

        Raises:
            RuntimeError: another build of it, or a real one, was loaded before.
        """
        ctypes.CDLL(str(self.library), mode=ctypes.RTLD_GLOBAL)
        loaded = ctypes.CDLL(SONAME)
        if not hasattr(loaded, "fake_nvml_build"):
            raise RuntimeError(f"a real {SONAME} is already loaded in this process")
        loaded.fake_nvml_build.restype = ctypes.c_char_p
        loaded.fake_nvml_attach.argtypes = [ctypes.c_char_p]
        if loaded.fake_nvml_build().decode() != self.library.parent.name:
            raise RuntimeError(f"another build of the fake {SONAME} is already loaded in this process")
        if loaded.fake_nvml_attach(os.fsencode(self.path)) != 0:
            raise RuntimeError(f"the library refused {self.path}")
        self._in_process = loaded

    # the clock

    def now_ns(self) -> int:
        """The fake's boot-time clock."""
        if self.raw.clock_mode == 1:
            return int(self.raw.virtual_ns)
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) + int(self.raw.clock_offset_ns)

    def wall_us(self, at_ns: int | None = None) -> int:
        """The wall clock that goes with it, as the driver's timestamps have it."""
        return ((self.now_ns() if at_ns is None else at_ns) + int(self.raw.wall_origin_ns)) // 1000

    def advance(self, seconds: float) -> None:
        """Moves the clock: the virtual one to a new standstill, the real one by a lasting step."""
        if self.raw.clock_mode == 1:
            self.raw.virtual_ns += round(seconds * 1e9)
        else:
            self.raw.clock_offset_ns += round(seconds * 1e9)

    # GPUs

    def add_gpu(
        self,
        profile: str = "full",
        *,
        power: Waveform | None = None,
        **values: Any,
    ) -> FakeGpu:
        """Adds a GPU at the end of the list; `values` as in `FakeGpu.set`."""
        with self.lock:
            slot = int(self.raw.gpu_slots)
            if slot == CONSTANTS["FAKE_GPUS"]:
                raise ValueError(f"at most {slot} GPUs")
            gpu = FakeGpu(self, slot)
            own, functions, fields = PROFILES[profile]
            identity = {
                "uuid": f"GPU-00000000-0000-4000-8000-{slot:012x}",
                "serial": f"16500000000{slot:02d}",
                "pci_bus_id": f"00000000:{0x10 + slot:02X}:00.0",
                "minor": slot,
                "board_id": 0x1000 + slot * 0x100,
            }
            gpu.set(**{**FULL, **identity, **own, **values})
            gpu.set_gpm({})
            gpu.power = power or Constant(100.0)
            for function in functions:
                self.fault(function, gpu=slot, code=_NOT_SUPPORTED)
            for field in fields:
                gpu.set_field(field, code=_NOT_SUPPORTED)
            gpu.raw.index = sum(other.present for other in self.raw.gpus[:slot])
            self.raw.gpu_slots = slot + 1
            gpu.raw.present = 1
        return gpu

    def gpu(self, slot: int) -> FakeGpu:
        """The GPU added as number `slot`, wherever the driver lists it now."""
        if not 0 <= slot < self.raw.gpu_slots:
            raise IndexError(f"no GPU {slot}")
        return FakeGpu(self, slot)

    def order(self, slots: Iterable[int]) -> None:
        """Says which GPUs the driver lists, and in which order; the others are off the bus."""
        listed = list(slots)
        with self.lock:
            for slot in range(self.raw.gpu_slots):
                raw = self.raw.gpus[slot]
                raw.present = slot in listed
                if slot in listed:
                    raw.index = listed.index(slot)

    def set_processes(self, gpu: int, processes: Iterable[Process]) -> None:
        """Replaces the process list of a GPU."""
        self.gpu(gpu).set_processes(processes)

    def inject_xid(self, gpu: int, xid: int) -> None:
        """Queues an XID on a GPU."""
        self.gpu(gpu).inject_xid(xid)

    def energy_mj(self, gpu: int, from_ns: int | None = None, to_ns: int | None = None) -> float:
        """The true energy of a GPU between two times."""
        return self.gpu(gpu).energy_mj(from_ns, to_ns)

    # faults

    def fault(
        self,
        function: str,
        gpu: int | None = None,
        *,
        code: int = 0,
        hang: bool = False,
        segv: bool = False,
        leak_bytes: int = 0,
        delay_us: int = 0,
        times: int = 0,
    ) -> None:
        """Makes a function fail on one GPU (None: on every one, or a function without a GPU).

        `*` stands for every function that concerns a GPU. A hanging call goes on when released, then returns
        `code`. `times` ends the fault after that many calls.
        """
        for entry in self._entries(function, gpu):
            entry.flags = 0
            entry.code, entry.delay_us, entry.leak_bytes, entry.remaining = code, delay_us, leak_bytes, times
            entry.flags = _HANG * hang | _SEGV * segv

    def clear(self, function: str = "*", gpu: int | None = None) -> None:
        """Ends a fault; hung calls go on. Takes the same names as `fault`."""
        self.fault(function, gpu)

    def release(self) -> None:
        """Lets every hung call go on and hangs no further one."""
        for row in range(self.raw.gpu_slots + 1):
            for number in FUNCTIONS.values():
                entry = self.raw.faults[row * _ROW + number]
                if entry.flags & _HANG:
                    entry.flags &= ~_HANG

    def hanging(self, function: str | None = None, gpu: int | None = None) -> int:
        """How many calls hang at this moment."""
        names = FUNCTIONS if function is None else [function]
        rows = range(self.raw.gpu_slots + 1) if gpu is None else (0, gpu + 1)
        return sum(self.raw.faults[row * _ROW + FUNCTIONS[name]].hanging for row in rows for name in names)

    def wait_for_hang(self, function: str, gpu: int | None = None, timeout_s: float = 10.0) -> None:
        """Returns when a call hangs.

        Raises:
            TimeoutError: none did.
        """
        deadline = time.monotonic() + timeout_s
        while not self.hanging(function, gpu):
            if time.monotonic() > deadline:
                raise TimeoutError(f"no call hangs in {function}")
            time.sleep(0.002)

    def _entries(self, function: str, gpu: int | None) -> list[Any]:
        names = DEVICE_FUNCTIONS if function == "*" else [function]
        row = 0 if gpu is None else gpu + 1
        return [self.raw.faults[row * _ROW + FUNCTIONS[name]] for name in names]

    # counts

    def calls(self, function: str | None = None, gpu: int | None = None) -> int:
        """How often the library was called: in one function or all, for one GPU or all."""
        names = FUNCTIONS if function is None else [function]
        rows = range(self.raw.gpu_slots + 1) if gpu is None else [gpu + 1]
        return sum(self.raw.calls[row * _ROW + FUNCTIONS[name]] for row in rows for name in names)

    def calls_by_function(self, gpu: int | None = None) -> dict[str, int]:
        """The functions that were called, and how often."""
        counts = {name: self.calls(name, gpu) for name in FUNCTIONS}
        return {name: count for name, count in counts.items() if count}

    def reset_calls(self) -> None:
        """Puts every count back to 0."""
        ctypes.memset(ctypes.addressof(self.raw.calls), 0, ctypes.sizeof(self.raw.calls))
        ctypes.memset(ctypes.addressof(self.raw.in_flight_peak), 0, ctypes.sizeof(self.raw.in_flight_peak))

    def in_flight(self, gpu: int | None = None) -> int:
        """How many calls are inside the library for a GPU (None: for none in particular)."""
        return int(self.raw.in_flight[0 if gpu is None else gpu + 1])

    def in_flight_peak(self, gpu: int | None = None) -> int:
        """The most calls that were inside the library for a GPU at one time."""
        return int(self.raw.in_flight_peak[0 if gpu is None else gpu + 1])

    @property
    def open_inits(self) -> int:
        """Successful nvmlInit less nvmlShutdown, over all processes that ended in order."""
        return int(self.raw.open_inits)
