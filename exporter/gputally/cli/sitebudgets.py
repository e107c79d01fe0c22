"""The budgets of a site agent: laid on the calendar once a minute, with what bookings and bills cost by then.

The ledger is read beside the loop that answers scrapes, one look at a time, and only when its file has
changed. Of one that cannot be read, or does not answer, the figures of before stay, and a metric says so.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

from gputally.cli.aside import aside
from gputally.config.market import MarketSettings
from gputally.config.settings import SiteSettings
from gputally.config.yamltree import fingerprint
from gputally.model import Clock
from gputally.model.account import Charge
from gputally.model.budget import BudgetFigures
from gputally.site.budgets.figures import Sources, Terms, figures, first_day, today

logger = logging.getLogger(__name__)
LOOK_SECONDS = 5.0
RENEW_SECONDS = 60.0
PATIENCE_SECONDS = 10.0
_LEDGER = "ledger"


class SiteBudgets:
    """Hands the figures of budgets to `show`, and None where there are none. Used by the loop's thread."""

    def __init__(
        self, clock: Clock, settings: Callable[[], SiteSettings], show: Callable[[BudgetFigures | None], None]
    ) -> None:
        self._clock, self._settings, self._show = clock, settings, show
        self._has_news = asyncio.Event()
        self._ledger: LedgerReader | None = None
        self._look: asyncio.Future[Sequence[Charge]] | None = None  # that has not ended

    def adopt(self) -> None:
        """Something else is configured."""
        self._has_news.set()

    async def follow(self) -> None:
        """Keep the figures up to date, for as long as the agent runs."""
        try:
            await self._follow()
        finally:
            if self._look is not None:
                self._look.cancel()

    async def _follow(self) -> None:
        due_seconds, day = 0.0, date.min
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._has_news.wait(), LOOK_SECONDS)
                due_seconds = 0.0
            self._has_news.clear()
            try:
                settings, now = self._settings(), self._clock()
                terms = terms_of(settings)
                if not terms.budgets:
                    self._show(None)
                elif now.boot_ns / 1e9 >= due_seconds or today(terms, now.wall_ns) != day:
                    due_seconds, day = now.boot_ns / 1e9 + RENEW_SECONDS, today(terms, now.wall_ns)
                    self._show(await self._renewed(settings, terms, now.wall_ns))
            except Exception:
                logger.exception("budgets: the figures stay as they were")

    async def _renewed(self, settings: SiteSettings, terms: Terms, now_ns: int) -> BudgetFigures:
        told = settings.reservations
        booked = told.book.reservations if told is not None else ()
        charges: Sequence[Charge] = ()
        up: Mapping[str, bool] = {}
        if settings.ledger_file is not None:
            if self._ledger is None or self._ledger.file != settings.ledger_file:
                self._ledger, self._look = LedgerReader(settings.ledger_file), None
            charges = await self._charges(self._ledger, terms, now_ns)
            up = {_LEDGER: self._ledger.is_up}
        return await aside(partial(figures, terms, Sources(charges, booked, up), now_ns))

    async def _charges(self, ledger: "LedgerReader", terms: Terms, now_ns: int) -> Sequence[Charge]:
        if self._look is None:
            look = partial(ledger.look, first_day(terms, now_ns), [one.team for one in terms.budgets])
            self._look = asyncio.ensure_future(aside(look))
        done, _ = await asyncio.wait({self._look}, timeout=PATIENCE_SECONDS)
        if not done:
            return ledger.failed(f"{ledger.file}: no answer for {PATIENCE_SECONDS:.0f} s")
        ended, self._look = self._look, None
        return ended.result()


def terms_of(settings: SiteSettings) -> Terms:
    """What settings say of budgets."""
    tariff, market = settings.site.tariff, settings.market or MarketSettings()
    zone = ZoneInfo(tariff.timezone)
    return Terms(settings.budgets, zone, tariff.currency, market.rates, settings.rentals, settings.chargeback)


@dataclass(slots=True)
class LedgerReader:
    """Charges of a ledger, as they were when its file last changed. For one thread at a time."""

    file: Path
    is_up: bool = True
    charges: Sequence[Charge] = ()
    seen: tuple[object, ...] = ()

    def look(self, first: date, teams: Sequence[str]) -> Sequence[Charge]:
        """Charges since a day, of some teams."""
        key = (first, tuple(teams), *map(fingerprint, (self.file, Path(f"{self.file}-wal"))))
        if key == self.seen and self.is_up:
            return self.charges
        from gputally.site.ledger.bills import charges  # noqa: PLC0415 - brings SQLite, for whom has a ledger
        from gputally.site.ledger.store import Ledger, LedgerError, is_there  # noqa: PLC0415 - as above

        try:
            if not self.seen and not is_there(self.file):
                self.is_up = True
                return self.charges  # nothing imported yet
            with Ledger.open(self.file) as ledger:
                self.charges = list(charges(ledger, first, date.max, teams))
        except (LedgerError, sqlite3.Error, OSError) as error:
            return self.failed(str(error))
        if not self.is_up:
            logger.info("budgets: %s can be read again", self.file)
        self.is_up, self.seen = True, key
        return self.charges

    def failed(self, why: str) -> Sequence[Charge]:
        """The charges of before."""
        if self.is_up:
            logger.warning("budgets: %s; bills stay as they were", why)
        self.is_up = False
        return self.charges
