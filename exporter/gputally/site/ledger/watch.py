"""Looks after a ledger that others write: read when its file has changed and when a day begins.

Whatever is wrong with it is said once, and in a family; figures stay those of the last good look until it is
read again. Looking may take as long as a disk likes, so it is done beside the loop that answers scrapes.
"""

import logging
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path

from gputally.config.yamltree import fingerprint
from gputally.model import Clock
from gputally.model.ledger import LedgerFigures, Series
from gputally.site.ledger.figures import figures
from gputally.site.ledger.store import Ledger, LedgerError

logger = logging.getLogger(__name__)
_DAY_S = 86_400
_NOBODY: tuple[str, ...] = ()
Mark = tuple[object, ...]


class Watch:
    """One ledger. `look` is for one thread at a time; `failed` for the loop's while a look does not end."""

    def __init__(
        self, path: Path, clock: Clock, read: Callable[[Ledger, float], LedgerFigures] = figures
    ) -> None:
        self._path, self._clock, self._read = path, clock, read
        self._good: Mapping[str, Series] = {}
        self._mark: Mark | None = None  # of the last good look
        self._trouble = ""  # what was said last

    def look(self) -> LedgerFigures | None:
        """The figures, if they are others than at the last look, good or bad; else None."""
        begun = self._clock()
        # Taken before the file is read: what is written meanwhile has another one at the next look.
        mark = self._marked(begun.wall_seconds)
        if mark == self._mark and not self._trouble:
            return None
        try:
            with Ledger.open(self._path) as ledger:
                found = self._read(ledger, begun.wall_seconds)
        except (LedgerError, sqlite3.Error, OSError, ValueError, ArithmeticError) as error:
            return self.failed(str(error))
        ended = self._clock()
        size = self._path.stat().st_size
        self._good = {
            **found.families,
            "gputally_ledger_last_success_timestamp_seconds": {_NOBODY: begun.wall_seconds},
            "gputally_ledger_read_duration_seconds": {_NOBODY: ended.seconds_since(begun)},
            "gputally_ledger_size_bytes": {_NOBODY: float(size)},
        }
        self._mark = mark
        if self._trouble:
            logger.info("ledger: %s can be read again", self._path)
        self._trouble = ""
        return self._shown(readable=True)

    def failed(self, why: str) -> LedgerFigures | None:
        """The figures of before, and that they are; None where that was said already."""
        if why == self._trouble:
            return None
        before, self._trouble = self._trouble, why
        logger.warning("ledger: %s; the figures stay as they were", why)
        return None if before else self._shown(readable=False)

    def _marked(self, now_s: float) -> Mark:
        wal = fingerprint(self._path.with_name(self._path.name + "-wal"))
        # Who only reads makes an empty one.
        return fingerprint(self._path), wal if wal is None or wal[2] else None, int(now_s // _DAY_S)

    def _shown(self, *, readable: bool) -> LedgerFigures:
        return LedgerFigures({**self._good, "gputally_ledger_readable": {_NOBODY: float(readable)}})
