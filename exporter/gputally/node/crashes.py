"""Remembers starts that were not preceded by a clean stop, so that a library that crashes us is fed less.

A segmentation fault inside the driver's library cannot be caught. The service manager starts us again; when
that has happened three times within a minute, the per-process calls, the usual culprits, stay off.
"""

import json
import logging
import os
from pathlib import Path

logger = logging.getLogger(__name__)
WINDOW_SECONDS = 60.0
LIMIT = 3
_NAME = "starts.json"


class CrashRecord:
    """A small file in the state folder: wall times of starts since the last clean stop."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / _NAME

    def started(self, wall_seconds: float) -> int:
        """Note a start; return how many of the earlier ones within the last minute ended in a crash."""
        earlier = [t for t in self._read() if 0 <= wall_seconds - t < WINDOW_SECONDS]
        self._write([*earlier, wall_seconds])
        return len(earlier)

    def stopped(self) -> None:
        """Note a clean stop."""
        self._write([])

    def _read(self) -> list[float]:
        try:
            return [float(t) for t in json.loads(self._path.read_text())]
        except (OSError, ValueError, TypeError, RecursionError):
            return []  # unreadable is as good as never written: nothing is switched off on a guess

    def _write(self, times: list[float]) -> None:
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
            with os.fdopen(os.open(self._path, flags, 0o600), "w") as file:
                file.write(json.dumps(times))
        except OSError as error:
            logger.debug("start not noted: %s", error)
