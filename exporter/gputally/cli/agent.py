"""The life of an agent: start, signals, reload, watchdog, stop. Knows no GPU, no price and no metric.

What an agent does beside serving, its subclass says: `NodeAgent` measures, `SiteAgent` declares.
"""

import asyncio
import ctypes
import logging
import os
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

import click

from gputally import __version__
from gputally.cli.aside import aside
from gputally.cli.logs import set_level
from gputally.cli.notify import notify, watchdog_seconds
from gputally.cli.options import Told, combine
from gputally.cli.pricefiles import LOOK_SECONDS, PriceFiles
from gputally.config.settings import RELOADABLE, NodeSettings, SiteSettings
from gputally.config.strict import ConfigError
from gputally.config.tariff import SiteDeclaration
from gputally.model import WebReport
from gputally.model.clock import system_clock
from gputally.web.exposition import Exposition
from gputally.web.landing import Landing
from gputally.web.listen import WebError
from gputally.web.server import Server

logger = logging.getLogger(__name__)
S = TypeVar("S", NodeSettings, SiteSettings)
M_ARENA_MAX = -8  # mallopt(3)
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)


class CannotStart(Exception):
    """Why an agent cannot be built here, in one sentence."""


class Agent(ABC, Generic[S]):
    """One running agent."""

    title: str
    paths: tuple[tuple[str, str], ...] = ()  # of documents, and what is there

    def __init__(
        self,
        settings: S,
        config_file: Path | None,
        told: Told,
        exposition: Exposition,
        documents: Mapping[str, Exposition] | None = None,
    ) -> None:
        self.settings: S = settings
        self._config_file, self._told = config_file, told
        self._reload_success, self._reload_seconds = True, time.time()
        self._asked_to_reload = asyncio.Event()
        self._done = asyncio.Event()
        self._told_to_stop = False
        self._prices = self._price_files()
        self._price_watch: asyncio.Task[None] | None = None
        self._server = Server(
            listen=settings.web_listen_address,
            telemetry_path=settings.web_telemetry_path,
            web_config_file=settings.web_config_file,
            exposition=exposition,
            health=self,
            landing=lambda: Landing(self.title, __version__, self.summary(), self.paths),
            documents=documents,
        )

    # What a subclass says.

    @abstractmethod
    def begin(self) -> None:
        """Build and start what makes the figures. Raises CannotStart, ConfigError, OSError."""

    @abstractmethod
    def end(self) -> None:
        """Stop it, and write down what has to be."""

    @abstractmethod
    def adopt(self, new: S) -> None:
        """Put into force what a reload may change."""

    @abstractmethod
    def reprice(self, site: SiteDeclaration) -> None:
        """Put other prices into force."""

    @abstractmethod
    def summary(self) -> str:
        """One line of live figures for a person."""

    @abstractmethod
    def ready(self) -> tuple[bool, str]:
        """Whether there is a fresh sample, and what is missing."""

    @abstractmethod
    def healthy(self) -> tuple[bool, str]:
        """Whether our own loops go on."""

    def release(self) -> None:
        """What SIGUSR1 asks for."""

    async def is_over(self) -> bool:
        """Whether this process is to make way for a fresh one; asked once a second."""
        return False

    def succeed(self) -> None:
        """Become that fresh process."""

    # Its life.

    async def run(self) -> None:
        """Serve until told to stop. Raises WebError, CannotStart, ConfigError, OSError at start."""
        # Bound first: a port that is taken leaves no trace in the state folder.
        self._server.start()
        self.begin()
        loop = asyncio.get_running_loop()
        for number, act in zip(SIGNALS, (self._stop, self._stop, self._reload, self.release), strict=True):
            loop.add_signal_handler(number, act)
        notify("READY=1")
        logger.info("serving http on %s", ", ".join(self._server.addresses))
        say_default(self.settings.site)
        watch, reloads = asyncio.create_task(self._watch()), asyncio.create_task(self._reloads())
        self._watch_prices()
        await self._done.wait()
        for task in (watch, reloads, self._price_watch):
            if task is not None:
                task.cancel()
        if self._told_to_stop:
            notify("STOPPING=1")
        await self._server.stop()
        self.end()
        await asyncio.sleep(0.01)  # a signal that came in the meantime is heard
        if not self._told_to_stop:
            self.succeed()
        _deafen(loop)

    def read_again(self) -> S:
        """The settings that an agent started now would have. Takes as long as the disk does.

        Raises click.UsageError.
        """
        return combine(self._config_file, self._told, type(self.settings))

    def web_report(self) -> WebReport:
        """The web server and the configuration about themselves. From any thread."""
        server, prices = self._server, self._prices
        reloads = {"main": self._reload_success, **prices.success}
        seconds = {"main": self._reload_seconds, **prices.seconds}
        if self.settings.web_config_file is not None:
            reloads["web"] = server.last_reload_success
            seconds["web"] = server.last_reload_success_timestamp
        return WebReport(
            requests={str(code): n for code, n in server.requests_total.items()},
            connections=server.connections_open,
            refused=dict(server.connections_refused_total),
            auth_failures=server.auth_failures_total,
            reload_success=reloads,
            reload_seconds=seconds,
            certificate_expiry_seconds=server.certificate_expiry_timestamp,
        )

    def stop(self) -> None:
        """End; unless somebody has told us to stop, in favour of a fresh process."""
        self._done.set()

    def _stop(self) -> None:
        self._told_to_stop = True
        self.stop()

    def _reload(self) -> None:
        self._server.reload()
        self._asked_to_reload.set()

    async def _reloads(self) -> None:
        """Read the file again for whoever asks; once for all who ask while it is being read."""
        while True:
            await self._asked_to_reload.wait()
            self._asked_to_reload.clear()
            if self._config_file is None:
                continue
            try:
                self._put_into_force(await aside(self.read_again))
            except click.UsageError as error:
                logger.error("configuration kept: %s", error.format_message())  # noqa: TRY400 - says it all
                self._reload_success = False
            except Exception:
                logger.exception("configuration kept")
                self._reload_success = False

    def _put_into_force(self, new: S) -> None:
        own = {field.name for field in fields(new)}
        for name in sorted(own - RELOADABLE):
            if getattr(new, name) != getattr(self.settings, name):
                logger.warning("%s changed; it takes effect at the next start", name)
        self.settings = replace(self.settings, **{name: getattr(new, name) for name in own & RELOADABLE})
        self._prices = self._price_files()
        self._reload_success, self._reload_seconds = True, time.time()
        self.adopt(new)  # what is published from here on shows all of it
        self._watch_prices()
        set_level(new.log_level)
        logger.info("configuration reloaded")

    def _price_files(self) -> PriceFiles:
        return PriceFiles(self._config_file, self.settings.config_text, self.settings.site, system_clock)

    def _watch_prices(self) -> None:
        """Follow the files that are declared now, and no others: what a look at those brings is forgotten."""
        if self._price_watch is not None:
            self._price_watch.cancel()
            self._price_watch = None
        if self._prices.exist:
            self._price_watch = asyncio.create_task(self._follow(self._prices))

    async def _follow(self, prices: PriceFiles) -> None:
        while True:
            try:
                found = await aside(prices.look)
                if found is not None:
                    self.reprice(found)
                    self.settings = replace(self.settings, site=found)
            except Exception:
                logger.exception("prices kept")
            await asyncio.sleep(LOOK_SECONDS)

    async def _watch(self) -> None:
        """Once a second, on the supervisor's loop: feed the watchdog, see whether a new process is due."""
        watchdog = watchdog_seconds()
        fed = 0.0
        while True:
            await asyncio.sleep(1.0)
            due = watchdog is not None and time.monotonic() - fed > watchdog / 3
            if due and self.healthy()[0] and notify("WATCHDOG=1", patience_seconds=0):
                fed = time.monotonic()
            if await self.is_over():
                self.stop()


