"""The fast lane: power, energy, utilisation, memory, processes and events of one GPU, at every tick.

Six calls on a recent card: one batch of fields, utilisation, memory, compute processes, their shares, events;
now and then the lists of graphics and MPS processes. Older cards need one or two more.
"""

import ctypes
from collections.abc import Mapping
from typing import Any

from gputally.model import Clock, FastReading, ProcessReading
from gputally.node.sources.nvml import abi
from gputally.node.sources.nvml.device import Device
from gputally.node.sources.nvml.events import XidEvents
from gputally.node.sources.nvml.fields import GPU, FieldBatch
from gputally.node.sources.nvml.processes import Processes
from gputally.node.sources.nvml.samples import PowerSamples
from gputally.node.sources.nvml.throttling import ThrottleReasons
from gputally.node.sources.protocol import HELD_DOWN

MOST_WATTS = 2000.0  # for a card that does not tell its own limit
_MOST_COUNTED = (1 << 63) - 1  # a 64-bit counter beyond it is -1 or a sentinel

_FIELDS = {
    "power_average_w": [(185, GPU)],  # NVML_FI_DEV_POWER_AVERAGE, over 1 s; since Ampere, GA100 excepted
    "power_instant_w": [(186, GPU)],  # NVML_FI_DEV_POWER_INSTANT
    "energy_mj": [(83, GPU), (191, GPU)],  # NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION, NVML_FI_DEV_ENERGY
    "pcie_transmit_bytes": [(197, GPU)],  # NVML_FI_DEV_PCIE_COUNT_TX_BYTES
    "pcie_receive_bytes": [(198, GPU)],  # NVML_FI_DEV_PCIE_COUNT_RX_BYTES
}
# NVML_FI_DEV_CLOCKS_EVENT_REASON_*, nanoseconds since the driver was loaded. `thermal` is the older sum of
# the two thermal reasons and is dropped where those are known apart.
_THROTTLE_FIELDS = {
    "throttle_ns.sw_power_cap": [(74, GPU)],
    "throttle_ns.sync_boost": [(76, GPU)],
    "throttle_ns.sw_thermal": [(269, GPU)],
    "throttle_ns.hw_thermal": [(270, GPU)],
    "throttle_ns.hw_power_brake": [(271, GPU)],
    "throttle_ns.thermal": [(75, GPU)],
}
_THROTTLE = {reading: reading.partition(".")[2] for reading in _THROTTLE_FIELDS}


