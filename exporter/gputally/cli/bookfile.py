"""The file of reservations, followed while the agent runs: a bad one leaves the last good state in force."""

import logging

from gputally.cli.pricefiles import AGAIN_SECONDS
from gputally.config.reservations import ConflictError, ReservationSettings, read_reservations
from gputally.config.strict import ConfigError
from gputally.config.yamltree import fingerprint
from gputally.model import Clock, Instant
from gputally.model.reservation import Book

logger = logging.getLogger(__name__)


class BookFile:
    """One file of one configuration. `look` may block on it, so it is called aside; one call at a time.

    The other attributes are replaced and never changed: they may be read from any thread.
    """

    def __init__(self, settings: ReservationSettings, clock: Clock) -> None:
        self._path, self.book, self._clock = settings.file, settings.book, clock
        self._seen: tuple[int, ...] | None = None
        self._tried: Instant | None = None
        self._complaint = ""
        self.success, self.seconds, self.conflicts = True, clock().wall_seconds, 0

    def look(self) -> bool:
        """Read the file again if it has changed; whether there is anything new to show."""
        now = self._clock()
        if not self._is_due(now):
            return False
        before = self.book, self.conflicts, self.success
        self._seen, self._tried = fingerprint(self._path), now
        try:
            book: Book = read_reservations(self._path)
        except ConfigError as error:
            self._refuse(error)
        else:
            if self._complaint or book != self.book:
                logger.info("read again: %s", self._path)
            self.book, self._complaint = book, ""
            self.success, self.seconds, self.conflicts = True, now.wall_seconds, 0
        return (self.book, self.conflicts, self.success) != before

    def _refuse(self, error: ConfigError) -> None:
        if str(error) != self._complaint:
            logger.error("the reservations of before stay in force: %s", error)
        self._complaint, self.success = str(error), False
        self.conflicts = len(error.found) if isinstance(error, ConflictError) else 0

    def _is_due(self, now: Instant) -> bool:
        if self._tried is None or fingerprint(self._path) != self._seen:
            return True
        return bool(self._complaint) and now.seconds_since(self._tried) >= AGAIN_SECONDS
