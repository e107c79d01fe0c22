"""The reservations of a site agent: the file is followed, and what it says is laid on the calendar."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress

from gputally.cli.aside import aside
from gputally.cli.bookfile import BookFile
from gputally.config.settings import SiteSettings
from gputally.model import Clock
from gputally.model.reservation import Book
from gputally.site.reservations.calendar import Calendar

logger = logging.getLogger(__name__)
LOOK_SECONDS = 5.0
FILE = "reservations"  # what the metrics about reloads call it


class SiteReservations:
    """Hands a calendar to `show`, and None where no file is configured. Used by the loop's thread."""

    def __init__(self, clock: Clock, show: Callable[[Calendar | None], None]) -> None:
        self._clock, self._show = clock, show
        self._settings = SiteSettings()
        self._file: BookFile | None = None
        self._has_news = asyncio.Event()

    @property
    def book(self) -> Book | None:
        """What is booked: the last good state of the file."""
        return self._file.book if self._file is not None else None

    def reload_success(self) -> Mapping[str, bool]:
        """Whether the file could be used at the latest look. From any thread."""
        file = self._file
        return {} if file is None else {FILE: file.success}

    def reload_seconds(self) -> Mapping[str, float]:
        """When it last could. From any thread."""
        file = self._file
        return {} if file is None else {FILE: file.seconds}

    def adopt(self, settings: SiteSettings) -> None:
        """From now on this is configured; its bookings, which are good, hold at once."""
        self._settings, told = settings, settings.reservations
        self._file = BookFile(told, self._clock) if told is not None else None
        self._renew()
        self._has_news.set()

    async def follow(self) -> None:
        """Look at the file for as long as the agent runs."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._has_news.wait(), LOOK_SECONDS)
            self._has_news.clear()
            file = self._file
            try:
                if file is not None and await aside(file.look) and file is self._file:
                    self._renew()
            except Exception:
                logger.exception("reservations: the figures stay as they were")

    def _renew(self) -> None:
        file = self._file
        if file is None:
            self._show(None)
        else:
            self._show(
                Calendar(file.book, self._settings.teams, conflicts=file.conflicts, is_valid=file.success)
            )