class FastLane:
    """Buffers and calls of the lane, made once."""

    def __init__(self, device: Device, clock: Clock, throttling: ThrottleReasons, *, processes: bool) -> None:
        self.most_watts = MOST_WATTS
        self.events = XidEvents(device)
        self._device = device
        self._fields = FieldBatch(device, {**_FIELDS, **_THROTTLE_FIELDS}, vital=True)
        self._milliwatts = ctypes.c_uint()
        self._power = device.call(
            "nvmlDeviceGetPowerUsage", "power_w", ctypes.byref(self._milliwatts), vital=True
        )
        self._millijoules = ctypes.c_ulonglong()
        self._energy = device.call(
            "nvmlDeviceGetTotalEnergyConsumption", "energy_mj", ctypes.byref(self._millijoules)
        )
        self._samples = PowerSamples(device, clock)
        self._percent = abi.Utilization()
        self._utilization = device.call(
            "nvmlDeviceGetUtilizationRates", "utilization_ratio", ctypes.byref(self._percent), vital=True
        )
        self._memory_v2, self._memory_v1 = abi.MemoryV2(version=abi.MEMORY_V2), abi.MemoryV1()
        self._read_v2 = device.call(
            "nvmlDeviceGetMemoryInfo_v2", "memory_reserved_bytes", ctypes.byref(self._memory_v2), vital=True
        )
        self._read_v1 = device.call(
            "nvmlDeviceGetMemoryInfo", "memory_used_bytes", ctypes.byref(self._memory_v1), vital=True
        )
        self._throttling = throttling
        self._processes = Processes(device, clock) if processes else None

    def read(self, *, slow: bool, rare: bool) -> FastReading:
        """One reading. Raises SourceError. XIDs stay in `events.pending` until somebody takes them."""
        self.events.read()
        fields = self._fields.read()
        average_w = self._watts("power_average_w", fields.get("power_average_w"))
        energy_mj, samples = self._energy_of(fields)
        utilization, memory_utilization = self._utilization_of()
        total, used, free, reserved = self._memory_of()
        running, departed = self._processes_of(total, slow=slow, rare=rare)
        reading = FastReading(
            power_w=self._default_watts() if average_w is None else average_w,
            power_average_w=average_w,
            power_instant_w=self._watts("power_instant_w", fields.get("power_instant_w")),
            energy_mj=energy_mj,
            power_samples=samples,
            utilization_ratio=utilization,
            memory_utilization_ratio=memory_utilization,
            memory_total_bytes=total,
            memory_used_bytes=used,
            memory_free_bytes=free,
            memory_reserved_bytes=reserved,
            processes=running,
            departed=departed,
            new_xids=tuple(self.events.pending),
            **self._throttle_of(fields),
            pcie_transmit_bytes=self._counted("pcie_transmit_bytes", fields),
            pcie_receive_bytes=self._counted("pcie_receive_bytes", fields),
        )
        self._device.finish()
        return reading

    def close(self) -> None:
        """Free what the lane holds in the driver."""
        self.events.close()

    def _watts(self, reading: str, milliwatts: float | None) -> float | None:
        return (
            None if milliwatts is None else self._device.keep(reading, milliwatts / 1000, 0, self.most_watts)
        )

    def _default_watts(self) -> float | None:
        """The driver's default reading where it is not the 1 s average, which saves this call elsewhere.

        By its documentation nvmlDeviceGetPowerUsage is the 1 s average on Ampere and later except GA100, that
        is wherever NVML_FI_DEV_POWER_AVERAGE exists, and the power at this instant on older cards.
        """
        return self._watts("power_w", self._milliwatts.value) if self._power() else None

    def _energy_of(
        self, fields: Mapping[str, float]
    ) -> tuple[int | None, tuple[tuple[int, int], ...] | None]:
        """The energy counter; power samples only from a card that has none."""
        energy_mj = self._counted("energy_mj", fields)
        if energy_mj is not None or "energy_mj" in fields or self._fields.asks("energy_mj"):
            return energy_mj, None
        if self._energy():
            return self._device.keep("energy_mj", self._millijoules.value, 0, _MOST_COUNTED), None
        return None, self._samples.read(self.most_watts) if self._energy.absent else None

    def _counted(self, reading: str, fields: Mapping[str, float]) -> int | None:
        value = fields.get(reading)
        return None if value is None else self._device.keep(reading, int(value), 0, _MOST_COUNTED)

    def _utilization_of(self) -> tuple[float | None, float | None]:
        if not self._utilization():
            return None, None
        gpu = self._device.keep("utilization_ratio", self._percent.gpu, 0, 100)
        memory = self._device.keep("memory_utilization_ratio", self._percent.memory, 0, 100)
        return None if gpu is None else gpu / 100, None if memory is None else memory / 100

    def _memory_of(self) -> tuple[int | None, int | None, int | None, int | None]:
        """Total, used, free and reserved bytes; the older call counts what is reserved as used."""
        memory: Any
        if self._read_v2():
            memory, reserved = self._memory_v2, self._memory_v2.reserved
        elif self._read_v2.absent and self._read_v1():
            memory, reserved = self._memory_v1, None
        else:
            return None, None, None, None
        keep = self._device.keep
        total = keep("memory_total_bytes", memory.total, 1, 1 << 50)
        most = (1 << 50) if total is None else total * 1.02
        return (
            total,
            keep("memory_used_bytes", memory.used, 0, most),
            keep("memory_free_bytes", memory.free, 0, most),
            keep("memory_reserved_bytes", reserved, 0, most),
        )

    def _processes_of(
        self, total_bytes: int | None, *, slow: bool, rare: bool
    ) -> tuple[tuple[ProcessReading, ...] | None, tuple[ProcessReading, ...]]:
        """Who is there, and who has left since the tick before or is still owed a sample."""
        processes = self._processes
        if processes is None:
            return None, ()
        return processes.read(slow=slow, rare=rare, memory_total_bytes=total_bytes), processes.departed

    def _throttle_of(self, fields: Mapping[str, float]) -> dict[str, Any]:
        """Counters of the driver where there are any; else the reasons at this moment, one call a tick."""
        counted = {
            reason: int(value)
            for reading, reason in _THROTTLE.items()
            if (value := fields.get(reading)) is not None
            and self._device.keep(reading, value, 0, _MOST_COUNTED) is not None
        }
        if "thermal" in counted and ("sw_thermal" in counted or "hw_thermal" in counted):
            self._fields.drop("throttle_ns.thermal")
            del counted["thermal"]
        if counted or any(self._fields.asks(reading) for reading in _THROTTLE):
            return {"throttle_ns": counted or None, "throttling": None}
        active = self._throttling.read()
        if active is None:
            return {"throttle_ns": None, "throttling": None}
        return {"throttle_ns": None, "throttling": {r: active[r] for r in HELD_DOWN if r in active}}
