"""The driver's ring of power samples: what a card without an energy counter is metered by."""

import ctypes

from gputally.model import Clock
from gputally.model.clock import NS_PER_SECOND
from gputally.node.sources.nvml import abi, codes
from gputally.node.sources.nvml.device import Device

_ROOM = 2048  # samples; rings seen hold 119 or 120
_RESYNC_SECONDS = 5.0  # the ring always moves: no sample for so long = the wall clock was set back


class PowerSamples:
    """nvmlDeviceGetSamples with a cursor in the driver's own time. Every sample is handed on once."""

    def __init__(self, device: Device, clock: Clock) -> None:
        self._device = device
        self._clock = clock
        self._since = ctypes.c_ulonglong()
        self._kind = ctypes.c_uint()
        self._count = ctypes.c_uint()
        self._buffer = ctypes.create_string_buffer(_ROOM * abi.POWER_SAMPLE.size)
        self._call = device.call(
            "nvmlDeviceGetSamples",
            "power_samples",
            ctypes.c_int(abi.TOTAL_POWER_SAMPLES),
            self._since,
            ctypes.byref(self._kind),
            ctypes.byref(self._count),
            self._buffer,
            expected=(codes.NOT_FOUND,),
        )
        self._sampled_ns = 0
        self._dry = True  # the latest read brought nothing

    def read(self, most_watts: float) -> tuple[tuple[int, int], ...] | None:
        """(driver's microseconds, milliwatts), oldest first; none from before the first read."""
        now_ns = self._clock().boot_ns
        if self._dry and now_ns - self._sampled_ns > _RESYNC_SECONDS * NS_PER_SECOND:
            self._since.value = 0
        self._dry = True
        self._count.value = _ROOM
        if not self._call():
            return () if self._call.code == codes.NOT_FOUND and not self._call.absent else None
        first = self._since.value == 0
        size = min(self._count.value, _ROOM) * abi.POWER_SAMPLE.size
        rows = sorted(abi.POWER_SAMPLE.iter_unpack(memoryview(self._buffer)[:size]))
        if not rows:
            return ()
        self._since.value = rows[-1][0]
        self._sampled_ns, self._dry = now_ns, False
        if first:
            return ()
        mask = 0xFFFFFFFF if self._kind.value == abi.VALUE_UINT else abi.NOT_AVAILABLE_64
        samples = ((at_us, value & mask) for at_us, value in rows)
        keep = self._device.keep
        return tuple(s for s in samples if keep("power_samples", s[1], 0, most_watts * 1000) is not None)