def say_default(site: SiteDeclaration) -> None:
    """A price that nobody has declared is not to be taken for theirs."""
    tariff = site.tariff
    if tariff.source == "default":
        nano = tariff.versions[0].bands[0].price_nano
        logger.info("no tariff is configured: by default a kWh costs %s %s", nano / 1e9, tariff.currency)


def run_agent(make: Callable[[], Agent[Any]]) -> None:
    """Run an agent to its end. Raises click.ClickException with one line for a fault at start."""
    if os.geteuid() == 0:
        logger.warning("running as root; gputally needs no privileges")
    with suppress(OSError, AttributeError):  # another C library than glibc
        # Threads take turns here anyway; heaps of their own would only cost memory.
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 1)
    try:
        asyncio.run(_run(make))
    except ConfigError as error:
        raise click.UsageError(str(error)) from error
    except (WebError, CannotStart, OSError) as error:
        raise click.ClickException(str(error)) from error
    finally:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)  # one more must not make a clean end look like a kill


def _deafen(loop: asyncio.AbstractEventLoop) -> None:
    """No signal counts from here on. The loop's own end would leave us killable while all is taken down."""
    for number in SIGNALS:
        loop.remove_signal_handler(number)
        signal.signal(number, signal.SIG_IGN)


async def _run(make: Callable[[], Agent[Any]]) -> None:
    await make().run()
