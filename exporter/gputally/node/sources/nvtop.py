"""Readings from the program nvtop, which knows AMD, Intel and other GPUs too. Needs nvtop 3.2 (`--snapshot`).

What it prints looks like JSON and often is none: 3.3.0 and 3.3.1 leave out commas, and names are not escaped.
It is then read line by line, a field a line. Processes are not taken: with them stands what a user may write
in a command line, unescaped, and a list that decides about money must not be open to forgery.

There is no UUID. A GPU is named after its PCI address where nvtop prints one, else after its model and its
place among those of the same model, for example `nvtop-amd-radeon-rx-7900-xtx-0`. So the names of two equal
cards change hands when the first of them vanishes.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from gputally.model import Description, Driver, FastReading, Gpu, Inventory, Reading, SlowReading
from gputally.node.sources.printed import (
    BYTES,
    CELSIUS,
    MEBIBYTES,
    MEGAHERTZ,
    PERCENT,
    WATTS,
    Sheet,
    Unit,
    word,
)
from gputally.node.sources.program import DEADLINE_SECONDS, Program, refusal
from gputally.node.sources.protocol import SourceError, Unavailable
from gputally.node.sources.together import TogetherReader, reader_for

FIRST_WITH_SNAPSHOTS = (3, 2)
MOST_WATTS = 2000.0
_FAHRENHEIT = Unit("F")
_MOST_DEVICES = 64
_MOST_CELSIUS = 150
_MOST_MEGAHERTZ = 40_000  # a GDDR7 memory clock is printed as 14001 MHz
_MOST_FAN_PERCENT = 250
_VERSION = re.compile(r"nvtop version (\d{1,4})\.(\d{1,4})(?:\.(\d{1,4}))?")
_LINE = re.compile(r'\s*"(\w{1,40})"\s*:\s*(?:null|"(.*)"|(-?[\w.]+))\s*,?\s*')
_BUS_FIELDS = ("pdev", "pci", "pci_addr")
_VENDORS = {  # whole words of a name, in this order
    "nvidia": ("nvidia", "geforce", "quadro", "tesla"),
    "amd": ("amd", "radeon", "instinct", "firepro", "ati"),
    "intel": ("intel", "arc", "iris", "uhd", "dg1", "dg2", "battlemage", "alchemist", "flex"),
    "apple": ("apple",),
    "qualcomm": ("adreno", "qualcomm"),
    "arm": ("mali", "panfrost"),
    "broadcom": ("v3d", "videocore"),
    "google": ("tpu",),
}
ABSENT = {
    "energy_mj": "nvtop does not print an energy counter",
    "processes": "nvtop prints command lines unescaped, so that its list of processes could be forged",
    "memory_utilization_ratio": "nvtop's mem_util is occupancy, not bandwidth",
    "power_limit_w": "nvtop does not print power limits",
    "throttle_active": "nvtop does not print why clocks are held down",
    **dict.fromkeys(
        (
            *("power_average_w", "power_instant_w", "power_samples", "power_limit_enforced_w"),
            *("power_limit_default_w", "power_limit_min_w", "power_limit_max_w"),
            *("pcie_transmit_bytes", "pcie_receive_bytes", "nvlinks", "activity_ratio", "new_xids"),
            *("ecc_volatile", "ecc_aggregate", "remapped_rows", "retired_pages", "mig_enabled"),
        ),
        "nvtop does not print it",
    ),
}

Device = Mapping[str, str | None]


def parse_snapshot(output: str) -> tuple[dict[str, str | None], ...]:
    """Devices of a snapshot, field by field. Raises SourceError, reason `garbage`, if it is none."""
    try:
        found = [_flat(device) for device in json.loads(output) if isinstance(device, dict)]
    except (ValueError, TypeError, RecursionError):
        found = _by_line(output)
    devices = tuple(device for device in found if device.get("device_name"))[:_MOST_DEVICES]
    if not devices and "no gpu" not in output[:4096].lower() and output.split() != ["[", "]"]:
        raise SourceError("nvtop -s printed no device", reason="garbage")
    return devices


def _flat(device: Mapping[str, Any]) -> dict[str, str | None]:
    return {
        name: None if value is None else str(value)
        for name, value in device.items()
        if value is None or isinstance(value, str | int | float)
    }


def _by_line(output: str) -> list[dict[str, str | None]]:
    """The fields of each `{`, the first of those of one name. Lists within a device are passed over."""
    devices: list[dict[str, str | None]] = []
    in_list = False
    for line in output.splitlines():
        bare = line.strip()
        if in_list:
            in_list = bare not in ("]", "],")
        elif bare == "{":
            devices.append({})
        elif bare.endswith("[") and len(bare) > 1:
            in_list = True
        elif devices and (match := _LINE.fullmatch(line)) is not None:
            devices[-1].setdefault(match[1], match[2] if match[2] is not None else match[3])
    return devices


def uuids_of(devices: tuple[Device, ...]) -> tuple[str, ...]:
    """The made-up identity of each device."""
    seen: dict[str, int] = {}
    uuids = []
    for device in devices:
        bus = _bus_of(device)
        stem = _slug(bus) if bus is not None else _slug(device.get("device_name") or "gpu")
        place = seen.get(stem, 0)
        seen[stem] = place + 1
        uuids.append(f"nvtop-{stem}" if bus is not None and not place else f"nvtop-{stem}-{place}")
    return tuple(uuids)


def _bus_of(device: Device) -> str | None:
    return next((bus for field in _BUS_FIELDS if (bus := word(device.get(field))) is not None), None)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()[:80]).strip("-") or "gpu"


def vendor_of(name: str) -> str:
    """By the words of a device's name; nvtop does not say who made it."""
    words = set(re.split(r"[^a-z0-9]+", name.lower()))
    if "graphics" in words and re.search(r"\bgt\d\b", name.lower()):  # "CometLake-H GT2 (UHD Graphics)"
        return "intel"
    return next((vendor for vendor, marks in _VENDORS.items() if words & set(marks)), "unknown")


