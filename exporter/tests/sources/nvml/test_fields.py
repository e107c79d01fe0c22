"""The batch of fields against drivers that answer in odd ways."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

import pynvml
import pytest

if TYPE_CHECKING:
    from .conftest import Bench


class LibraryThatSkips:
    """What pynvml has loaded, but while `skipping` the batch succeeds and no entry is written."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        self.skipping = False

    def __getattr__(self, name: str) -> Any:
        """The function, wrapped if it is the batch."""
        function = getattr(self._library, name)
        if name != "nvmlDeviceGetFieldValues":
            return function
        return lambda *arguments: 0 if self.skipping else function(*arguments)


def test_an_entry_that_the_driver_leaves_alone_is_not_the_value_of_the_tick_before(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Buffers are used again, values are not."""
    bench.fake.add_gpu()
    bench.opened().close()
    library = LibraryThatSkips(pynvml.nvmlLib)
    monkeypatch.setattr(pynvml, "nvmlLib", library)
    monkeypatch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})
    reader = bench.reader()
    assert bench.tick(reader).fast.power_instant_w == 100.0
    library.skipping = True
    reading = bench.tick(reader)
    assert (reading.fast.power_instant_w, reading.fast.energy_mj) == (None, None)
    assert reading.failed["energy_mj"] == "not_ready"


@pytest.mark.parametrize(
    ("kind", "value", "watts"),
    [
        ("double", 123_500.0, 123.5),
        ("uint", (7 << 32) + 5_000, 5.0),
        ("ulong", 6_000, 6.0),
        ("ull", 7_000, 7.0),
        ("sll", 8_000, 8.0),
        ("int", 9_000, 9.0),
        ("ushort", (7 << 16) + 10_000, 10.0),
        ("int", -1_000, None),
        ("sll", -1_000, None),
        ("double", float("nan"), None),
    ],
)
def test_a_value_is_read_by_the_type_that_the_driver_names(
    bench: Bench, kind: str, value: float, watts: float | None
) -> None:
    """What lies beyond a short type's length is not part of it; a negative power is none."""
    bench.fake.add_gpu().set_field(186, value, kind=kind)
    reading = bench.tick(bench.reader())
    assert reading.fast.power_instant_w == watts
    assert reading.rejected == (() if watts is not None else ("power_instant_w",))


def test_a_type_of_drivers_to_come_fails_that_field_only(bench: Bench) -> None:
    """Its value cannot be read without knowing it."""
    gpu = bench.fake.add_gpu()
    gpu.set_field(186, 5)
    gpu.raw.fields[186].type = 99
    reading = bench.tick(bench.reader())
    assert reading.failed == {"power_instant_w": "unknown_type"}
    assert reading.fast.power_w == 100.0


@pytest.mark.parametrize("field", [83, 94, 197, 230, 91, 3])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_is_rejected_in_any_field(bench: Bench, field: int, value: float) -> None:
    """Counters, flags and counts too, where it could not even be made an integer."""
    bench.fake.add_gpu().set_field(field, value, kind="double")
    reading = bench.tick(bench.reader(), slow=True)
    assert len(reading.rejected) == 1
    assert reading.failed == {}


def test_without_the_batch_its_readings_are_absent_for_that_reason(bench: Bench) -> None:
    """Except those that come another way."""
    bench.fake.add_gpu()
    bench.fake.fault("nvmlDeviceGetFieldValues", gpu=0, code=4)
    reader = bench.opened().readers()[0]
    absent = reader.describe()[reader.uuids[0]].absent
    assert absent["pcie_receive_bytes"] == absent["ecc_volatile.corrected"] == "no_permission"
    assert not {"energy_mj", "power_w", "pcie_replays"} & absent.keys()
