"""Compares what was read out of a capture with the file golden.json beside it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.golden import assert_recorded
from tests.sources.standins.physical import assert_physical, plain

if TYPE_CHECKING:
    from pathlib import Path

    from gputally.node.sources.protocol import Source


def assert_golden(folder: Path, found: dict[str, Any]) -> None:
    """Fails if they differ, or if there is no such file."""
    text = json.dumps(plain(found), indent=1, sort_keys=True, ensure_ascii=True, allow_nan=False) + "\n"
    assert_recorded(folder / "golden.json", text)


def read_out(source: Source, *, ticks: bool = False) -> dict[str, Any]:
    """All that a source says when it is opened and read once; with `ticks` also what the next tick says."""
    inventory = source.open()
    (reader,) = source.readers()
    readings = reader.read(slow=True)
    for reading in readings.values():
        assert_physical(reading)
    found = {"inventory": inventory, "descriptions": reader.describe(), "readings": readings}
    return found | {"ticks": reader.read(slow=False)} if ticks else found
