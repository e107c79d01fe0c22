"""Values as programs print them: numbers with units, words for no value, bounds."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gputally.node.sources.printed import (
    MEBIBYTES,
    MEGAHERTZ,
    MICROSECONDS,
    PERCENT,
    WATTS,
    Sheet,
    Unit,
    word,
)


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("60.25 W", WATTS, 60.25),
        ("60W", WATTS, 60.0),
        ("60", WATTS, 60.0),
        ("35 %", PERCENT, 0.35),
        ("81559 MiB", MEBIBYTES, 81559 * 2**20),
        ("2619 MHz", MEGAHERTZ, 2.619e9),
        ("91403239 us", MICROSECONDS, 91403239000),
        ("16x", Unit("x"), 16),
        ("-0", WATTS, 0.0),
    ],
)
def test_a_number_becomes_si(text: str, unit: Unit, value: float) -> None:
    sheet = Sheet()
    found = sheet.number("reading", text, unit, 0, 1e9)
    assert (found, sheet.failed, sheet.rejected, sheet.gone) == (value, {}, [], "")
    assert math.copysign(1, value) == 1


@pytest.mark.parametrize(
    "text",
    [
        "60 kW",
        "60 mW",
        "60 %",
        "W",
        "1e3 W",
        "1_000",
        "0x10",
        "nan",
        "inf",
        "٣",
        "1.2.3 W",
        "1 W W",
        "9" * 40,
        "60 W\x00",
    ],
)
def test_another_unit_and_what_is_no_plain_number_is_garbage(text: str) -> None:
    """A unit that changed without notice must not go through as if it had not."""
    sheet = Sheet()
    assert sheet.number("reading", text, WATTS, 0, 1e9) is None
    assert sheet.failed == {"reading": "garbage"}


@pytest.mark.parametrize(
    "text",
    [
        *(None, "", " ", "N/A", "[N/A]", "[Not Supported]", "None", "null", "Function Not Found"),
        *("Insufficient Permissions", "[Insufficient Permissions]"),
        "Requested functionality has been deprecated",
    ],
)
def test_words_for_no_value_are_no_fault(text: str | None) -> None:
    sheet = Sheet()
    assert sheet.number("reading", text, WATTS, 0, 100) is None
    assert sheet.flag("reading", text) is None
    assert (sheet.failed, sheet.rejected, sheet.gone) == ({}, [], "")
    assert word(text) is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Unknown Error", "unknown"),
        ("ERR!", "unknown"),
        ("[Unknown Error]", "unknown"),
        ("Timeout", "driver_timeout"),
    ],
)
def test_errors_in_place_of_a_value_are_told(text: str, reason: str) -> None:
    sheet = Sheet()
    assert sheet.number("reading", text, WATTS, 0, 100) is None
    assert sheet.failed == {"reading": reason}


@pytest.mark.parametrize(
    ("text", "reason"),
    [("GPU is lost", "lost"), ("[GPU is lost]", "lost"), ("GPU requires reset", "reset_required")],
)
def test_a_gpu_that_is_lost_is_known_by_any_of_its_values(text: str, reason: str) -> None:
    sheet = Sheet()
    assert sheet.number("reading", text, WATTS, 0, 100) is None
    assert (sheet.gone, sheet.failed) == (reason, {})


def test_what_is_out_of_bounds_is_dropped_and_noted_never_clamped() -> None:
    sheet = Sheet()
    assert sheet.number("low", "-1 W", WATTS, 0, 100) is None
    assert sheet.number("high", "100.01 W", WATTS, 0, 100) is None
    assert sheet.number("just", "100 W", WATTS, 0, 100) == 100
    assert sheet.rejected == ["low", "high"]


def test_memory_in_use_is_bounded_by_what_there_is() -> None:
    sheet = Sheet()
    names = ("memory_total_bytes", "memory_used_bytes", "memory_free_bytes")
    found = sheet.memory(dict(zip(names, ("1000 MiB", "1001 MiB", "1200 MiB"), strict=True)))
    assert found == dict(zip(names, (1000 << 20, 1001 << 20, None), strict=True))
    assert sheet.rejected == ["memory_free_bytes"]


@given(st.text())
def test_any_text_is_a_number_within_bounds_or_none(text: str) -> None:
    sheet = Sheet()
    value = sheet.number("reading", text, WATTS, 0, 2000)
    assert value is None or 0 <= value <= 2000
    sheet.flag("reading", text)
    assert word(text) is None or word(text)
