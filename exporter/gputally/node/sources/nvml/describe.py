"""What does not change between two loads of the driver: names, limits, versions; and what is absent."""

import ctypes
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from gputally.model import Description, Driver, Reading
from gputally.node.sources.nvml import abi
from gputally.node.sources.nvml.device import Device

_MOST_WATTS = 20_000
_MOST_CELSIUS = 150
_MOST_MINOR = 1 << 20  # the kernel's minor numbers have 20 bits
_MOST_SLICES = 64
_MOST_MEGAHERTZ = 40_000  # the memory of an RTX 4090 runs at 10 501, that of newer cards faster


def versions(driver: Device) -> Driver:
    """Versions of driver, CUDA and NVML; None for what the driver does not say."""
    names = ("nvmlSystemGetCudaDriverVersion_v2", "nvmlSystemGetCudaDriverVersion")
    cuda = _number(driver, names, "cuda_version")
    return Driver(
        source="nvml",
        driver_version=driver.text("nvmlSystemGetDriverVersion", "driver_version") or None,
        cuda_version=None if cuda is None else f"{cuda // 1000}.{cuda % 1000 // 10}",
        library_version=driver.text("nvmlSystemGetNVMLVersion", "library_version") or None,
    )


def pci_bus_id(device: Device) -> str | None:
    """Where the GPU sits, in the driver's spelling: 00000000:3B:00.0."""
    info = abi.PciInfo()
    known = device.ask("nvmlDeviceGetPciInfo_v3", "pci_bus_id", ctypes.byref(info))
    return info.bus_id.decode(errors="replace") or None if known else None


def describe(device: Device, bus_id: str | None, reading: Reading) -> Description:
    """Ask for everything once. `reading` tells what can be measured. Raises SourceError."""
    least_w, most_w = _limit_range(device)
    described: dict[str, Any] = {
        "name": device.text("nvmlDeviceGetName", "name") or "unknown",
        "architecture": _architecture(device),
        "pci_bus_id": bus_id,
        "serial": device.text("nvmlDeviceGetSerial", "serial") or None,
        "vbios_version": device.text("nvmlDeviceGetVbiosVersion", "vbios_version") or None,
        "compute_capability": _compute_capability(device),
        "power_limit_default_w": _default_limit(device),
        "power_limit_min_w": least_w,
        "power_limit_max_w": most_w,
        "temperature_limits_c": _temperature_limits(device),
        "clock_max_hz": _clocks(device),
        "pcie_link_generation_max": _link(
            device, "nvmlDeviceGetMaxPcieLinkGeneration", "pcie_link_generation_max", 16
        ),
        "pcie_link_width_max": _link(device, "nvmlDeviceGetMaxPcieLinkWidth", "pcie_link_width_max", 64),
        "minor_number": device.keep(
            "minor_number", _number(device, "nvmlDeviceGetMinorNumber", "minor_number"), 0, _MOST_MINOR
        ),
        "mig_slices": _mig_slices(device, reading),
    }
    return Description(**described, absent=missing(device.absent, reading, described))


def missing(absent: Mapping[str, str], reading: Reading, described: Mapping[str, Any]) -> dict[str, str]:
    """Why readings are absent: what calls were refused for good, less what came another way."""
    present = {
        **described,
        **{field.name: getattr(reading.fast, field.name) for field in fields(reading.fast)},
        **({f.name: getattr(reading.slow, f.name) for f in fields(reading.slow)} if reading.slow else {}),
    }
    return {
        name: why
        for name, why in sorted(absent.items())
        if (family := name.partition(".")[0]) in present and not _has(present[family], name.partition(".")[2])
    }


def _has(value: object, key: str) -> bool:
    """Whether a reading, or one entry of it, is there."""
    if key:
        return isinstance(value, Mapping) and key in value
    return value is not None and value not in ({}, ())


def _number(device: Device, names: str | tuple[str, ...], reading: str, *arguments: object) -> int | None:
    number = ctypes.c_uint()
    return number.value if device.ask(names, reading, *arguments, ctypes.byref(number)) else None


def _architecture(device: Device) -> str | None:
    number = _number(device, "nvmlDeviceGetArchitecture", "architecture")
    return None if number is None else abi.ARCHITECTURES.get(number)


def _compute_capability(device: Device) -> str | None:
    major, minor = ctypes.c_int(), ctypes.c_int()
    by_reference = (ctypes.byref(major), ctypes.byref(minor))
    known = device.ask("nvmlDeviceGetCudaComputeCapability", "compute_capability", *by_reference)
    return f"{major.value}.{minor.value}" if known else None


def _watts(device: Device, reading: str, milliwatts: int | None) -> float | None:
    return None if milliwatts is None else device.keep(reading, milliwatts / 1000, 0, _MOST_WATTS)


def _default_limit(device: Device) -> float | None:
    reading = "power_limit_default_w"
    return _watts(device, reading, _number(device, "nvmlDeviceGetPowerManagementDefaultLimit", reading))


def _limit_range(device: Device) -> tuple[float | None, float | None]:
    least, most = ctypes.c_uint(), ctypes.c_uint()
    by_reference = (ctypes.byref(least), ctypes.byref(most))
    if not device.ask("nvmlDeviceGetPowerManagementLimitConstraints", "power_limit_max_w", *by_reference):
        return None, None
    return (
        _watts(device, "power_limit_min_w", least.value),
        _watts(device, "power_limit_max_w", most.value),
    )


def _temperature_limits(device: Device) -> dict[str, float]:
    """Limits in degrees. Cards since Hopper give most of them as a margin only; then there is none here."""
    limits: dict[str, float] = {}
    for limit, which in abi.TEMPERATURE_LIMITS.items():
        reading = f"temperature_limits_c.{limit}"
        celsius = _number(device, "nvmlDeviceGetTemperatureThreshold", reading, ctypes.c_int(which))
        if device.keep(reading, celsius, 1, _MOST_CELSIUS) is not None and celsius is not None:
            limits[limit] = float(celsius)
    return limits


def _clocks(device: Device) -> dict[str, float]:
    clocks: dict[str, float] = {}
    for clock, which in abi.CLOCKS.items():
        reading = f"clock_max_hz.{clock}"
        megahertz = _number(device, "nvmlDeviceGetMaxClockInfo", reading, ctypes.c_int(which))
        if device.keep(reading, megahertz, 1, _MOST_MEGAHERTZ) is not None and megahertz is not None:
            clocks[clock] = megahertz * 1e6
    return clocks


def _mig_slices(device: Device, reading: Reading) -> int | None:
    """The most partitions there can be, each of which has one compute slice at least. 0 while MIG is off."""
    if reading.slow is None or not reading.slow.mig_enabled:
        return None
    number = _number(device, "nvmlDeviceGetMaxMigDeviceCount", "mig_slices")
    return device.keep("mig_slices", number or None, 1, _MOST_SLICES)


def _link(device: Device, function: str, reading: str, most: int) -> int | None:
    return device.keep(reading, _number(device, function, reading), 1, most)
