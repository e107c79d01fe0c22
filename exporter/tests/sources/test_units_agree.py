"""The same driver read in three ways gives the same figures, in the same units.

What nvidia-smi and nvtop said of a driver stands in the captures that have a driver.json; the fake driver is
told the same here, and read through NVML.
"""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import pytest

from gputally.model import Description, Instant, Reading
from gputally.node.sources.nvidia_smi import NvidiaSmiSource, fast
from gputally.node.sources.nvml import NvmlSource
from gputally.node.sources.nvtop import NvtopSource
from gputally.node.sources.printed import Sheet
from tests.fakenvml import Constant, FakeNvml, Process
from tests.sources.standins.standin import CAPTURES, StandIn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MIB = 1 << 20


@pytest.fixture
def fake(fake_nvml_library: Path, tmp_path: Path) -> Iterator[FakeNvml]:
    driver = FakeNvml(tmp_path / "control", library=fake_nvml_library, virtual=True)
    driver.load_in_process()
    yield driver
    driver.close()


def told(fake: FakeNvml, capture: Path) -> None:
    """Tells the fake driver what the real programs were told when they printed the capture."""
    truth = json.loads((capture / "driver.json").read_text())
    gpu = fake.add_gpu("full", power=Constant(truth["watts"]), **truth["gpu"])
    gpu.set_processes(Process(**process) for process in truth["processes"])
    single, double = truth["retired"]
    gpu.set_retired_pages(range(single), range(double))


def by_nvml(fake: FakeNvml, folder: Path) -> tuple[Description, Reading]:
    source = NvmlSource(
        clock=lambda: Instant(fake.now_ns(), fake.wall_us() * 1000), proc_root=folder, sys_root=folder
    )
    source.open()
    (reader,) = source.readers()
    description = reader.describe()[reader.uuids[0]]
    fake.advance(1)
    reading = reader.read(slow=True)[reader.uuids[0]]
    source.close()
    return description, reading


def by_program(source: NvidiaSmiSource | NvtopSource) -> tuple[Description, Reading]:
    source.open()
    (reader,) = source.readers()
    (reading,) = reader.read(slow=True).values()
    (description,) = reader.describe().values()
    return description, reading


def figures(record: Any) -> dict[str, Any]:
    """What a record says, one entry a figure; what it does not say is left out."""
    found: dict[str, Any] = {}
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        if field.name == "processes" and value is not None:
            found |= {f"processes.{p.pid}": (p.kind, p.memory_bytes) for p in value}
        elif hasattr(value, "items"):
            found |= {f"{field.name}.{key}": part for key, part in value.items()}
        elif value is not None and value != ():
            found[field.name] = value
    return found


def everything(description: Description, reading: Reading) -> dict[str, Any]:
    assert reading.slow is not None
    found = figures(description) | figures(reading.fast) | figures(reading.slow)
    return {name: value for name, value in found.items() if not name.startswith("absent.")}


@pytest.mark.parametrize("capture", ["470-all-figures", "550-all-figures"])
def test_nvidia_smi_agrees_with_nvml(
    fake: FakeNvml, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capture: str
) -> None:
    StandIn("nvidia-smi", tmp_path, monkeypatch).play(capture)
    told(fake, CAPTURES / "nvidia-smi" / capture)
    nvml = everything(*by_nvml(fake, tmp_path))
    smi = everything(*by_program(NvidiaSmiSource()))
    # Before driver 510, what is reserved was counted as used.
    shared = (nvml.keys() & smi.keys()) - ({"memory_used_bytes"} if capture.startswith("470") else set())
    for name in sorted(shared):
        assert smi[name] == pytest.approx(nvml[name], abs=0.01 if name.endswith("_w") else 0), name
    assert len(shared) > 60, "too few figures have been compared"
    # NVML has counters, for which older programs print only what is so at this moment.
    assert {name.partition(".")[0] for name in smi.keys() - nvml.keys()} == {"throttling"}
    if capture.startswith("470"):  # later programs fetch processes by ways that the fake driver has not
        assert shared >= {"processes.4100", "processes.4200", "processes.4300"}


def test_memory_of_old_drivers_counts_what_is_reserved_as_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As NVML itself did then; total less free is the same by both."""
    StandIn("nvidia-smi", tmp_path, monkeypatch).play("470-all-figures")
    _, reading = by_program(NvidiaSmiSource())
    assert reading.fast.memory_used_bytes == (70211 + 576) * MIB
    assert reading.fast.memory_free_bytes == (81559 - 70211 - 576) * MIB


def test_time_of_throttling_agrees_with_nvml(fake: FakeNvml, tmp_path: Path) -> None:
    """NVML counts nanoseconds, nvidia-smi since 570 prints microseconds."""
    fake.add_gpu("full")
    nanoseconds = {
        "sw_power_cap": 74,
        "sync_boost": 76,
        "sw_thermal": 269,
        "hw_thermal": 270,
        "hw_power_brake": 271,
    }
    for number, field in enumerate(nanoseconds.values(), start=1):
        fake.gpu(0).set_field(field, number * 1_000_001_000)
    _, reading = by_nvml(fake, tmp_path)
    printed = {
        f"clocks_event_reasons_counters.{name}": f"{(reading.fast.throttle_ns or {})[reason] // 1000}"
        for reason, name in (
            ("sw_power_cap", "sw_power_cap"),
            ("sync_boost", "sync_boost"),
            ("sw_thermal", "sw_thermal_slowdown"),
            ("hw_thermal", "hw_thermal_slowdown"),
            ("hw_power_brake", "hw_power_brake_slowdown"),
        )
    }
    assert fast.fast_reading(printed, Sheet(), None).throttle_ns == reading.fast.throttle_ns
    assert (reading.fast.throttle_ns or {})["hw_power_brake"] == 5_000_005_000


def test_nvtop_agrees_with_nvml(fake: FakeNvml, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    StandIn("nvtop", tmp_path, monkeypatch).play("3.2-all-figures")
    told(fake, CAPTURES / "nvtop" / "3.2-all-figures")
    nvml = everything(*by_nvml(fake, tmp_path))
    top = everything(*by_program(NvtopSource()))
    for name, value in top.items():
        # nvtop prints whole watts, and no more.
        assert value == pytest.approx(nvml[name], abs=1 if name.endswith("_w") else 0), name
    assert top.keys() >= {"power_w", "utilization_ratio", "temperature_c", "clock_hz.memory", "fan_ratio.0"}
