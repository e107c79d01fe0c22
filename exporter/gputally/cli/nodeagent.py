"""What `gputally node` does beside serving: it samples, lets go of the driver, and renews its process."""

import logging
import time
from pathlib import Path

import click

from gputally.cli.agent import Agent, CannotStart
from gputally.cli.aside import aside
from gputally.cli.front import check_front
from gputally.cli.options import Told
from gputally.cli.own import OwnFigures
from gputally.cli.renewal import Trial, may_renew, renew
from gputally.collect.page import Page
from gputally.config.settings import NodeSettings
from gputally.config.tariff import SiteDeclaration
from gputally.model import Snapshot
from gputally.model.clock import system_clock
from gputally.node.build import build_sampler
from gputally.node.crashes import CrashRecord
from gputally.node.sampler import Sampler
from gputally.node.state import StateFolderInUse

logger = logging.getLogger(__name__)
LISTS_AGAIN_SECONDS = 600.0  # after crashes, so long without the driver's lists of processes
REFUSED_SECONDS = 60.0  # from one look at a bad configuration to the next
READY_AGE_INTERVALS = 5  # a sample older than this many intervals is no answer to "ready?"


class NodeAgent(Agent[NodeSettings]):
    """The agent of one machine with GPUs."""

    title = "gputally node"

    def __init__(self, settings: NodeSettings, config_file: Path | None, told: Told) -> None:
        self.sampler: Sampler
        self._began = time.monotonic()
        self._refused_at = -REFUSED_SECONDS
        self._trial = Trial("nvml" if settings.source == "auto" else settings.source)
        super().__init__(settings, config_file, told, Page(lambda: self.sampler.latest))

    def begin(self) -> None:
        """Start to sample."""
        try:
            self.sampler = build_sampler(self.settings, system_clock, self.web_report, OwnFigures())
        except StateFolderInUse as error:
            raise CannotStart(str(error)) from error
        self.sampler.start()

    def end(self) -> None:
        """Write the state."""
        self.sampler.stop()
        if self.settings.state_dir is not None:
            CrashRecord(self.settings.state_dir).stopped()

    def adopt(self, new: NodeSettings) -> None:
        """Pace, teams, prices."""
        self.sampler.pace(new.sample_interval_ns)
        self.sampler.regroup(new.teams)
        self.reprice(new.site)

    def reprice(self, site: SiteDeclaration) -> None:
        """From the next tick on."""
        self.sampler.reprice(site)

    def summary(self) -> str:
        """GPUs, power, utilisation."""
        return summary(self.sampler.latest)

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

    def release(self) -> None:
        """Let go of the driver for a while."""
        self.sampler.session.release(self.settings.nvml_release_ns / 1e9)

    def succeed(self) -> None:
        """Execute the same command line again."""
        renew()

    async def is_over(self) -> bool:
        """After a driver upgrade, when memory has grown too far, or some time after crashes."""
        return may_renew() and await self._renewal_is_due() and await self._would_start()

    async def _renewal_is_due(self) -> bool:
        latest = self.sampler.latest
        if latest.report.stuck_workers:
            return False  # execve(2) waits for every thread to end, and one inside the driver may never
        if self.sampler.lists_off and time.monotonic() - self._began > LISTS_AGAIN_SECONDS:
            return True  # what has crashed us may be over
        if latest.report.process.get("resident_bytes", 0.0) > self.settings.memory_limit_bytes:
            return True
        if not self.sampler.session.renew_process:
            return False
        return await self._trial.passes(urgent=not any(gpu.up for gpu in latest.gpus))

    async def _would_start(self) -> bool:
        """Whether the files are such that a fresh process would start; a bad one is no end of metering."""
        if time.monotonic() - self._refused_at < REFUSED_SECONDS:
            return False
        try:
            await aside(lambda: check_front(self.read_again()))
        except click.UsageError as error:
            self._refused_at = time.monotonic()
            logger.error("not starting afresh: %s", error.format_message())  # noqa: TRY400 - says it all
            return False
        return True


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
