"""The slow lane of nvidia-smi, and what never changes: a card of the log as SlowReading and Description."""

from collections.abc import Mapping
from typing import Any

from gputally.model import Description, FastReading, MigInstance, ProcessReading, SlowReading
from gputally.node.sources.nvidia_smi.fast import (
    PATHS,
    active_reasons,
    fast_reading,
    kind_of,
    process,
    without_repeats,
)
from gputally.node.sources.nvidia_smi.listing import Partition, slices_of
from gputally.node.sources.nvidia_smi.xmllog import Card
from gputally.node.sources.printed import (
    CELSIUS,
    LANES,
    MEGAHERTZ,
    MOST_BYTES,
    PERCENT,
    WATTS,
    Sheet,
    is_absent,
    word,
)

_MOST_WATTS = 20_000
_MOST_CELSIUS = 150
_MOST_MEGAHERTZ = 40_000  # a GDDR7 memory clock is printed as 14001 MHz
_MOST_FAN_PERCENT = 250  # by its documentation a fan may be asked for more than 100
_POWER = ("gpu_power_readings", "power_readings")
_CLOCKS = {"graphics": "graphics_clock", "sm": "sm_clock", "memory": "mem_clock", "video": "video_clock"}
_ENGINES = ("encoder", "decoder", "jpeg", "ofa")
_TEMPERATURE_LIMITS = {
    "shutdown": "gpu_temp_max_threshold",
    "slowdown": "gpu_temp_slow_threshold",
    "gpu_max": "gpu_temp_max_gpu_threshold",
    "memory_max": "gpu_temp_max_mem_threshold",
}
_ECC = {  # counted at several places of the chip since driver 450; before, with a sum of their own
    "corrected": (("sram_correctable", "dram_correctable"), "single_bit/total"),
    "uncorrected": (
        (
            "sram_uncorrectable",
            "sram_uncorrectable_parity",
            "sram_uncorrectable_secded",
            "dram_uncorrectable",
        ),
        "double_bit/total",
    ),
}
_RECOVERY_ACTIONS = {
    "none": 0,
    "reset": 1,
    "gpu reset": 1,
    "reboot": 2,
    "node reboot": 2,
    "drain p2p": 3,
    "drain and reset": 4,
}
Layout = tuple[tuple[str | None, ...], ...]  # which MIG partitions a card has
ABSENT = {
    "energy_mj": "nvidia-smi does not print the energy counter",
    "power_samples": "nvidia-smi does not print samples",
    "process_sm_ratio": "nvidia-smi -q does not print the share of a process",
    "new_xids": "nvidia-smi does not print XIDs",
    "pcie_transmit_bytes": "nvidia-smi -q prints a rate, no counter",
    "pcie_receive_bytes": "nvidia-smi -q prints a rate, no counter",
    "nvlinks": "nvidia-smi -q does not print NVLink counters",
    "activity_ratio": "nvidia-smi does not print GPM metrics",
}


def describe(card: Card) -> Description:
    """Names, limits and maxima of a card. What is garbled is left out."""
    sheet = Sheet()
    celsius = {
        limit: sheet.number(limit, card.text(f"temperature/{element}"), CELSIUS, 1, _MOST_CELSIUS)
        for limit, element in _TEMPERATURE_LIMITS.items()
    }
    return Description(
        name=card.word("product_name") or "unknown",
        architecture=_architecture(card),
        pci_bus_id=card.bus_id,
        serial=card.word("serial"),
        vbios_version=card.word("vbios_version"),
        power_limit_default_w=_power_limit(card, sheet, "power_limit_default_w", "default_power_limit"),
        power_limit_min_w=_power_limit(card, sheet, "power_limit_min_w", "min_power_limit"),
        power_limit_max_w=_power_limit(card, sheet, "power_limit_max_w", "max_power_limit"),
        temperature_limits_c={limit: value for limit, value in celsius.items() if value is not None},
        clock_max_hz=_clocks(card, sheet, "clock_max_hz", "max_clocks"),
        pcie_link_generation_max=_link(card, sheet, "pcie_link_generation_max", "pcie_gen/max_link_gen"),
        pcie_link_width_max=_link(card, sheet, "pcie_link_width_max", "link_widths/max_link_width"),
        minor_number=sheet.count("minor_number", card.text("minor_number"), 0, 1 << 20),
        absent=ABSENT,
    )


