"""The fast lane of nvidia-smi: one row of a --query-gpu table, or the same values out of the XML log.

Fields go by their name in --query-gpu as of driver 570; what older drivers called them stands beside it. The
log is translated into these names, so that both ways give the same reading.
"""

from collections.abc import Iterable, Mapping, Sequence

from gputally.model import FastReading, ProcessReading
from gputally.node.sources.printed import (
    MEBIBYTES,
    MICROSECONDS,
    PERCENT,
    WATTS,
    Sheet,
    is_absent,
)
from gputally.node.sources.protocol import HELD_DOWN

MOST_WATTS = 2000.0
_MOST_MICROSECONDS = ((1 << 63) - 1) // 1000
_MOST_PIDS = 0xFFFFFFFE

Texts = Mapping[str, str | None]

_COUNTERS = {  # microseconds since the driver was loaded; driver 570 and later
    "sw_power_cap": "clocks_event_reasons_counters.sw_power_cap",
    "sync_boost": "clocks_event_reasons_counters.sync_boost",
    "sw_thermal": "clocks_event_reasons_counters.sw_thermal_slowdown",
    "hw_thermal": "clocks_event_reasons_counters.hw_thermal_slowdown",
    "hw_power_brake": "clocks_event_reasons_counters.hw_power_brake_slowdown",
}
_COUNTERS_IN_LOG = {
    "sw_power_cap": "sw_power_cap",
    "sync_boost": "sync_boost",
    "sw_thermal": "sw_therm_slowdown",
    "hw_thermal": "hw_therm_slowdown",
    "hw_power_brake": "hw_power_brake",
}
REASONS = {  # our word -> nvidia-smi's
    "gpu_idle": "gpu_idle",
    "applications_clocks": "applications_clocks_setting",
    "sw_power_cap": "sw_power_cap",
    "hw_slowdown": "hw_slowdown",
    "sync_boost": "sync_boost",
    "sw_thermal": "sw_thermal_slowdown",
    "hw_thermal": "hw_thermal_slowdown",
    "hw_power_brake": "hw_power_brake_slowdown",
    "display_clocks": "display_clocks_setting",
}

IDENTITY = ("index", "uuid")
_VALUES = (
    *("power.draw", "power.draw.average", "power.draw.instant", "utilization.gpu", "utilization.memory"),
    *("memory.total", "memory.used", "memory.free", "memory.reserved"),
)
_REASON_FIELDS = tuple(f"clocks_event_reasons.{REASONS[reason]}" for reason in HELD_DOWN)
_FORMER_NAMES = {f: f.replace("clocks_event_reasons", "clocks_throttle_reasons") for f in _REASON_FIELDS}

PATHS: dict[str, tuple[str, ...]] = {  # field -> where it stands in the log, newest layout first
    "power.draw": ("gpu_power_readings/power_draw", "power_readings/power_draw"),
    "power.draw.average": ("gpu_power_readings/average_power_draw",),
    "power.draw.instant": ("gpu_power_readings/instant_power_draw",),
    "utilization.gpu": ("utilization/gpu_util",),
    "utilization.memory": ("utilization/memory_util",),
    "memory.total": ("fb_memory_usage/total",),
    "memory.used": ("fb_memory_usage/used",),
    "memory.free": ("fb_memory_usage/free",),
    "memory.reserved": ("fb_memory_usage/reserved",),
    **{
        field: (f"clocks_event_reasons_counters/clocks_event_reasons_counters_{_COUNTERS_IN_LOG[reason]}",)
        for reason, field in _COUNTERS.items()
    },
    **{
        f"clocks_event_reasons.{name}": (
            f"clocks_event_reasons/clocks_event_reason_{name}",
            f"clocks_throttle_reasons/clocks_throttle_reason_{name}",
        )
        for name in REASONS.values()
    },
}


def fields_to_ask(known: frozenset[str]) -> tuple[str, ...]:
    """The fields of a query, out of those that this nvidia-smi knows; all of the newest if it did not say."""
    if not known:
        return (*IDENTITY, *_VALUES, *_COUNTERS.values(), *_REASON_FIELDS)
    counters = [f for f in _COUNTERS.values() if f in known]
    reasons = [f if f in known else _FORMER_NAMES[f] for f in _REASON_FIELDS]
    return (*IDENTITY, *(f for f in (*_VALUES, *counters, *reasons) if f in known))


