"""Why clocks are held down at this moment: a bitmask of the driver, by name."""

import ctypes

from gputally.node.sources.nvml import abi
from gputally.node.sources.nvml.device import Device


class ThrottleReasons:
    """Shared by both lanes; the driver renamed the functions in version 535 and kept the bits."""

    def __init__(self, device: Device) -> None:
        self._active = ctypes.c_ulonglong()
        self._known = ctypes.c_ulonglong()
        self._names: dict[str, int] | None = None
        self._ask = device.call(
            ("nvmlDeviceGetSupportedClocksEventReasons", "nvmlDeviceGetSupportedClocksThrottleReasons"),
            "throttle_active.supported",
            ctypes.byref(self._known),
        )
        self._read = device.call(
            ("nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons"),
            "throttle_active",
            ctypes.byref(self._active),
        )
        device.on_forget(self.forget)

    def forget(self) -> None:
        """Ask anew which reasons the card tells."""
        self._names = None

    def read(self) -> dict[str, bool] | None:
        """Reason -> whether it holds the clocks down now; None = not available."""
        if not self._read():
            return None
        if self._names is None:
            mask = self._known.value if self._ask() else 0
            # A card that does not say what it supports is taken at its word for every reason.
            self._names = {name: bit for name, bit in abi.THROTTLE_REASONS.items() if not mask or bit & mask}
        active = self._active.value
        return {name: bool(active & bit) for name, bit in self._names.items()}
