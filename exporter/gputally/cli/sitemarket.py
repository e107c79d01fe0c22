"""The market of a site agent: whoever is configured is asked, and figures are made anew when they change.

All that takes time, the libraries' loading among it, happens beside the loop that answers scrapes. Where
nothing is configured, nothing is loaded and no thread is started.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from gputally.cli.aside import aside
from gputally.config.market import MarketSettings
from gputally.config.settings import SiteSettings
from gputally.model import Clock
from gputally.model.market import Market, MarketFigures

if TYPE_CHECKING:
    from gputally.site.market.cards import Catalogue
    from gputally.site.market.poller import Poller
    from gputally.site.market.showcase import Showcase

logger = logging.getLogger(__name__)
LOOK_SECONDS = 1.0
NOBODY = Market()


class SiteMarket:
    """Hands the figures of the market to `show`, and None where there is none. Used by the loop's thread."""

    def __init__(self, clock: Clock, show: Callable[[MarketFigures | None], None]) -> None:
        self._clock, self._show = clock, show
        self._wanted: SiteSettings | None = None
        self._poller: Poller | None = None
        self.catalogue: Catalogue | None = None  # None: nothing is configured
        self._has_news = asyncio.Event()
        self._is_over = False

    def adopt(self, settings: SiteSettings) -> None:
        """From now on this is configured."""
        self._wanted = settings
        self._has_news.set()

    def known(self) -> Market:
        """What providers have said; the same object as long as nobody has news."""
        return self._poller.market() if self._poller is not None else NOBODY

    def stop(self) -> None:
        """Ask nobody any more; takes less than a second, whoever hangs."""
        self._is_over = True
        if self._poller is not None:
            self._poller.stop()

    async def follow(self) -> None:
        """Put what is configured into force, and keep the figures up to date."""
        adopted: SiteSettings | None = None
        showcase: Showcase | None = None
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._has_news.wait(), LOOK_SECONDS)
            self._has_news.clear()
            try:
                wanted = self._wanted
                if wanted is not None and wanted is not adopted:
                    adopted = wanted
                    showcase = await self._put_into_force(wanted)
                now_seconds = self._clock().wall_seconds
                if showcase is not None and showcase.is_due(now_seconds):
                    self._show(await aside(partial(showcase.renew, now_seconds)))
            except Exception:
                logger.exception("market: the figures stay as they were")

    async def _put_into_force(self, settings: SiteSettings) -> "Showcase | None":
        if is_configured(settings):
            return await aside(partial(self._open, settings))
        self._show(None)
        self.catalogue = None
        if self._poller is not None:
            poller, self._poller = self._poller, None
            await aside(poller.stop)
        return None

    def _open(self, settings: SiteSettings) -> "Showcase":
        """Load what is needed, and begin to ask."""
        from gputally.site.market import cards  # noqa: PLC0415 - as the module says
        from gputally.site.market.showcase import Showcase, Terms  # noqa: PLC0415 - as the module says

        market = settings.market or MarketSettings()
        catalogue = cards.load(market.aliases)
        if self._poller is not None or market.providers:
            self._ask(market, catalogue)
        self.catalogue = catalogue
        terms = Terms(catalogue, market, settings.rentals, settings.plans, settings.owned_gpus)
        return Showcase(terms, self.known)

    def _ask(self, market: MarketSettings, catalogue: "Catalogue") -> None:
        from gputally.site.market.poller import Poller  # noqa: PLC0415 - brings the HTTP client

        poller = self._poller or Poller(self._clock)
        poller.adopt(market, catalogue)
        self._poller = poller
        if self._is_over:
            poller.stop()


def is_configured(settings: SiteSettings) -> bool:
    """Whether anything is declared that has to do with the market."""
    return bool(settings.market is not None or settings.rentals or settings.plans)
