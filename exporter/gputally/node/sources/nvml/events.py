"""XID errors of one GPU: an event set of its own, looked into at every tick and never waited on."""

import ctypes

from gputally.node.sources.nvml import abi, codes
from gputally.node.sources.nvml.device import Device

_MOST_AT_ONCE = 64  # events taken in one tick; the rest stays in the driver's queue


class XidEvents:
    """What happened before the first look is not known to the driver's queue and is never reported."""

    def __init__(self, device: Device) -> None:
        self.pending: list[int] = []  # taken from the driver, not yet handed on
        self._device = device
        self._set: ctypes.c_void_p | None = None
        self._data = abi.EventData()
        self._supported = ctypes.c_ulonglong()
        self._ask = device.call("nvmlDeviceGetSupportedEventTypes", "new_xids", ctypes.byref(self._supported))
        self._register = device.call("nvmlDeviceRegisterEvents", "new_xids")
        # These two know no device, but fail for one GPU's sake, so they pass through its guard too.
        self._create = device.call("nvmlEventSetCreate", "new_xids")
        self._wait = device.call(
            ("nvmlEventSetWait_v2", "nvmlEventSetWait"), "new_xids", expected=(codes.TIMEOUT,)
        )
        self._absent = False
        device.on_forget(self.forget)

    def forget(self) -> None:
        """Try to register again, unless that has succeeded."""
        self._absent = False

    def read(self) -> None:
        """Move what is in the driver's queue to `pending`. Raises SourceError, and then loses nothing."""
        if self._absent or (self._set is None and not self._open()):
            return
        for _ in range(_MOST_AT_ONCE):
            if not self._wait():
                return
            if self._data.type == abi.EVENT_XID:
                self.pending.append(int(self._data.data))

    def close(self) -> None:
        """Free the event set. What the driver says to that does not matter."""
        event_set, self._set = self._set, None
        free = self._device.library.function("nvmlEventSetFree")
        if event_set is not None and free is not None:
            free(event_set)

    def _open(self) -> bool:
        if not self._ask():
            self._absent = bool(self._ask.absent)
            return False
        if not self._supported.value & abi.EVENT_XID:
            self._absent = True
            self._device.absent["new_xids"] = "not_supported"
            return False
        event_set = ctypes.c_void_p()
        self._create.bind(ctypes.byref(event_set))
        if not self._create():
            return False
        self._set = event_set
        self._register.bind(self._device.handle, ctypes.c_ulonglong(abi.EVENT_XID), event_set)
        try:
            registered = self._register()
        except BaseException:
            self.close()
            raise
        if not registered:
            self._absent = bool(self._register.absent)
            self.close()
            return False
        self._wait.bind(event_set, ctypes.byref(self._data), ctypes.c_uint(0))
        return True
