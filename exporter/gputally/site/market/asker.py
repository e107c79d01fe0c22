"""One provider: asks it once when told to, and remembers the last good reply and how asking goes.

Decides nothing about time but by `schedule`, and starts no thread: that is the poller's.
"""

import logging
from collections.abc import Callable
from dataclasses import replace

from gputally.config.market import ProviderSettings
from gputally.model import Clock
from gputally.model.clock import NS_PER_SECOND
from gputally.model.market import Fetched, ProviderReport
from gputally.site.market import schedule
from gputally.site.market.http import FetchFailed
from gputally.site.market.schedule import FRESH, Failure

logger = logging.getLogger(__name__)
Ask = Callable[[], Fetched]  # raises FetchFailed
Chance = Callable[[], float]  # from 0 to 1
QUIET_SECONDS = 5.0  # however often somebody wants to know
MOST_NAMED = 10


class Asker:
    """Used by one thread at a time; `report` is replaced and never changed."""

    def __init__(
        self, settings: ProviderSettings, ask: Ask, clock: Clock, chance: Chance, report: ProviderReport
    ) -> None:
        self.settings, self.report, self.course = settings, report, FRESH
        self._ask, self._clock, self._chance = ask, clock, chance
        self._said: set[str] = set()  # why there are no prices, since the last good reply
        self._unmapped: tuple[str, ...] = ()
        self._quiet_until_ns = 0

    def turn(self) -> float:
        """Ask; in how many seconds that is due again."""
        began = self._clock()
        fetched, failed = self._fetched()
        now = self._clock()
        report = replace(
            self.report, fetches=self.report.fetches + 1, duration_seconds=now.seconds_since(began)
        )
        wish_seconds = 0.0
        if fetched is not None:
            self.report = replace(report, fetched=fetched, success_seconds=now.wall_seconds)
            wait_seconds = self._succeeded(fetched)
        else:
            failures = {**report.failures, failed.reason: report.failures.get(failed.reason, 0) + 1}
            self.report = replace(report, failures=failures)
            wait_seconds = self._failed(failed)
            wish_seconds = failed.retry_after_seconds or 0.0
        self._quiet_until_ns = now.boot_ns + round(max(QUIET_SECONDS, wish_seconds) * NS_PER_SECOND)
        return wait_seconds

    def may_be_nudged(self) -> bool:
        """Whether it fails and may be tried before its time."""
        return self.course != FRESH and self._clock().boot_ns >= self._quiet_until_ns

    def _fetched(self) -> tuple[Fetched | None, FetchFailed]:
        """A good reply, or why there is none."""
        try:
            fetched = self._ask()
        except FetchFailed as failure:
            return None, failure
        except Exception as error:  # a shape that nobody has thought of costs a reply, not the thread
            if "schema" not in self._said:
                logger.exception("market: %s: the reply could not be read", self.settings.name)
            return None, FetchFailed("schema", f"{type(error).__name__}: {error}")
        empty = FetchFailed("empty", "a good reply without any offer")
        return (fetched if fetched.offers else None), empty

    def _succeeded(self, fetched: Fetched) -> float:
        name, rejected = self.settings.name, sum(fetched.rejected.values())
        if self._said or self.report.fetches == 1:
            logger.info("market: %s: %d offers, %d rows rejected", name, len(fetched.offers), rejected)
        if fetched.unmapped != self._unmapped:
            self._unmapped = fetched.unmapped
            named = ", ".join(fetched.unmapped[:MOST_NAMED])
            logger.info("market: %s: %d cards unknown: %s", name, len(fetched.unmapped), named)
        self._said.clear()
        step = schedule.after_success(self.settings.interval_seconds, self._chance())
        self.course = step.course
        return step.wait_seconds

    def _failed(self, failed: FetchFailed) -> float:
        failure = Failure(failed.reason, failed.status, failed.retry_after_seconds)
        before = self.course
        step = schedule.after_failure(before, failure, self.settings.interval_seconds, self._chance())
        self.course = step.course
        if step.course.repetitions:
            return step.wait_seconds  # said only if the whole turn fails
        name, reason = self.settings.name, failed.reason
        if reason not in self._said:
            self._said.add(reason)
            logger.warning("market: %s: no prices (%s): %s", name, reason, failed.message)
        if step.course.is_broken and not before.is_broken:
            turns = step.course.failed_turns
            logger.warning("market: %s: asked less often, after %d failures in a row", name, turns)
        return step.wait_seconds
