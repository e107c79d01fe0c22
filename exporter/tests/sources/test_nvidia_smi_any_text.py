"""nvidia-smi as a source: whatever is printed, readings are physical, and the only fault is garbage."""

from __future__ import annotations

import html
import itertools
import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gputally.node.sources.nvidia_smi import fast, listing, slow, xmllog
from gputally.node.sources.printed import Sheet
from gputally.node.sources.protocol import SourceError
from tests.sources.standins.physical import assert_physical
from tests.sources.standins.standin import CAPTURES

FOLDER = CAPTURES / "nvidia-smi"
NUMBERS = st.one_of(
    st.floats().map(str),
    st.integers().map(str),
    st.decimals(allow_nan=True).map(str),
    st.sampled_from(["-1", "4294967295", "18446744073709551615", "1e999", "nan", "0x10", "٣", "1_000", "-0"]),
)
UNITS = st.sampled_from(["", " W", " %", " MiB", " MHz", " C", " us", "x", " kW", " GiB", "W", " bank(s)"])
CELLS = st.one_of(
    st.tuples(NUMBERS, UNITS).map("".join),
    st.sampled_from(
        ["N/A", "[N/A]", "ERR!", "[GPU is lost]", "Unknown Error", "Active", "Yes", "None", "P0", "Enabled"]
    ),
    st.text(max_size=40),
)
LOGS = {path.parent.name: path.read_bytes() for path in FOLDER.glob("*/log.xml")}
TEXT = re.compile(rb">([^<>\n]+)</")


def read_log(output: bytes) -> None:
    """Everything that is made of a log."""
    for card in xmllog.parse(output).cards:
        sheet = Sheet()
        assert_physical(slow.fast_of(card, sheet, processes=True))
        assert_physical(slow.slow_of(card, sheet, {}))
        assert_physical(slow.describe(card))
        slow.layout_of(card)
        assert set(sheet.failed.values()) <= {"garbage", "unknown", "driver_timeout"}


@pytest.mark.fault("smi-garbage")
@given(st.binary(max_size=400))
def test_any_bytes_are_garbage_and_nothing_worse(junk: bytes) -> None:
    for output in (junk, b"<nvidia_smi_log>" + junk + b"</nvidia_smi_log>"):
        try:
            read_log(output)
        except SourceError as error:
            assert error.reason == "garbage"  # noqa: PT017 - most junk is no log, some is an empty one
    listing.parse(junk.decode(errors="replace"))


@pytest.mark.fault("smi-garbage")
@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["418-v100", "575-a100-mig", "535-rtx4090-desktop"]),
    st.lists(CELLS, min_size=1, max_size=7),
    st.integers(1, 9),
)
def test_any_text_in_a_log_gives_physical_readings(capture: str, cells: list[str], every: int) -> None:
    """Values are replaced one after the other, by figures beyond all bounds above all."""
    counter = itertools.count()

    def other(found: re.Match[bytes]) -> bytes:
        number = next(counter)
        if number % every:
            return found[0]
        return b">" + html.escape(cells[number % len(cells)]).encode(errors="replace") + b"</"

    read_log(TEXT.sub(other, LOGS[capture]))


@pytest.mark.fault("smi-garbage")
@settings(max_examples=30, deadline=None)
@given(st.sampled_from(["418-v100", "575-a100-mig"]), st.data())
def test_a_damaged_log_is_read_or_is_garbage(capture: str, data: st.DataObject) -> None:
    log = bytearray(LOGS[capture])
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(log) - 1))
        log[at : at + data.draw(st.integers(0, 40))] = data.draw(st.binary(max_size=10))
    try:
        read_log(bytes(log))
    except SourceError as error:
        assert error.reason == "garbage"  # noqa: PT017 - a damaged value is none, a damaged tag is


@pytest.mark.fault("smi-garbage")
@settings(max_examples=200, deadline=None)
@given(st.lists(CELLS, min_size=30, max_size=30))
def test_any_cells_in_a_table_give_physical_readings(cells: list[str]) -> None:
    fields = fast.fields_to_ask(frozenset())
    row = fast.row_of(fields, cells[: len(fields)])
    sheet = Sheet()
    process = fast.process(sheet, cells[-1], cells[-2], 1 << 40)
    reading = fast.fast_reading(row, sheet, () if process is None else (process,))
    assert_physical(reading)
    assert all(math.isfinite(ns) for ns in (reading.throttle_ns or {}).values())
