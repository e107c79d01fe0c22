"""What `gputally site` does beside serving: it publishes what is declared, on the loop that serves it."""

import asyncio
import logging
from dataclasses import replace
from pathlib import Path

from gputally.cli.agent import Agent
from gputally.cli.options import Told
from gputally.collect.page import Page
from gputally.collect.sites import site_families
from gputally.config.settings import SiteSettings
from gputally.config.tariff import SiteDeclaration
from gputally.model.clock import system_clock
from gputally.node.own import OwnFigures
from gputally.site.figures import Declared
from gputally.site.publisher import Publisher

logger = logging.getLogger(__name__)
READY_AGE_SECONDS = 5.0
SHORTEST_SECONDS = 0.001  # a timer that comes a little early is no reason to spin


def declared(settings: SiteSettings) -> Declared:
    """What settings declare."""
    return Declared(settings.site, settings.owned_gpus, settings.thresholds)


class SiteAgent(Agent[SiteSettings]):
    """The agent of one site."""

    title = "gputally site"

    def __init__(self, settings: SiteSettings, config_file: Path | None, told: Told) -> None:
        self.publisher = Publisher(
            declared(settings),
            system_clock,
            web_report=self.web_report,
            own_figures=OwnFigures(),
        )
        self._publishing: asyncio.Task[None] | None = None
        super().__init__(settings, config_file, told, Page(lambda: self.publisher.latest, site_families))

    def begin(self) -> None:
        """Start to publish."""
        self.publisher.publish()
        self._publishing = asyncio.create_task(self._publish())

    def end(self) -> None:
        """Publish no more. There is nothing to be kept."""
        if self._publishing is not None:
            self._publishing.cancel()

    def adopt(self, new: SiteSettings) -> None:
        """All that is declared."""
        self.publisher.declare(declared(new))
        self.publisher.publish()

    def reprice(self, site: SiteDeclaration) -> None:
        """At once."""
        self.publisher.declare(replace(declared(self.settings), site=site))
        self.publisher.publish()

    def summary(self) -> str:
        """The day, the price, what else is in a cent."""
        site = self.publisher.latest.site
        if site is None:
            return "Nothing published yet"
        ((band, currency), price), (day, *_) = next(iter(site.price_now.items())), site.day
        grams = next(iter(site.carbon_grams.values()))
        default = ", the default price: no tariff is configured" if band == "default" else f" ({band})"
        return f"{day}: {price:g} {currency} per kWh{default}, PUE {site.pue_ratio:g}, {grams:g} g per kWh"

    def ready(self) -> tuple[bool, str]:
        """Whether the latest figures are fresh."""
        at = self.publisher.latest.at
        if at is None:
            return False, "nothing published yet"
        age = system_clock().seconds_since(at)
        return (True, "ready") if age <= READY_AGE_SECONDS else (False, f"the figures are {age:.0f} s old")

    def healthy(self) -> tuple[bool, str]:
        """Whether publishing goes on; that the loop does, shows in the answer."""
        alive = self._publishing is not None and not self._publishing.done()
        return (True, "healthy") if alive else (False, "publishing has stopped")

    async def _publish(self) -> None:
        while True:
            try:
                due = self.publisher.publish()
            except Exception:
                logger.exception("figures not renewed")  # they age, which readiness and a metric say
                due = 1.0
            await asyncio.sleep(max(due, SHORTEST_SECONDS))
