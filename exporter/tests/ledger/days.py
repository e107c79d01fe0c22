"""The two days that are played: one with everything that goes wrong, and one of 25 hours."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING

from tests.ledger.prices import SECOND_NS, midnight_ns
from tests.ledger.story import Job, Restart, Story

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HOUR = 3600
BEFORE_S = 2400  # the story begins so long before midnight
AFTER_S = 1800  # and goes on for so long after the next
FIRST_S = 120  # before that there is no job
LLAMA, BERT, SPEECH = ("nlp", "ada", "llama"), ("nlp", "grace", "bert"), ("audio", "emmy", "speech")
RESNET, VIT = ("vision", "linus", "resnet"), ("vision", "linus", "vit")


class _Queue:
    """Makes up jobs, one after the other; numbers go on from queue to queue."""

    def __init__(self, seed: int, grid_s: int) -> None:
        self._rng = random.Random(seed)  # noqa: S311 - a story
        self._grid_s = grid_s
        self.jobs: list[Job] = []

    def add(self, job: Job) -> None:
        """One job more."""
        self.jobs.append(replace(job, number=1 + len(self.jobs)))

    def fill(
        self,
        gpu: int,
        who: tuple[tuple[str, str, str], ...],
        from_s: int,
        until_s: int,
        minutes: float,
        **more: bool,
    ) -> None:
        """Jobs of some seconds to some hours, as they come, often back to back."""
        at_s, n = from_s, 0
        while True:
            long_s = max(2 * self._grid_s, self._even(self._rng.lognormvariate(0, 1.3) * minutes * 60))
            if at_s + long_s > until_s:
                return
            self.add(Job(0, who[n % len(who)], (gpu,), at_s, at_s + long_s, **more))
            at_s, n = at_s + long_s + self._rng.choice((0, 0, self._even(self._rng.uniform(0, 900)))), n + 1

    def guests(self, gpu: int, who: tuple[str, str, str]) -> None:
        """Every other long job of a GPU shares it for a while."""
        hosts = [job for job in self.jobs if job.gpus == (gpu,) and job.end_s - job.start_s > 1200]
        for host in hosts[::2]:
            third_s = self._even((host.end_s - host.start_s) / 3)
            from_s, until_s = host.start_s + third_s, host.start_s + 2 * third_s
            self.add(Job(0, who, (gpu,), from_s, until_s, sm=20, scheduled=False))

    def pause(self, gpu: int) -> None:
        """Long jobs of a GPU hold it without using it in their middle third."""
        for at, job in enumerate(self.jobs):
            if job.gpus == (gpu,) and job.end_s - job.start_s > 1800:
                third_s = self._even((job.end_s - job.start_s) / 3)
                self.jobs[at] = replace(job, idle=((job.start_s + third_s, job.end_s - third_s),))

    def _even(self, seconds: float) -> int:
        return round(seconds / self._grid_s) * self._grid_s


def full_day(tick_s: int, seed: int = 1) -> Story:
    """Four GPUs and a day on which everything happens."""

    def at(hours: float) -> int:
        return BEFORE_S + round(hours * HOUR)

    reload = (at(3.5), at(3.5) + 45, at(3.5) + 90)  # nobody is on a GPU while its driver is changed
    lost = (3, at(9), at(9) + 40 * 60)
    queue = _Queue(seed, tick_s)
    end_s = at(24) + 600
    for from_s, until_s in ((FIRST_S, at(3.5)), (at(3.5) + 300, at(13))):
        queue.fill(0, (LLAMA, BERT), from_s, until_s, 15)
    queue.fill(0, (BERT, LLAMA), at(15.5), end_s, 15)
    for from_s, until_s in ((FIRST_S, at(3.5)), (at(3.5) + 300, end_s)):
        queue.fill(1, (RESNET,), from_s, until_s, 25, scheduled=False)
        queue.fill(2, (SPEECH,), from_s, until_s, 20)
    for from_s, until_s in (
        (FIRST_S, at(3.5)),
        (at(3.5) + 300, at(9)),
        (at(9) + 45 * 60, at(13)),
        (at(15.5), end_s),
    ):
        queue.fill(3, (LLAMA,), from_s, until_s, 60)
    queue.add(Job(0, BERT, (0, 3), at(13), at(15.5)))
    queue.guests(1, VIT)
    queue.pause(3)
    return Story(
        begin_ns=midnight_ns(2025, 6, 17) - BEFORE_S * SECOND_NS,
        seconds=at(24) + AFTER_S,
        tick_s=tick_s,
        gpus=4,
        jobs=tuple(queue.jobs),
        without_counter=frozenset({2}),
        restarts=tuple(_restarts(at, tick_s)),
        deaf=((at(11), at(11) + 600), (at(16) - 300, at(16) + 300)),
        lost=(lost,),
        reload=reload,
        revised_s=at(12),
        seed=seed,
    )


def _restarts(at: Callable[[float], int], tick_s: int) -> Iterator[Restart]:
    """Twelve: over midnight, over changes of the price, in the middle of jobs; killed or stopped."""
    hours = (0, 1.7, 4.4, 6, 7.3, 8.6, 10.2, 12.4, 14.1, 17.3, 18.8, 22)
    for n, hour in enumerate(hours):
        down_s = 30 if n % 3 != 1 else 10
        begin_s = at(hour) // tick_s * tick_s - (15 // tick_s * tick_s)
        yield Restart(begin_s, begin_s + -(-down_s // tick_s) * tick_s, killed=n % 3 != 2)


def long_day(tick_s: int, seed: int = 2) -> Story:
    """The day on which the clocks are set back: 25 hours, one of them twice."""
    begin_ns = midnight_ns(2025, 10, 26)
    queue = _Queue(seed, tick_s)
    end_s = BEFORE_S + 25 * HOUR + 600
    queue.fill(0, (LLAMA, BERT), FIRST_S, end_s, 60)
    queue.fill(1, (RESNET,), FIRST_S, end_s, 90, scheduled=False)
    third_hour_s = BEFORE_S + 3 * HOUR  # of which the second is the second 02:00
    return Story(
        begin_ns=begin_ns - BEFORE_S * SECOND_NS,
        seconds=BEFORE_S + 25 * HOUR + AFTER_S,
        tick_s=tick_s,
        gpus=2,
        jobs=tuple(queue.jobs),
        restarts=(
            Restart(third_hour_s - tick_s, third_hour_s + tick_s, killed=True),
            Restart(BEFORE_S + 25 * HOUR - tick_s, BEFORE_S + 25 * HOUR + tick_s, killed=True),
        ),
        seed=seed,
    )
