"""What `gputally site` does beside serving: it publishes what is declared, on the loop that serves it."""

import asyncio
import logging
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from gputally.cli.agent import Agent
from gputally.cli.options import Told
from gputally.cli.own import OwnFigures
from gputally.cli.sitebudgets import SiteBudgets
from gputally.cli.siteledger import SiteLedger
from gputally.cli.sitemarket import SiteMarket
from gputally.cli.siteoffers import offers_page
from gputally.cli.sitereservations import SiteReservations
from gputally.collect.page import Page
from gputally.collect.sites import site_families
from gputally.config.settings import SiteSettings
from gputally.config.tariff import SiteDeclaration
from gputally.model import WebReport
from gputally.model.budget import BudgetFigures
from gputally.model.clock import system_clock
from gputally.model.ledger import LedgerFigures
from gputally.model.market import MarketFigures
from gputally.site.figures import Declared
from gputally.site.publisher import Publisher
from gputally.site.reservations.calendar import Calendar
from gputally.web.handlers import OFFERS_PATH

logger = logging.getLogger(__name__)
READY_AGE_SECONDS = 5.0
SHORTEST_SECONDS = 0.001  # a timer that comes a little early is no reason to spin


def declared(settings: SiteSettings) -> Declared:
    """What settings declare."""
    return Declared(settings.site, settings.owned_gpus, settings.thresholds)


class SiteAgent(Agent[SiteSettings]):
    """The agent of one site."""

    title = "gputally site"
    paths = ((OFFERS_PATH, "what GPUs are rented for elsewhere"),)

    def __init__(self, settings: SiteSettings, config_file: Path | None, told: Told) -> None:
        self.publisher = Publisher(
            declared(settings),
            system_clock,
            web_report=self.web_report,
            own_figures=OwnFigures(),
        )
        self._market = SiteMarket(system_clock, self._show)
        self._reservations = SiteReservations(system_clock, self._book)
        self._ledger = SiteLedger(system_clock, self._show_ledger)
        self._budgets = SiteBudgets(system_clock, lambda: self.settings, self._spend)
        self._tasks: list[asyncio.Task[None]] = []
        self._has_news = asyncio.Event()
        page = Page(lambda: self.publisher.latest, site_families)
        offers = offers_page(
            self._market, lambda: self.settings, lambda: self.publisher.latest.site, system_clock
        )
        super().__init__(settings, config_file, told, page, {OFFERS_PATH: offers})

    def begin(self) -> None:
        """Start to publish."""
        self.publisher.publish()
        self._market.adopt(self.settings)
        self._reservations.adopt(self.settings)
        self._ledger.adopt(self.settings)
        self._budgets.adopt()
        parts = (self._market, self._reservations, self._ledger, self._budgets)
        follow = (self._publish, *(part.follow for part in parts))
        self._tasks = [asyncio.create_task(one()) for one in follow]

    def end(self) -> None:
        """Publish no more. There is nothing to be kept."""
        for task in self._tasks:
            task.cancel()
        self._market.stop()

    def adopt(self, new: SiteSettings) -> None:
        """All that is declared."""
        self._market.adopt(new)
        self._reservations.adopt(new)
        self._budgets.adopt()
        self._ledger.adopt(new)
        self.publisher.declare(declared(new))
        self._publish_now()

    def reprice(self, site: SiteDeclaration) -> None:
        """At once."""
        self.publisher.declare(replace(declared(self.settings), site=site))
        self._publish_now()

    def web_report(self) -> WebReport:
        """Those of every agent, and of the file of reservations. From any thread."""
        report = super().web_report()
        return replace(
            report,
            reload_success={**report.reload_success, **self._reservations.reload_success()},
            reload_seconds={**report.reload_seconds, **self._reservations.reload_seconds()},
        )

    def summary(self) -> str:
        """The day, the price, what else is in a cent."""
        site = self.publisher.latest.site
        if site is None:
            return "Nothing published yet"
        ((band, currency), price), (day, *_) = next(iter(site.price_now.items())), site.day
        grams = next(iter(site.carbon_grams.values()))
        default = ", the default price: no tariff is configured" if band == "default" else f" ({band})"
        return f"{day}: {price:.10g} {currency} per kWh{default}, PUE {site.pue_ratio:g}, {grams:g} g per kWh"

    def ready(self) -> tuple[bool, str]:
        """Whether the latest figures are fresh."""
        at = self.publisher.latest.at
        if at is None:
            return False, "nothing published yet"
        age = system_clock().seconds_since(at)
        return (True, "ready") if age <= READY_AGE_SECONDS else (False, f"the figures are {age:.0f} s old")

    def healthy(self) -> tuple[bool, str]:
        """Whether publishing goes on; that the loop does, shows in the answer."""
        alive = bool(self._tasks) and not any(task.done() for task in self._tasks)
        return (True, "healthy") if alive else (False, "publishing has stopped")

    def _show(self, market: MarketFigures | None) -> None:
        self.publisher.market = market
        self._publish_now()

    def _spend(self, budgets: BudgetFigures | None) -> None:
        self.publisher.budgets = budgets
        self._publish_now()

    def _book(self, calendar: Calendar | None) -> None:
        told, book = self.settings.reservations, self._reservations.book
        if told is not None and book is not None:  # for whoever charges what is booked
            self.settings = replace(self.settings, reservations=replace(told, book=book))
        self.publisher.calendar = calendar
        self._publish_now()

    def _publish_now(self) -> None:
        self.publisher.publish()
        self._has_news.set()  # what is new may change before the next second

    def _show_ledger(self, ledger: LedgerFigures | None) -> None:
        self.publisher.ledger = ledger
        self._publish_now()

    async def _publish(self) -> None:
        while True:
            try:
                due = self.publisher.publish()
            except Exception:
                logger.exception("figures not renewed")  # they age, which readiness and a metric say
                due = 1.0
            with suppress(TimeoutError):
                await asyncio.wait_for(self._has_news.wait(), max(due, SHORTEST_SECONDS))
            self._has_news.clear()
