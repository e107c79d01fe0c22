"""How long Prometheus takes for a question: the first time after a start, and again and again."""

import math
import os
import statistics
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from measure import cpu_seconds
from month.pages import Page, Question, Session, Span

DAY_S = 86_400
SPANS_S = {"24 h": DAY_S, "7 d": 7 * DAY_S, "30 d": 30 * DAY_S}
LIMIT_MS = {"24 h": 50.0, "7 d": 50.0, "30 d": 200.0}
WARM_UPS = 1  # after the first opening


class Others:
    """What other programs took of the cores since this began: more than a little, and times are too high."""

    def __init__(self) -> None:
        self._began_s, self._taken_s = time.monotonic(), _others_s()

    @property
    def share(self) -> float:
        """Part of all cores. Programs that this one started must have ended."""
        return (_others_s() - self._taken_s) / (time.monotonic() - self._began_s) / (os.cpu_count() or 1)


def _others_s() -> float:
    user, nice, system, _, _, irq, softirq, steal = map(int, Path("/proc/stat").read_text().split()[1:9])
    busy = (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
    return busy - sum(os.times()[:4])


@dataclass
class Times:
    """Milliseconds of one question over one range."""

    question: Question
    cold_ms: float
    warm_ms: list[float] = field(default_factory=list)
    cpu_ms: float = 0.0  # of Prometheus, on average: what others do on the machine is not in it

    @property
    def p50(self) -> float:
        """Median of the warm ones."""
        return statistics.median(self.warm_ms)

    @property
    def p95(self) -> float:
        """Of 20, the second-slowest: 95 % are as fast or faster."""
        return sorted(self.warm_ms)[math.ceil(0.95 * len(self.warm_ms)) - 1]


def timed(session: Session, question: Question) -> float:
    """Milliseconds from the request to the last byte of the answer."""
    began = time.perf_counter()
    session.fetch(question)
    return (time.perf_counter() - began) * 1000


def opened(session: Session, pages: Iterable[Page], span: Span) -> list[Times]:
    """Ask everything once, in the order of the pages, as the first visitor after a start does."""
    return [
        Times(question, timed(session, question))
        for page in pages
        for question in page.questions(session, span)
    ]


def repeated(session: Session, pid: int, asked: Iterable[Times], repeats: int) -> None:
    """Ask the same in rounds, so that no question finds only its own data in the caches."""
    questions = list(asked)
    for number in range(WARM_UPS + repeats):
        for times in questions:
            before_s = cpu_seconds(pid)
            took_ms = timed(session, times.question)
            if number >= WARM_UPS:
                times.warm_ms.append(took_ms)
                times.cpu_ms += (cpu_seconds(pid) - before_s) * 1000 / repeats
