"""Compares what was read out of a capture with the file golden.json beside it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.golden import assert_recorded
from tests.sources.standins.physical import plain

if TYPE_CHECKING:
    from pathlib import Path


def assert_golden(folder: Path, found: dict[str, Any]) -> None:
    """Fails if they differ, or if there is no such file."""
    text = json.dumps(plain(found), indent=1, sort_keys=True, ensure_ascii=True, allow_nan=False) + "\n"
    assert_recorded(folder / "golden.json", text)
