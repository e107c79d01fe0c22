"""GPM: which units of a Hopper or later chip were at work, measured between two samples of ours."""

import ctypes
import math

from gputally.model import Clock
from gputally.node.sources.nvml import abi, codes
from gputally.node.sources.nvml.device import Device

_SOONEST_NS = 100_000_000  # two samples closer than this say little, by NVIDIA's advice
_MOST_PERCENT = 102  # rounding of the hardware's counters; more is not a measurement


class Samples:
    """Two sample buffers of the driver, used in turn, by one thread only: the driver does not lock them."""

    def __init__(self, device: Device, clock: Clock, reading: str = "activity_ratio") -> None:
        self._device = device
        self._clock = clock
        self._taken_ns = 0
        self._older: ctypes.c_void_p | None = None
        self._newer: ctypes.c_void_p | None = None
        self._filled = False
        self._alloc = device.call("nvmlGpmSampleAlloc", reading)
        self._metrics = abi.GpmMetrics(version=abi.GPM_V1, count=len(abi.GPM_METRICS))
        for metric, number in zip(self._metrics.list, abi.GPM_METRICS.values(), strict=False):
            metric.id = number
        # INVALID_ARGUMENT: the two samples do not fit together, or the partition is gone.
        unfit = (codes.INVALID_ARGUMENT,)
        self._measure = device.call("nvmlGpmMetricsGet", reading, expected=unfit)
        self._measure.bind(ctypes.byref(self._metrics))
        self._whole = device.call("nvmlGpmSampleGet", reading)
        self._part = device.call("nvmlGpmMigSampleGet", reading, expected=unfit)

    def read(self, gpu_instance_id: int | None = None) -> dict[str, float]:
        """Ratios since the sample before; none at the first time, too soon, or while the card gives none."""
        now_ns = self._clock().boot_ns
        if now_ns - self._taken_ns < _SOONEST_NS or not self._allocate():
            return {}
        self._taken_ns = now_ns
        self._older, self._newer = self._newer, self._older
        if not self._take(gpu_instance_id):
            self._filled = False
            return {}
        if not self._filled:
            self._filled = True
            return {}
        self._metrics.first, self._metrics.second = self._older, self._newer
        return self._ratios() if self._measure() else {}

    def close(self) -> None:
        """Free the buffers. What the driver says to that does not matter."""
        free = self._device.library.function("nvmlGpmSampleFree")
        buffers, self._older, self._newer = (self._older, self._newer), None, None
        self._filled = False
        for buffer in buffers:
            if buffer is not None and free is not None:
                free(buffer)

    def _allocate(self) -> bool:
        if self._older is None:
            self._older = self._new()
        if self._newer is None:
            self._newer = self._new()
        return self._older is not None and self._newer is not None

    def _new(self) -> ctypes.c_void_p | None:
        buffer = ctypes.c_void_p()
        self._alloc.bind(ctypes.byref(buffer))
        return buffer if self._alloc() else None

    def _take(self, gpu_instance_id: int | None) -> bool:
        if gpu_instance_id is None:
            self._whole.bind(self._device.handle, self._newer)
            return self._whole()
        self._part.bind(self._device.handle, ctypes.c_uint(gpu_instance_id), self._newer)
        return self._part()

    def _ratios(self) -> dict[str, float]:
        ratios: dict[str, float] = {}
        for name, metric in zip(abi.GPM_METRICS, self._metrics.list, strict=False):
            if metric.code != 0 or math.isnan(metric.value):
                continue
            percent = self._device.keep(f"activity_ratio.{name}", metric.value, 0, _MOST_PERCENT)
            if percent is not None:
                ratios[name] = percent / 100
        return ratios


class Activity:
    """GPM of the whole GPU, if the card has it."""

    def __init__(self, device: Device, clock: Clock) -> None:
        self._device = device
        self._support = abi.GpmSupport(version=abi.GPM_V1)
        self._ask = device.call("nvmlGpmQueryDeviceSupport", "activity_ratio", ctypes.byref(self._support))
        self._supported: bool | None = None
        self._samples = Samples(device, clock)
        device.on_forget(self.forget)

    def forget(self) -> None:
        """Ask anew whether the card has GPM."""
        self._supported = None

    def read(self) -> dict[str, float]:
        """Ratios by unit."""
        if self._supported is None and self._ask():
            self._supported = bool(self._support.supported)
            if not self._supported:
                self._device.absent["activity_ratio"] = "not_supported"
        return self._samples.read() if self._supported else {}

    def close(self) -> None:
        """Free the buffers."""
        self._samples.close()
