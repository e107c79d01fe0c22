"""State files as they lie on the disk, and counters as a scraper remembers them."""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.agent.running import Scrape, Series

NAMES = ("counters.json", "counters.json.1", "counters.json.synced")


class Memory:
    """The highest value that every counter of a machine and its GPUs was ever scraped with."""

    def __init__(self) -> None:
        self._seen: dict[Series, float] = {}

    def check(self, scrape: Scrape, *, begins_anew: tuple[str, ...] = ()) -> None:
        """No counter is below what was scraped before, in this process or an earlier one.

        But for families that begin again at zero, as those of the ledger after an older state was read.
        """
        for series, value in scrape.samples.items():
            name, labels = series
            if begins_anew and name.startswith(begins_anew):
                continue
            if name.startswith(("gpu_", "host_")) and name.endswith("_total"):
                before = self._seen.get(series, 0.0)
                assert value >= before, f"{name} {dict(labels)} fell from {before!r} to {value!r}"
                self._seen[series] = value

    def __len__(self) -> int:
        return len(self._seen)


def assert_whole(file: Path) -> dict[str, object]:
    """The checksum in the first line is that of the rest."""
    checksum, _, body = file.read_bytes().partition(b"\n")
    assert int(checksum, 16) == zlib.crc32(body), file
    found = json.loads(body)
    assert found["schema"] >= 1
    return found