def fast_of(card: Card, sheet: Sheet, *, processes: bool) -> FastReading:
    """The values of the fast lane as the log has them."""
    row = {field: card.text(*paths) for field, paths in PATHS.items()}
    return fast_reading(row, sheet, processes_of(card, sheet) if processes else None)


def slow_of(card: Card, sheet: Sheet, partitions: Mapping[int, Partition]) -> SlowReading:
    """The slow lane. `partitions`: what `nvidia-smi -L` says of this card's MIG devices, by their number."""
    row = {field: card.text(*paths) for field, paths in PATHS.items()}
    fan = sheet.number("fan_ratio", card.text("fan_speed"), PERCENT, 0, _MOST_FAN_PERCENT)
    engines = {
        engine: sheet.number(
            f"engine_ratio.{engine}", card.text(f"utilization/{engine}_util"), PERCENT, 0, 100
        )
        for engine in _ENGINES
    }
    return SlowReading(
        temperature_c=_celsius(card, sheet, "temperature_c", "gpu_temp"),
        memory_temperature_c=_celsius(card, sheet, "memory_temperature_c", "memory_temp"),
        temperature_margin_c=sheet.number(
            "temperature_margin_c",
            card.text("temperature/gpu_temp_tlimit"),
            CELSIUS,
            -_MOST_CELSIUS,
            2 * _MOST_CELSIUS,
        ),
        power_limit_w=_power_limit(card, sheet, "power_limit_w", "requested_power_limit", "power_limit"),
        power_limit_enforced_w=_power_limit(
            card, sheet, "power_limit_enforced_w", "current_power_limit", "enforced_power_limit"
        ),
        fan_ratio={} if fan is None else {"0": fan},  # the first of however many there are
        clock_hz=_clocks(card, sheet, "clock_hz", "clocks"),
        performance_state=_performance_state(card, sheet),
        engine_ratio={engine: ratio for engine, ratio in engines.items() if ratio is not None},
        throttle_active=active_reasons(row, sheet),
        **_health(card, sheet),
        pcie_link_generation=_link(card, sheet, "pcie_link_generation", "pcie_gen/current_link_gen"),
        pcie_link_width=_link(card, sheet, "pcie_link_width", "link_widths/current_link_width"),
        pcie_replays=sheet.count("pcie_replays", card.text("pci/replay_counter")),
        mig_enabled=sheet.flag("mig_enabled", card.text("mig_mode/current_mig")),
        mig_pending=sheet.flag("mig_pending", card.text("mig_mode/pending_mig")),
        mig_instances=tuple(_partitions(card, sheet, partitions)),
    )


def processes_of(card: Card, sheet: Sheet) -> tuple[ProcessReading, ...] | None:
    """The processes of the log; None where it does not say."""
    listed = card.element.find("processes")
    if listed is None or (len(listed) == 0 and (listed.text or "").strip()):
        return None  # <processes>N/A</processes>: not permitted or not supported
    total = sheet.memory({"memory_total_bytes": card.text("fb_memory_usage/total")})["memory_total_bytes"]
    most_bytes = MOST_BYTES if total is None else int(total * 1.02)
    found = (
        process(
            sheet,
            line.text("pid"),
            line.text("used_memory"),
            most_bytes,
            kind=kind_of(line.word("type")),
            instance=line.text("gpu_instance_id"),
        )
        for line in card.parts("processes/process_info")
    )
    return without_repeats(p for p in found if p is not None)


def layout_of(card: Card) -> Layout:
    """Which MIG partitions there are; `nvidia-smi -L` need be asked again only when this changes."""
    names = ("index", "gpu_instance_id", "compute_instance_id")
    return tuple(tuple(p.word(name) for name in names) for p in card.parts("mig_devices/mig_device"))


def _partitions(card: Card, sheet: Sheet, known: Mapping[int, Partition]) -> list[MigInstance]:
    instances = []
    for part in card.parts("mig_devices/mig_device"):
        gpu_instance, compute_instance = part.word("gpu_instance_id"), part.word("compute_instance_id")
        index = sheet.count("mig_instances", part.text("index"), 0, 1 << 10)
        if gpu_instance is None or compute_instance is None or index is None:
            continue
        who = known.get(index, Partition())
        compute_slices, gpu_instance_slices = slices_of(who.profile)
        memory = sheet.memory(
            {f"memory_{n}_bytes": part.text(f"fb_memory_usage/{n}") for n in ("total", "used")},
            prefix="mig_instances.",
        )
        instances.append(
            MigInstance(
                gpu_instance_id=gpu_instance,
                compute_instance_id=compute_instance,
                uuid=who.uuid,
                profile=who.profile,
                compute_slices=compute_slices,
                gpu_instance_slices=gpu_instance_slices,
                memory_total_bytes=memory["memory_total_bytes"],
                memory_used_bytes=memory["memory_used_bytes"],
            )
        )
    return instances