def row_of(fields: Sequence[str], cells: Sequence[str]) -> dict[str, str | None]:
    """Cells by the newest name of their field."""
    newest = {former: field for field, former in _FORMER_NAMES.items()}
    return {newest.get(field, field): cell for field, cell in zip(fields, cells, strict=True)}


def fast_reading(row: Texts, sheet: Sheet, processes: tuple[ProcessReading, ...] | None) -> FastReading:
    """One reading; faults go to the sheet. nvidia-smi has no energy counter and no share of a process."""
    draw, average, instant = (
        sheet.number(reading, row.get(field), WATTS, 0, MOST_WATTS)
        for reading, field in (
            ("power_w", "power.draw"),
            ("power_average_w", "power.draw.average"),
            ("power_instant_w", "power.draw.instant"),
        )
    )
    counted = {
        reason: sheet.count(f"throttle_ns.{reason}", row.get(field), 0, _MOST_MICROSECONDS, MICROSECONDS)
        for reason, field in _COUNTERS.items()
    }
    throttle_ns = {reason: ns for reason, ns in counted.items() if ns is not None}
    active = {r: on for r, on in active_reasons(row, sheet).items() if r in HELD_DOWN}
    memory = sheet.memory(
        {f"memory_{name}_bytes": row.get(f"memory.{name}") for name in ("total", "used", "free", "reserved")},
        MEBIBYTES,
    )
    return FastReading(
        # By NVIDIA's documentation the plain figure is the 1 s average wherever there is one.
        power_w=next((watts for watts in (average, draw, instant) if watts is not None), None),
        power_average_w=average,
        power_instant_w=instant,
        utilization_ratio=sheet.number("utilization_ratio", row.get("utilization.gpu"), PERCENT, 0, 100),
        memory_utilization_ratio=sheet.number(
            "memory_utilization_ratio", row.get("utilization.memory"), PERCENT, 0, 100
        ),
        memory_total_bytes=memory["memory_total_bytes"],
        memory_used_bytes=memory["memory_used_bytes"],
        memory_free_bytes=memory["memory_free_bytes"],
        memory_reserved_bytes=memory["memory_reserved_bytes"],
        processes=processes,
        throttle_ns=throttle_ns or None,
        throttling=None if throttle_ns else active or None,
    )


def is_mute(reading: FastReading, sheet: Sheet) -> bool:
    """Whether a GPU gave errors for all that matters: such a GPU is not up, though it is listed."""
    vital = ("power_w", "power_average_w", "utilization_ratio", "memory_used_bytes")
    return all(getattr(reading, name) is None for name in vital) and any(
        name in sheet.failed for name in vital
    )


def active_reasons(row: Texts, sheet: Sheet) -> dict[str, bool]:
    """Reason -> whether it holds the clocks down now, for those that the card tells."""
    flags = {
        reason: sheet.flag("throttle_active", row.get(f"clocks_event_reasons.{name}"))
        for reason, name in REASONS.items()
    }
    return {reason: on for reason, on in flags.items() if on is not None}


def process(  # noqa: PLR0913 - one line of a table
    sheet: Sheet,
    pid: str | None,
    memory: str | None,
    most_bytes: int,
    *,
    kind: str = "compute",
    instance: str | None = None,
) -> ProcessReading | None:
    """One process; None for a line that names nobody. Its name is not taken: others look it up by the PID."""
    number = sheet.count("processes", pid, 1, _MOST_PIDS)
    if number is None:
        return None
    most_mebibytes = most_bytes // MEBIBYTES.multiply + 1
    return ProcessReading(
        pid=number,
        kind=kind,
        memory_bytes=sheet.count("process_memory_bytes", memory, 0, most_mebibytes, MEBIBYTES),
        gpu_instance_id=None if is_absent(instance) else sheet.count("processes", instance, 0, 1 << 16),
    )


def kind_of(letters: str | None) -> str:
    """What nvidia-smi's C, G, C+G, M and M+C stand for."""
    kinds = set((letters or "C").upper().split("+"))
    if "M" in kinds:
        return "mps"
    return "compute" if "C" in kinds else "graphics"


def without_repeats(processes: Iterable[ProcessReading]) -> tuple[ProcessReading, ...]:
    """Each process once an instance; the first entry stays."""
    return tuple({(p.pid, p.gpu_instance_id): p for p in reversed(list(processes))}.values())[::-1]
