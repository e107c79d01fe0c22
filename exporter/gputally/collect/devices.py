"""GPU snapshots -> blocks. Most rows of the catalogue name a field; the few that need a hand stand below."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from operator import attrgetter
from typing import Any

from gputally.catalogue import DEVICES, Family
from gputally.collect.exposition import FamilySamples, Sample, escape, label_pairs
from gputally.model import GpuSnapshot, ProcessRow, Snapshot


def device_families(snapshot: Snapshot) -> Iterator[FamilySamples]:
    """Yield the families of all GPUs, in the order of the catalogue."""
    prefixes = [label_pairs(("gpu", "uuid"), (g.gpu.index, g.gpu.uuid)) for g in snapshot.gpus]
    gpus = list(zip(prefixes, snapshot.gpus, strict=True))
    for family in DEVICES:
        by_hand = _BY_HAND.get(family.name)
        yield (
            family,
            partial(by_hand, family, gpus, snapshot) if by_hand else partial(_from_field, family, gpus),
        )


Gpus = Sequence[tuple[str, GpuSnapshot]]
Rows = list[Sample]


def _from_field(family: Family, gpus: Gpus) -> Rows:
    record_of = attrgetter(family.record)
    key, _, entry = family.key.partition(".")
    field_of = attrgetter(key)
    label = family.labels[2] if len(family.labels) > 2 else None
    samples: Rows = []
    for prefix, gpu in gpus:
        record = record_of(gpu)
        if record is None:
            continue
        value = field_of(record)
        if entry:
            value = value.get(entry)
        if value is None:
            continue
        if label is None:
            samples.append((prefix, value))
        else:
            samples += [(f'{prefix},{label}="{escape(k)}"', v) for k, v in value.items()]
    return samples


def _info(_family: Family, gpus: Gpus, _snapshot: Snapshot) -> Rows:
    names = ("name", "vendor", "architecture", "pci_bus_id", "serial", "vbios_version", "compute_capability")
    return [
        (f"{prefix},{label_pairs(names, [getattr(gpu.description, n) or '' for n in names])}", 1)
        for prefix, gpu in gpus
        if gpu.description is not None
    ]


def _driver_info(_family: Family, _gpus: Gpus, snapshot: Snapshot) -> Rows:
    names = ("source", "driver_version", "cuda_version", "library_version")
    if snapshot.driver is None:
        return []
    return [(label_pairs(names, [getattr(snapshot.driver, n) or "" for n in names]), 1)]


def _up(_family: Family, gpus: Gpus, _snapshot: Snapshot) -> Rows:
    return [(prefix, int(gpu.up)) for prefix, gpu in gpus]


def _down(_family: Family, gpus: Gpus, _snapshot: Snapshot) -> Rows:
    return [(f'{prefix},reason="{escape(gpu.reason)}"', 1) for prefix, gpu in gpus if not gpu.up]


def _last_reading(_family: Family, gpus: Gpus, _snapshot: Snapshot) -> Rows:
    return [(prefix, gpu.read_at.wall_seconds) for prefix, gpu in gpus if gpu.read_at is not None]


def _events(family: Family, _gpus: Gpus, snapshot: Snapshot) -> Rows:
    return [(label_pairs(family.labels, key), n) for key, n in snapshot.report.device_events.items()]


def _energy_source(_family: Family, gpus: Gpus, _snapshot: Snapshot) -> Rows:
    return [
        (f"{prefix},{label_pairs(('source', 'reason'), (c.energy_source, c.energy_source_reason))}", 1)
        for prefix, c in [(prefix, gpu.counters) for prefix, gpu in gpus]
    ]


def _day_cost(family: Family, gpus: Gpus, _snapshot: Snapshot) -> Rows:
    return [
        (f"{prefix},{label_pairs(family.labels[2:], key)}", value)
        for prefix, gpu in gpus
        if gpu.counters.money is not None
        for key, value in gpu.counters.money.day_cost.items()
    ]


def _nvlink_errors(_family: Family, gpus: Gpus, _snapshot: Snapshot) -> Rows:
    return [
        (f"{prefix},{label_pairs(('link', 'type'), key)}", n)
        for prefix, gpu in gpus
        for key, n in gpu.counters.nvlink_errors.items()
    ]


def _nvlink_up(_family: Family, gpus: Gpus, _snapshot: Snapshot) -> Rows:
    return [
        (f'{prefix},link="{escape(link.link or "all")}"', int(link.up))
        for prefix, gpu in gpus
        if gpu.slow is not None
        for link in gpu.slow.nvlinks
        if link.up is not None
    ]


def _mig(value_of: Callable[[Any], float | None], *more: str) -> "_ByHand":
    def rows(_family: Family, gpus: Gpus, _snapshot: Snapshot) -> Rows:
        samples: Rows = []
        for prefix, gpu in gpus:
            for part in gpu.slow.mig_instances if gpu.slow is not None else ():
                value = value_of(part)
                if value is None:
                    continue
                names = ("gpu_instance_id", "compute_instance_id", *more)
                values = (part.gpu_instance_id, part.compute_instance_id, part.uuid, part.profile or "")
                samples.append((f"{prefix},{label_pairs(names, values[: len(names)])}", value))
        return samples

    return rows


def _process_count(_family: Family, gpus: Gpus, _snapshot: Snapshot) -> Rows:
    return [(prefix, gpu.process_count) for prefix, gpu in gpus if gpu.process_count is not None]


def _process(value_of: Callable[[ProcessRow], float | None]) -> "_ByHand":
    def rows(family: Family, gpus: Gpus, _snapshot: Snapshot) -> Rows:
        names = family.labels[2:]
        samples: Rows = []
        for prefix, gpu in gpus:
            for row in gpu.processes or ():
                value = value_of(row)
                if value is not None:
                    labels = label_pairs(names, (row.pid, row.name, row.user, row.job_id))
                    samples.append((f"{prefix},{labels}", value))
        return samples

    return rows


_ByHand = Callable[[Family, Gpus, Snapshot], Rows]
_BY_HAND: Mapping[str, _ByHand] = {
    "gpu_info": _info,
    "gpu_driver_info": _driver_info,
    "gpu_up": _up,
    "gpu_down_info": _down,
    "gpu_last_reading_timestamp_seconds": _last_reading,
    "gpu_device_events_total": _events,
    "gpu_energy_source_info": _energy_source,
    "gpu_cost_day": _day_cost,
    "gpu_nvlink_errors_total": _nvlink_errors,
    "gpu_nvlink_up": _nvlink_up,
    "gpu_mig_info": _mig(lambda _part: 1, "mig_uuid", "profile"),
    "gpu_mig_compute_slices": _mig(lambda part: part.compute_slices),
    "gpu_mig_memory_total_bytes": _mig(lambda part: part.memory_total_bytes),
    "gpu_mig_memory_used_bytes": _mig(lambda part: part.memory_used_bytes),
    "gpu_mig_sm_active_ratio": _mig(lambda part: part.sm_active_ratio),
    "gpu_processes": _process_count,
    "gpu_process_memory_bytes": _process(lambda row: row.memory_bytes),
    "gpu_process_utilization_ratio": _process(lambda row: row.sm_ratio),
}