def describe(device: Device) -> Description:
    """All that nvtop tells of what never changes: a name, and in some builds where the card sits."""
    name = word(device.get("device_name")) or "unknown"
    absent = {**ABSENT}
    if device.get("mem_total") is None:
        absent["memory_total_bytes"] = "nvtop prints bytes since 3.3"
    return Description(name=name, vendor=vendor_of(name), pci_bus_id=_bus_of(device), absent=absent)


def reading_of(device: Device, *, slow: bool) -> Reading:
    """One device of a snapshot as a reading."""
    sheet = Sheet()
    sizes = {f"memory_{name}_bytes": device.get(f"mem_{name}") for name in ("total", "used", "free")}
    unit = MEBIBYTES if any(size and size.endswith("MiB") for size in sizes.values()) else BYTES
    memory = sheet.memory(sizes, unit)
    fast = FastReading(
        power_w=sheet.number("power_w", device.get("power_draw"), WATTS, 0, MOST_WATTS),
        utilization_ratio=sheet.number("utilization_ratio", device.get("gpu_util"), PERCENT, 0, 100),
        memory_total_bytes=memory["memory_total_bytes"],
        memory_used_bytes=memory["memory_used_bytes"],
        memory_free_bytes=memory["memory_free_bytes"],
    )
    return Reading(
        fast=fast,
        slow=_slow_reading(device, sheet) if slow else None,
        rejected=tuple(sheet.rejected),
        failed=sheet.failed,
    )