def _architecture(card: Card) -> str | None:
    """In the words of NVML: "Ada Lovelace" is ada."""
    name = card.word("product_architecture")
    return name.split()[0].lower() if name and name.lower() != "unknown" else None


def _celsius(card: Card, sheet: Sheet, reading: str, element: str) -> float | None:
    """Exactly 0 is what drivers say for a sensor that failed."""
    return sheet.number(reading, card.text(f"temperature/{element}"), CELSIUS, 1, _MOST_CELSIUS)


def _power_limit(card: Card, sheet: Sheet, reading: str, *elements: str) -> float | None:
    paths = [f"{block}/{element}" for element in elements for block in _POWER]
    return sheet.number(reading, card.text(*paths), WATTS, 0.001, _MOST_WATTS)


def _clocks(card: Card, sheet: Sheet, reading: str, block: str) -> dict[str, float]:
    hertz = {
        clock: sheet.number(f"{reading}.{clock}", card.text(f"{block}/{name}"), MEGAHERTZ, 0, _MOST_MEGAHERTZ)
        for clock, name in _CLOCKS.items()
    }
    return {clock: value for clock, value in hertz.items() if value is not None}


def _link(card: Card, sheet: Sheet, reading: str, path: str) -> int | None:
    return sheet.count(reading, card.text(f"pci/pci_gpu_link_info/{path}"), 1, 64, LANES)


def _performance_state(card: Card, sheet: Sheet) -> int | None:
    text = card.text("performance_state")
    if text is None or text.strip().lower() == "unknown":
        return None
    return sheet.count("performance_state", text.strip().removeprefix("P"), 0, 15)


def _health(card: Card, sheet: Sheet) -> dict[str, Any]:
    count, text, flag = sheet.count, card.text, sheet.flag
    retired = {
        "single_bit": count(
            "retired_pages.single_bit", text(f"{_RETIRED}/multiple_single_bit_retirement/{_N}")
        ),
        "double_bit": count("retired_pages.double_bit", text(f"{_RETIRED}/double_bit_retirement/{_N}")),
    }
    remapped = {
        "corrected": count("remapped_rows.corrected", text("remapped_rows/remapped_row_corr")),
        "uncorrected": count("remapped_rows.uncorrected", text("remapped_rows/remapped_row_unc")),
    }
    return {
        "ecc_volatile": _ecc(card, sheet, "volatile"),
        "ecc_aggregate": _ecc(card, sheet, "aggregate"),
        "retired_pages": {cause: n for cause, n in retired.items() if n is not None},
        "retired_pages_pending": flag("retired_pages_pending", text(f"{_RETIRED}/pending_retirement")),
        "remapped_rows": {cause: n for cause, n in remapped.items() if n is not None},
        "row_remap_pending": flag("row_remap_pending", text("remapped_rows/remapped_row_pending")),
        "row_remap_failed": flag("row_remap_failed", text("remapped_rows/remapped_row_failure")),
        "recovery_action": _recovery_action(card, sheet),
    }


_RETIRED, _N = "retired_pages", "retired_count"


def _ecc(card: Card, sheet: Sheet, since: str) -> dict[str, int]:
    """Errors by severity, summed over the places that the card counts at."""
    sums = {}
    for severity, (places, total) in _ECC.items():
        reading = f"ecc_{since}.{severity}"
        texts = [card.text(f"ecc_errors/{since}/{path}") for path in (total, *places)]
        counted = [n for text in texts if (n := sheet.count(reading, text)) is not None]
        if counted:
            sums[severity] = sum(counted)
    return sums


def _recovery_action(card: Card, sheet: Sheet) -> int | None:
    text = card.text("gpu_recovery_action")
    name = (word(text) or "").lower()
    if text is not None and text.strip().lower() == "none":
        return 0  # here it is an answer: nothing has to be done
    if is_absent(text):
        return None
    if name not in _RECOVERY_ACTIONS:
        sheet.failed["recovery_action"] = "garbage"
    return _RECOVERY_ACTIONS.get(name)
