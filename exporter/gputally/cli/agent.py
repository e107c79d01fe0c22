"""The life of `gputally node`: start, signals, reload, renewal, stop. Knows no GPU and no metric."""

import asyncio
import ctypes
import logging
import os
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path

import click

from gputally import __version__
from gputally.cli.logs import set_level
from gputally.cli.notify import notify, watchdog_seconds
from gputally.cli.options import combine
from gputally.cli.renewal import Trial, may_renew, renew
from gputally.collect.page import Page
from gputally.config.settings import RELOADABLE, NodeSettings
from gputally.config.strict import ConfigError
from gputally.model import Snapshot, WebReport
from gputally.model.clock import system_clock
from gputally.node.build import build_sampler
from gputally.node.crashes import CrashRecord
from gputally.node.sampler import Sampler
from gputally.node.state import StateFolderInUse
from gputally.web.landing import Landing
from gputally.web.listen import WebError
from gputally.web.server import Server

logger = logging.getLogger(__name__)
M_ARENA_MAX = -8  # mallopt(3)
LISTS_AGAIN_SECONDS = 600.0  # after crashes, so long without the driver's lists of processes
READY_AGE_INTERVALS = 5  # a sample older than this many intervals is no answer to "ready?"


class Agent:
    """One running node agent."""

    def __init__(self, settings: NodeSettings, config_file: Path | None, told: Mapping[str, object]) -> None:
        self._settings, self._config_file, self._told = settings, config_file, told
        self._reload_success = True
        self._reload_seconds = time.time()
        self._began = time.monotonic()
        self._done = asyncio.Event()
        self._told_to_stop = False
        self._trial = Trial("nvml" if settings.source == "auto" else settings.source)
        self.sampler: Sampler
        self._server = Server(
            listen=settings.web_listen_address,
            telemetry_path=settings.web_telemetry_path,
            web_config_file=settings.web_config_file,
            exposition=Page(lambda: self.sampler.latest),
            health=self,
            landing=self._landing,
        )

    async def run(self) -> None:
        """Serve until told to stop. Raises WebError, StateFolderInUse, ConfigError, OSError at start."""
        # Bound first: a port that is taken leaves no trace in the state folder.
        self._server.start()
        self.sampler = build_sampler(self._settings, system_clock, self._web_report)
        self.sampler.start()
        loop = asyncio.get_running_loop()
        for number, act in (
            (signal.SIGTERM, self._stop),
            (signal.SIGINT, self._stop),
            (signal.SIGHUP, self._reload),
            (signal.SIGUSR1, self._release),
        ):
            loop.add_signal_handler(number, act)
        notify("READY=1")
        logger.info("serving http on %s", ", ".join(self._server.addresses))
        watch = asyncio.create_task(self._watch())
        await self._done.wait()
        watch.cancel()
        if self._told_to_stop:
            notify("STOPPING=1")
        await self._server.stop()
        self.sampler.stop()
        if self._settings.state_dir is not None:
            CrashRecord(self._settings.state_dir).stopped()
        await asyncio.sleep(0.01)  # a signal that came in the meantime is heard
        if not self._told_to_stop:
            renew()
        _deafen(loop)

    # What the web front asks.

    def ready(self) -> tuple[bool, str]:
        """Whether there is a fresh sample from an open source."""
        snapshot = self.sampler.latest
        if snapshot.at is None:
            return False, "no sample yet"
        if not snapshot.report.driver_up:
            return False, f"no source of readings: {snapshot.report.driver_reason}"
        age = system_clock().seconds_since(snapshot.at)
        if age > READY_AGE_INTERVALS * max(1.0, self.sampler.interval_seconds):
            return False, f"the latest sample is {age:.0f} s old"
        return True, "ready"

    def healthy(self) -> tuple[bool, str]:
        """Whether our own loops go on; a hung driver is not our illness."""
        return (True, "healthy") if self.sampler.alive else (False, "the sampler has stopped")

    def _landing(self) -> Landing:
        return Landing(title="gputally node", version=__version__, summary=summary(self.sampler.latest))

    def _web_report(self) -> WebReport:
        server = self._server
        reloads = {"main": self._reload_success}
        seconds = {"main": self._reload_seconds}
        if self._settings.web_config_file is not None:
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

    # What signals and the watch do.

    def _stop(self) -> None:
        self._told_to_stop = True
        self._done.set()

    def _reload(self) -> None:
        self._server.reload()
        if self._config_file is None:
            return
        try:
            new = combine(self._config_file, self._told)
        except click.UsageError as error:
            logger.error("configuration kept: %s", error.format_message())  # noqa: TRY400 - the line says it all
            self._reload_success = False
            return
        for field in fields(NodeSettings):
            if (
                getattr(new, field.name) != getattr(self._settings, field.name)
                and field.name not in RELOADABLE
            ):
                logger.warning("%s changed; it takes effect at the next start", field.name)
        self.sampler.pace(new.sample_interval_ns)
        self.sampler.regroup(new.teams)
        set_level(new.log_level)
        changed = {name: getattr(new, name) for name in RELOADABLE}
        self._settings = replace(self._settings, **changed)
        self._reload_success, self._reload_seconds = True, time.time()
        logger.info("configuration reloaded")

    def _release(self) -> None:
        self.sampler.session.release(self._settings.nvml_release_ns / 1e9)

    async def _watch(self) -> None:
        """Once a second, on the supervisor's loop: feed the watchdog, see whether a new process is due."""
        watchdog = watchdog_seconds()
        fed = 0.0
        while True:
            await asyncio.sleep(1.0)
            if watchdog is not None and self.sampler.alive and time.monotonic() - fed > watchdog / 3:
                notify("WATCHDOG=1")
                fed = time.monotonic()
            if may_renew() and await self._renewal_is_due():
                self._done.set()

    async def _renewal_is_due(self) -> bool:
        latest = self.sampler.latest
        if latest.report.stuck_workers:
            return False  # execve(2) waits for every thread to end, and one inside the driver may never
        if self.sampler.lists_off and time.monotonic() - self._began > LISTS_AGAIN_SECONDS:
            return True  # what has crashed us may be over
        if latest.report.process.get("resident_bytes", 0.0) > self._settings.memory_limit_bytes:
            return True
        if not self.sampler.session.renew_process:
            return False
        return await self._trial.passes(urgent=not any(gpu.up for gpu in latest.gpus))


