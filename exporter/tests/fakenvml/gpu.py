"""One fake GPU, as a test turns its knobs."""

from __future__ import annotations

import ctypes
import math
import struct
from typing import TYPE_CHECKING, Any

from .layout import CONSTANTS, STRUCTURES
from .power import PoweredSlot
from .records import Instance, Link, Process, Rate

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_MEMBERS: dict[str, Any] = {member[0]: member[1] for member in STRUCTURES["gpu"]._fields_}
_COUNTER = STRUCTURES["counter"]
_PROCESS = STRUCTURES["process"]
# set() refuses these: they are lists with a length beside them, or the library's own
_OWN_METHODS = frozenset(
    (
        *("sequence", "present", "index", "segments", "segment_count", "energy_frozen", "energy_frozen_mj"),
        *("instances", "instance_count", "mig_mode", "mig_generation", "links", "link_count", "fields"),
        *("gpm", "gpm_races", "events", "event_head", "processes", "process_count"),
        *("retired_count", "retired_pages"),
    ),
)
_MEMORY = frozenset(("memory_total", "memory_used", "memory_reserved"))
_TYPES = {"double": 0, "uint": 1, "ulong": 2, "ull": 3, "sll": 4, "int": 5, "ushort": 6}
_WORD = 1 << 64


class FakeGpu(PoweredSlot):
    """A slot of the control file. Handles name the slot; the index is where the driver lists it."""

    # identity

    @property
    def index(self) -> int:
        """Where the driver lists this GPU."""
        return int(self.raw.index)

    @property
    def uuid(self) -> bytes:
        """The UUID, as raw as it was set."""
        return bytes(self.raw.uuid)

    # readings

    def set(self, **values: Any) -> None:
        """Sets members of `struct gpu` in layout.h by name.

        Text may be str or bytes; an array takes a sequence for its head or a dict of positions; a counter
        takes a number or a Rate. Used or total memory without `memory_free` moves that as well.

        Raises:
            KeyError: no such member, or one that has a method of its own.
        """
        now_ns = self.fake.now_ns()
        with self.edit():
            for name, value in values.items():
                if name not in _MEMBERS or name in _OWN_METHODS:
                    raise KeyError(f"{name} cannot be set")
                self._set_member(name, value, now_ns)
            if "memory_free" not in values and _MEMORY & values.keys():
                taken = self.raw.memory_used + self.raw.memory_reserved
                self.raw.memory_free = max(self.raw.memory_total - taken, 0)

    def _set_member(self, name: str, value: Any, now_ns: int) -> None:
        kind = _MEMBERS[name]
        if isinstance(value, str):
            value = value.encode()
        if kind is _COUNTER:
            set_counter(getattr(self.raw, name), value, now_ns)
        elif not hasattr(kind, "_length_") or isinstance(value, bytes):
            setattr(self.raw, name, value)
        else:
            array = getattr(self.raw, name)
            for position, item in value.items() if isinstance(value, dict) else enumerate(value):
                if kind._type_ is _COUNTER:
                    set_counter(array[position], item, now_ns)
                else:
                    array[position] = item

    def set_field(self, field: int, value: float | None = None, *, code: int = 0, kind: str = "ull") -> None:
        """Forces a field value: a number of that type, or a return code (value None)."""
        override = self.raw.fields[field]
        if kind == "double":
            bits = int.from_bytes(struct.pack("<d", value or 0.0), "little")
        else:
            bits = int(value or 0) % _WORD
        with self.edit():
            override.code, override.type, override.bits = code, _TYPES[kind], bits
            override.set = 1

    def clear_field(self, field: int) -> None:
        """Lets a forced field say what it is again."""
        self.raw.fields[field].set = 0

    def set_gpm(self, metrics: Mapping[int, float]) -> None:
        """Sets activity metrics by NVML_GPM_METRIC_* number; the others answer NOT_SUPPORTED."""
        with self.edit():
            for metric in range(CONSTANTS["FAKE_GPM_METRICS"]):
                self.raw.gpm[metric] = metrics.get(metric, math.nan)

    @property
    def gpm_races(self) -> int:
        """How often one GPM sample was filled by two threads at once."""
        return int(self.raw.gpm_races)

    # lists

    def set_processes(self, processes: Iterable[Process]) -> None:
        """Replaces the process list."""
        rows = [_PROCESS(**process.row()) for process in processes]
        if len(rows) > CONSTANTS["FAKE_PROCESSES"]:
            raise ValueError(f"at most {CONSTANTS['FAKE_PROCESSES']} processes")
        table = (_PROCESS * len(rows))(*rows)
        with self.edit():  # as short as can be: readers wait for it
            ctypes.memmove(self.raw.processes, table, ctypes.sizeof(table))
            self.raw.process_count = len(rows)

    def set_links(self, links: Iterable[Link]) -> None:
        """Replaces the NVLinks."""
        now_ns = self.fake.now_ns()
        with self.edit():
            count = 0
            for count, link in enumerate(links, start=1):
                target = self.raw.links[count - 1]
                target.active, target.version = link.active, link.version
                target.remote_type, target.speed_mbps = link.remote_type, link.speed_mbps
                target.remote_bus_id = link.remote_bus_id.encode()
                target.errors[:] = link.errors
                set_counter(target.transmit_kib, link.transmit_kib, now_ns)
                set_counter(target.receive_kib, link.receive_kib, now_ns)
            self.raw.link_count = count

    def slice(self, instances: Iterable[Instance]) -> None:
        """Turns MIG on with these instances; handles of earlier ones become invalid."""
        with self.edit():
            count = 0
            for count, instance in enumerate(instances, start=1):
                _write_instance(self.raw.instances[count - 1], instance, f"MIG-{self.slot:08d}-{count - 1}")
            self._set_mig(enabled=True, count=count)

    def unslice(self) -> None:
        """Turns MIG off."""
        with self.edit():
            self._set_mig(enabled=False, count=0)

    def _set_mig(self, *, enabled: bool, count: int) -> None:
        self.raw.instance_count = count
        self.raw.mig_generation += 1
        self.raw.mig_mode = self.raw.mig_pending = enabled

    def set_retired_pages(self, single_bit: Iterable[int] = (), double_bit: Iterable[int] = ()) -> None:
        """Replaces the retired pages (addresses), by cause."""
        with self.edit():
            for cause, pages in enumerate((list(single_bit), list(double_bit))):
                first = cause * CONSTANTS["FAKE_PAGES"]
                self.raw.retired_pages[first : first + len(pages)] = pages
                self.raw.retired_count[cause] = len(pages)

    def inject_event(self, event_type: int, data: int = 0) -> None:
        """Queues an event for every event set that has registered this GPU for its type."""
        with self.fake.lock:
            event = self.raw.events[self.raw.event_head % CONSTANTS["FAKE_EVENTS"]]
            event.type, event.data = event_type, data
            event.gpu_instance_id = event.compute_instance_id = 0xFFFFFFFF
            self.raw.event_head += 1

    def inject_xid(self, xid: int) -> None:
        """Queues an XID (nvmlEventTypeXidCriticalError)."""
        self.inject_event(0x8, xid)


def set_counter(counter: Any, value: float | Rate, now_ns: int) -> None:
    """Sets a growing counter from now on."""
    rate = value if isinstance(value, Rate) else Rate(int(value))
    counter.base, counter.per_second, counter.origin_ns = rate.base, rate.per_second, now_ns


def _write_instance(target: Any, instance: Instance, default_uuid: str) -> None:
    uuid = instance.uuid or default_uuid
    target.uuid = uuid.encode() if isinstance(uuid, str) else uuid
    target.name = instance.name.encode() if isinstance(instance.name, str) else instance.name
    target.gpu_instance_id = instance.gpu_instance_id
    target.compute_instance_id = instance.compute_instance_id
    target.multiprocessors = instance.multiprocessors
    target.gpu_slices = instance.gpu_slices
    target.compute_slices = instance.compute_slices
    target.copy_engines = 1
    target.memory_total = instance.memory_total
    target.memory_used = instance.memory_used
    target.memory_reserved = instance.memory_reserved
    target.memory_free = max(instance.memory_total - instance.memory_used - instance.memory_reserved, 0)
    for metric in range(CONSTANTS["FAKE_INSTANCE_GPM_METRICS"]):
        target.gpm[metric] = instance.gpm.get(metric, math.nan)
