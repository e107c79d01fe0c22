"""MIG: whether a GPU is partitioned, and what its partitions are. They come and go while the driver is open.

A partition's handle is valid until the layout changes, so all handles are asked for at every read, and who is
behind a handle again when it is another one, or now and then.
"""

import ctypes
from dataclasses import dataclass
from typing import Any

from gputally.model import Clock, MigInstance
from gputally.node.sources.nvml import abi, codes
from gputally.node.sources.nvml.device import Call, Device
from gputally.node.sources.nvml.gpm import Samples

_TEXT_BYTES = 96
_MOST_BYTES = 1 << 50
_MOST_PARTITIONS = 64
_NO_PARTITIONS: tuple[MigInstance, ...] = ()


@dataclass(frozen=True, slots=True)
class _Identity:
    """Who is behind a handle."""

    gpu_instance_id: int
    compute_instance_id: int
    uuid: str
    profile: str | None
    compute_slices: int | None
    gpu_instance_slices: int | None


class Partitions:
    """Reads the mode, and the partitions while it is on."""

    def __init__(self, device: Device, clock: Clock, *, gpm: bool) -> None:
        self._device = device
        self._clock = clock
        self._gpm = gpm
        self._enabled: bool | None = None
        self._places = 0  # the most partitions there can be
        self._current, self._pending = ctypes.c_uint(), ctypes.c_uint()
        self._mode = device.call(
            "nvmlDeviceGetMigMode",
            "mig_enabled",
            ctypes.byref(self._current),
            ctypes.byref(self._pending),
        )
        self._number = ctypes.c_uint()
        self._most = device.call(
            "nvmlDeviceGetMaxMigDeviceCount", "mig_instances", ctypes.byref(self._number)
        )
        self._handle = ctypes.c_void_p()
        gone = (codes.NOT_FOUND, codes.INVALID_ARGUMENT)  # no partition there, or no longer
        self._by_index = device.call("nvmlDeviceGetMigDeviceHandleByIndex", "mig_instances", expected=gone)
        self._memory = abi.MemoryV2(version=abi.MEMORY_V2)
        self._read_memory = device.call("nvmlDeviceGetMemoryInfo_v2", "mig_instances.memory", expected=gone)
        self._gpu_instance = device.call("nvmlDeviceGetGpuInstanceId", "mig_instances", expected=gone)
        self._compute_instance = device.call("nvmlDeviceGetComputeInstanceId", "mig_instances", expected=gone)
        self._text = ctypes.create_string_buffer(_TEXT_BYTES)
        self._uuid = device.call("nvmlDeviceGetUUID", "mig_instances", expected=gone)
        self._name = device.call("nvmlDeviceGetName", "mig_instances.profile", expected=gone)
        self._attributes = abi.Attributes()
        self._read_attributes = device.call(
            ("nvmlDeviceGetAttributes_v2", "nvmlDeviceGetAttributes"), "mig_instances.slices", expected=gone
        )
        self._known: dict[int, _Identity] = {}  # handle -> who
        self._activity: dict[int, Samples] = {}  # GPU instance -> its sample buffers

    def read(self, *, thorough: bool) -> dict[str, Any]:
        """The readings that concern MIG, by name. `thorough` looks behind every handle again."""
        if not self._mode():
            return {"mig_enabled": None, "mig_pending": None, "mig_instances": _NO_PARTITIONS}
        enabled = bool(self._current.value)
        if self._enabled is not None and enabled != self._enabled:
            self._device.forget()  # most calls answer differently now
            self._known.clear()
        self._enabled = enabled
        partitions = self._partitions(thorough=thorough) if enabled else _NO_PARTITIONS
        self._free({int(p.gpu_instance_id) for p in partitions})
        return {
            "mig_enabled": enabled,
            "mig_pending": bool(self._pending.value),
            "mig_instances": partitions,
        }

    def close(self) -> None:
        """Free the sample buffers."""
        self._free(set())

    def _partitions(self, *, thorough: bool) -> tuple[MigInstance, ...]:
        if not self._places and self._most():
            self._places = min(self._number.value, _MOST_PARTITIONS)
        activity: dict[int, float | None] = {}  # once a GPU instance, however many share it
        found = [self._partition(n, activity, thorough=thorough) for n in range(self._places)]
        return tuple(partition for partition in found if partition is not None)

    def _partition(
        self, index: int, activity: dict[int, float | None], *, thorough: bool
    ) -> MigInstance | None:
        self._by_index.bind(self._device.handle, ctypes.c_uint(index), ctypes.byref(self._handle))
        if not self._by_index() or not self._handle.value:
            return None
        who = self._who(self._handle.value, thorough=thorough)
        if who is None:
            return None
        total, used = self._memory_of(self._handle)
        instance = who.gpu_instance_id
        if self._gpm and instance not in activity:
            activity[instance] = self._sm_ratio(instance)
        return MigInstance(
            gpu_instance_id=str(instance),
            compute_instance_id=str(who.compute_instance_id),
            uuid=who.uuid,
            profile=who.profile,
            compute_slices=who.compute_slices,
            gpu_instance_slices=who.gpu_instance_slices,
            memory_total_bytes=total,
            memory_used_bytes=used,
            sm_active_ratio=activity.get(instance),
        )

    def _who(self, handle: int, *, thorough: bool) -> _Identity | None:
        """Who is behind the handle: as known, unless it is to be made sure of and the UUID is another one."""
        known = self._known.get(handle)
        if known is not None and (not thorough or self._text_of(self._uuid, self._handle) == known.uuid):
            return known
        who = self._identify(self._handle)
        if who is not None:
            self._known[handle] = who
        return who

    def _identify(self, handle: ctypes.c_void_p) -> _Identity | None:
        """Ask who is behind a handle; None if it has become invalid meanwhile."""
        number = ctypes.byref(self._number)
        self._gpu_instance.bind(handle, number)
        if not self._gpu_instance():
            return None
        gpu_instance_id = self._number.value
        self._compute_instance.bind(handle, number)
        if not self._compute_instance():
            return None
        compute_instance_id = self._number.value
        uuid = self._text_of(self._uuid, handle)
        if not uuid:
            return None
        self._read_attributes.bind(handle, ctypes.byref(self._attributes))
        sliced = self._read_attributes()
        return _Identity(
            gpu_instance_id=gpu_instance_id,
            compute_instance_id=compute_instance_id,
            uuid=uuid,
            profile=profile_of(self._text_of(self._name, handle)),
            compute_slices=self._attributes.compute_slices if sliced else None,
            gpu_instance_slices=self._attributes.gpu_slices if sliced else None,
        )

    def _text_of(self, call: Call, handle: ctypes.c_void_p) -> str:
        call.bind(handle, self._text, ctypes.c_uint(_TEXT_BYTES))
        return self._text.value.decode(errors="replace") if call() else ""

    def _memory_of(self, handle: ctypes.c_void_p) -> tuple[int | None, int | None]:
        """Total and used bytes."""
        self._read_memory.bind(handle, ctypes.byref(self._memory))
        if not self._read_memory():
            return None, None
        keep = self._device.keep
        total = keep("mig_instances.memory_total_bytes", self._memory.total, 1, _MOST_BYTES)
        most = _MOST_BYTES if total is None else total * 1.02
        return total, keep("mig_instances.memory_used_bytes", self._memory.used, 0, most)

    def _sm_ratio(self, instance: int) -> float | None:
        samples = self._activity.get(instance)
        if samples is None:
            samples = self._activity[instance] = Samples(
                self._device, self._clock, "mig_instances.sm_active_ratio"
            )
        return samples.read(instance).get("sm")

    def _free(self, but: set[int]) -> None:
        for instance, samples in self._activity.items():
            if instance not in but:
                samples.close()


def profile_of(name: str) -> str | None:
    """The profile, such as 1g.10gb, at the end of what the driver calls a partition."""
    last = name.split()[-1:]
    return last[0] if last and "g." in last[0] else None
