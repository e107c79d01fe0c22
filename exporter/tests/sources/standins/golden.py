"""Compares what was read out of a capture with the file golden.json beside it.

GPUTALLY_UPDATE_GOLDEN=1 writes the files anew; look at the difference before keeping them.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from tests.sources.standins.physical import plain

if TYPE_CHECKING:
    from pathlib import Path


def assert_golden(folder: Path, found: dict[str, Any]) -> None:
    """Fails if they differ, or if there is no such file."""
    path = folder / "golden.json"
    text = json.dumps(plain(found), indent=1, sort_keys=True, ensure_ascii=True, allow_nan=False) + "\n"
    if os.environ.get("GPUTALLY_UPDATE_GOLDEN"):
        path.write_text(text)
    assert json.loads(text) == json.loads(path.read_text())
