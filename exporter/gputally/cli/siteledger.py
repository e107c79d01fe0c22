"""The ledger of a site agent: looked at beside the loop that answers scrapes; where there is none, never.

One look at a time: where a disk does not answer no second one is begun, and a family says so.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from gputally.cli.aside import aside
from gputally.config.settings import SiteSettings
from gputally.model import Clock
from gputally.model.ledger import LedgerFigures

if TYPE_CHECKING:
    from gputally.site.ledger.watch import Watch

logger = logging.getLogger(__name__)
LOOK_SECONDS = 2.0
PATIENCE_SECONDS = 10.0


class SiteLedger:
    """Hands the figures of the ledger to `show`, and None where there is none. Used by the loop's thread."""

    def __init__(self, clock: Clock, show: Callable[[LedgerFigures | None], None]) -> None:
        self._clock, self._show = clock, show
        self._wanted: Path | None = None
        self._watch: Watch | None = None
        self._has_news = asyncio.Event()

    def adopt(self, settings: SiteSettings) -> None:
        """From now on this is configured."""
        if settings.ledger_file != self._wanted:
            self._wanted = settings.ledger_file
            self._has_news.set()

    async def follow(self) -> None:
        """Keep the figures up to date."""
        adopted: Path | None = None
        while True:
            if self._wanted != adopted:
                adopted = self._wanted
                self._watch = None
                self._show(None)
            if adopted is not None:
                try:
                    await self._look(adopted)
                except Exception:
                    logger.exception("ledger: the figures stay as they were")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._has_news.wait(), LOOK_SECONDS if adopted is not None else None)
            self._has_news.clear()

    async def _look(self, path: Path) -> None:
        if self._watch is None:
            from gputally.site.ledger.watch import Watch  # noqa: PLC0415 - brings SQLite

            self._watch = Watch(path, self._clock)
        watch = self._watch
        look = asyncio.ensure_future(aside(watch.look))
        try:
            done, _ = await asyncio.wait({look}, timeout=PATIENCE_SECONDS)
            if not done:
                self._hand_on(watch.failed(f"{path}: no answer for {PATIENCE_SECONDS:.0f} s"))
            self._hand_on(await look)
        finally:
            look.cancel()

    def _hand_on(self, figures: LedgerFigures | None) -> None:
        if figures is not None and self._wanted is not None:
            self._show(figures)
