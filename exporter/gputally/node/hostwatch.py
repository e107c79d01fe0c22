"""Reads the host at the slow pace, on a worker of its own: a /proc that hangs costs the host's figures."""

from collections.abc import Callable
from queue import SimpleQueue

from gputally.model import Clock, HostCounters, Instant
from gputally.node.crew import SLOW_SECONDS
from gputally.node.health import Health, word_of
from gputally.node.worker import Outcome, Worker

DEADLINE_SECONDS = 10.0


class HostWatch:
    """The latest figures of the host, or None. Used by the sampler's thread only."""

    def __init__(
        self,
        read: Callable[[], HostCounters],
        outcomes: SimpleQueue[Outcome],
        clock: Clock,
        health: Health,
    ) -> None:
        self.figures: HostCounters | None = None
        self.worker = Worker("host", outcomes, clock)
        self._read, self._health = read, health
        self._asked_at: Instant | None = None

    def start(self, now: Instant) -> None:
        """Ask for new figures, if it is time and the last ones have come."""
        since = self.worker.busy_since
        if since is not None:
            if now.seconds_since(since) > DEADLINE_SECONDS:
                self.figures = None
                self._health.note("host", 0.0, "timeout")
        elif self._asked_at is None or now.seconds_since(self._asked_at) >= SLOW_SECONDS:
            self._asked_at = now
            self.worker.submit(self._read)

    def handle(self, outcome: Outcome) -> None:
        """Take in what came."""
        self.figures = outcome.value if isinstance(outcome.value, HostCounters) else None
        reason = word_of(outcome.error) if outcome.error is not None else ""
        if reason:
            self._health.count("host", reason)
        self._health.note("host", outcome.seconds, reason)