def _slow_reading(device: Device, sheet: Sheet) -> SlowReading:
    clocks = {
        clock: sheet.number(f"clock_hz.{clock}", device.get(field), MEGAHERTZ, 0, _MOST_MEGAHERTZ)
        for clock, field in (("graphics", "gpu_clock"), ("memory", "mem_clock"))
    }
    engines = {
        engine: sheet.number(f"engine_ratio.{engine}", device.get(field), PERCENT, 0, 100)
        for engine, field in (("encoder", "encode"), ("decoder", "decode"))
    }
    fan = device.get("fan_speed") or ""  # also "CPU Fan" of a shared fan, and "1179RPM" of an unknown maximum
    ratio = sheet.number("fan_ratio", fan, PERCENT, 0, _MOST_FAN_PERCENT) if fan.endswith("%") else None
    return SlowReading(
        temperature_c=_celsius(device.get("temp"), sheet),
        fan_ratio={} if ratio is None else {"0": ratio},
        clock_hz={clock: hertz for clock, hertz in clocks.items() if hertz is not None},
        engine_ratio={engine: busy for engine, busy in engines.items() if busy is not None},
    )


def _celsius(text: str | None, sheet: Sheet) -> float | None:
    """Exactly 0 is what drivers say for a sensor that failed. nvtop can be configured to print Fahrenheit."""
    if text is None or not text.endswith("F"):
        return sheet.number("temperature_c", text, CELSIUS, 1, _MOST_CELSIUS)
    fahrenheit = sheet.number("temperature_c", text, _FAHRENHEIT, 33, _MOST_CELSIUS * 1.8 + 32)
    return None if fahrenheit is None else (fahrenheit - 32) / 1.8


class NvtopSource:
    """Reads GPUs of any maker by running nvtop."""

    name = "nvtop"

    def __init__(self, *, deadline_seconds: float = DEADLINE_SECONDS, program: Program | None = None) -> None:
        self._deadline_seconds = deadline_seconds
        self._program = program or Program("nvtop")
        self._driver = Driver(self.name)
        self._inventory = Inventory(self._driver, ())
        self._descriptions: dict[str, Description] = {}
        self._reader: TogetherReader | None = None

    def open(self) -> Inventory:
        """Make sure that this nvtop prints snapshots and sees a GPU. Raises Unavailable."""
        self.close()
        self._driver = Driver(self.name, library_version=self._version())
        if not self._snapshot():
            raise Unavailable("nvtop sees no GPU", reason="no_gpus")
        return self._inventory

    def scan(self) -> Inventory:
        """What the latest read saw; runs nothing."""
        return self._inventory

    def readers(self) -> tuple[TogetherReader, ...]:
        """One reader for all GPUs."""
        return () if self._reader is None else (self._reader,)

    def close(self) -> None:
        """Forget everything."""
        self._descriptions, self._reader = {}, None
        self._inventory = Inventory(Driver(self.name), ())

    def descriptions(self) -> dict[str, Description]:
        """By made-up UUID."""
        return self._descriptions

    def read(self, *, slow: bool) -> dict[str, Reading]:
        """One tick. Raises SourceError; who is missing was not in the snapshot."""
        return {uuid: reading_of(device, slow=slow) for uuid, device in self._snapshot().items()}

    def _version(self) -> str:
        output = self._program.run("--version", seconds=self._deadline_seconds)
        match = _VERSION.search(output.stdout[:4096].decode(errors="replace"))
        if match is None:
            raise refusal("nvtop --version", output)
        if (int(match[1]), int(match[2])) < FIRST_WITH_SNAPSHOTS:
            version = match[0].removeprefix("nvtop version ")
            raise Unavailable(f"nvtop {version} prints no snapshots; 3.2 and later do", reason="version")
        return match[0].removeprefix("nvtop version ")

    def _snapshot(self) -> dict[str, Device]:
        """Devices by UUID; publishes who is there."""
        output = self._program.run("--snapshot", "--no-processes", seconds=self._deadline_seconds)
        if output.code != 0:
            raise refusal("nvtop --snapshot", output)
        devices = parse_snapshot(output.stdout.decode(errors="replace"))
        uuids = uuids_of(devices)
        by_uuid: dict[str, Device] = dict(zip(uuids, devices, strict=True))
        self._descriptions = {uuid: describe(device) for uuid, device in by_uuid.items()}
        self._reader = reader_for(self, uuids, self._reader)
        self._inventory = Inventory(
            self._driver, tuple(Gpu(uuid, str(index)) for index, uuid in enumerate(uuids))
        )
        return by_uuid