def summary(snapshot: Snapshot) -> str:
    """One line of live figures for a person."""
    if snapshot.at is None or not snapshot.gpus:
        return f"No GPU: {snapshot.report.driver_reason or 'none found'}"
    up = [gpu for gpu in snapshot.gpus if gpu.up and gpu.fast is not None]
    watts = [gpu.fast.power_w for gpu in up if gpu.fast is not None and gpu.fast.power_w is not None]
    busy = [gpu.fast.utilization_ratio for gpu in up if gpu.fast and gpu.fast.utilization_ratio is not None]
    parts = [f"{len(up)} of {len(snapshot.gpus)} GPUs up"]
    if watts:
        parts.append(f"{sum(watts):,.0f} W")
    if busy:
        parts.append(f"{sum(busy) / len(busy):.0%} busy")
    return ", ".join(parts)


def run_agent(settings: NodeSettings, config_file: Path | None, told: Mapping[str, object]) -> None:
    """Run a node agent to its end. Raises click.ClickException with one line for a fault at start."""
    if os.geteuid() == 0:
        logger.warning("running as root; gputally needs no privileges")
    with suppress(OSError, AttributeError):  # another C library than glibc
        # Threads take turns here anyway; heaps of their own would only cost memory.
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 1)
    try:
        asyncio.run(_run(settings, config_file, told))
    except ConfigError as error:
        raise click.UsageError(str(error)) from error
    except (WebError, StateFolderInUse, OSError) as error:
        raise click.ClickException(str(error)) from error
    finally:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
            signal.signal(number, signal.SIG_IGN)  # one more must not make a clean end look like a kill


def _deafen(loop: asyncio.AbstractEventLoop) -> None:
    """No signal counts from here on. The loop's own end would leave us killable while all is taken down."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
        loop.remove_signal_handler(number)
        signal.signal(number, signal.SIG_IGN)


async def _run(settings: NodeSettings, config_file: Path | None, told: Mapping[str, object]) -> None:
    await Agent(settings, config_file, told).run()
