"""How the collectors fare: what failed, how often and why, for the exporter's own metrics and its log.

Reads nothing and decides nothing about a GPU.
"""

import logging
from collections import Counter
from collections.abc import Callable

from gputally.model import CollectorHealth
from gputally.node.sources.protocol import SourceError

logger = logging.getLogger(__name__)


class Health:
    """Used by the sampler's thread only."""

    def __init__(self) -> None:
        self.errors: Counter[tuple[str, str]] = Counter()  # (collector, reason)
        self._latest: dict[str, CollectorHealth] = {}
        self._round: list[tuple[float, str]] = []  # of this tick's reads: seconds, reason
        self._guarded: dict[str, str] = {}  # collector -> what it raised the last time

    @property
    def collectors(self) -> tuple[CollectorHealth, ...]:
        """The latest run of each."""
        return tuple(self._latest.values())

    def count(self, collector: str, reason: str) -> None:
        """Count an error."""
        self.errors[collector, reason] += 1

    def note(self, collector: str, seconds: float, reason: str = "") -> None:
        """Take down how a run went; no reason = well."""
        self._latest[collector] = CollectorHealth(collector, not reason, seconds, reason)

    def read(self, seconds: float, reason: str = "") -> None:
        """Take down one of the source's reads in this tick."""
        self._round.append((seconds, reason))

    def judge(self, source: str, trouble: str) -> None:
        """End a tick: the source did well only if every read of it did, and if there was no other trouble."""
        reasons = [reason for _, reason in self._round if reason]
        reasons += [trouble] if trouble else []
        if self._round or reasons:  # else all reads are under way still, and the last word stands
            longest = max((seconds for seconds, _ in self._round), default=0.0)
            self.note(source, longest, next(iter(reasons), ""))
        self._round.clear()

    def guard(self, collector: str, run: Callable[[], None]) -> bool:
        """Run a collector; whether it returned. Whatever it raises is its own affair and nobody else's."""
        try:
            run()
        except BaseException as error:  # noqa: BLE001 - on this thread not even SystemExit may end metering
            reason = word_of(error)
            self.count(collector, reason)
            if self._guarded.get(collector) != reason:
                logger.error("collector failed: %s: %s: %s", collector, reason, sentence_of(error))  # noqa: TRY400 - one line
            self._guarded[collector] = reason
            self.note(collector, 0.0, reason)
            return False
        if self._guarded.pop(collector, ""):
            logger.info("collector is well again: %s", collector)
        self.note(collector, 0.0)
        return True


def word_of(error: BaseException) -> str:
    """A word for a label: the source's own, or the name of the exception."""
    return error.reason if isinstance(error, SourceError) else type(error).__name__.lower()


def sentence_of(error: BaseException) -> str:
    """What the log says beside the word: a source explains itself, a bug shows where it is."""
    if isinstance(error, SourceError):
        return str(error)
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f" at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace is not None else ""
    return f"{error}{where}"
