"""Plays a story: the fake driver draws the power, the agent ticks, Prometheus gets what it would have got."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.fakenvml import FakeNvml
from tests.ledger.database import Prometheus, Recorder
from tests.ledger.node import Node
from tests.ledger.prices import FIRST, PUE, REVISED, SECOND_NS
from tests.ledger.scrapes import Ledger
from tests.ledger.stage import Stage
from tests.ledger.truth import Truth

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.ledger.story import Story

SCRAPE_S = 15
LOST = 0.05  # of all scrapes
_JITTER_S = 0.004
_GPU_IS_LOST = 15


@dataclass(frozen=True)
class Played:
    """What has come of it."""

    story: Story
    truth: Truth
    prometheus: Prometheus
    uuids: tuple[str, ...]
    true_mj: tuple[float, ...]  # of each GPU, as the driver itself has it
    ledger: Ledger
    ticks: int
    scrapes: int  # that reached Prometheus

    def at(self, second: float) -> float:
        """Unix time of a moment of the story."""
        return self.story.wall_ns(second) / SECOND_NS


class Play:
    """One performance."""

    def __init__(
        self, story: Story, folder: Path, library: Path, progress: Callable[[int], object] = int
    ) -> None:
        self.story, self._folder, self._progress = story, folder, progress
        self.fake = FakeNvml(folder / "control", library=library, virtual=True)
        self.fake.load_in_process()
        self.stage = Stage(story, self.fake)
        self.node = Node(folder, self.stage.clock, self.stage, tick_s=story.tick_s)
        self.ledger = Ledger()
        self._recorder = Recorder(folder / "scrapes")
        self._rng = random.Random(story.seed)  # noqa: S311 - a story
        self._scrape_s = self._rng.uniform(0, SCRAPE_S)
        self._until_back_s: int | None = None
        self.ticks = self.scrapes = 0

    def run(self) -> Played:
        """From the first second to the last."""
        self.node.start(FIRST.written)
        try:
            for at_s in range(0, self.story.seconds, self.story.tick_s):
                self._second(at_s)
        finally:
            if self.node.runs:
                self.node.stop()
            gpus = [self.fake.gpu(number) for number in range(self.story.gpus)]
            true_mj = tuple(gpu.energy_mj() for gpu in gpus)
            self.fake.close()
        data = self._folder / "data"
        self._recorder.blocks(data)
        return Played(
            self.story,
            Truth(self.story),
            Prometheus(self._folder, data),
            tuple(gpu.uuid.decode() for gpu in gpus),
            true_mj,
            self.ledger,
            self.ticks,
            self.scrapes,
        )

    def _second(self, at_s: int) -> None:
        """A tick, and all that happens until the next."""
        story = self.story
        self.stage.leave(at_s)
        if self._until_back_s == at_s:
            self.node.start(self._written(at_s))
            self._until_back_s = None
        if self.node.runs:
            self.node.tick()
            self.ticks += 1
        self.stage.arrive(at_s)
        self._troubles(at_s)
        next_s = at_s + story.tick_s
        self.stage.draw(next_s)
        while self._scrape_s < next_s:
            self._scrape(self._scrape_s + self._rng.uniform(-_JITTER_S, _JITTER_S))
            self._scrape_s += SCRAPE_S
        self.fake.advance(story.tick_s)
        self._progress(next_s)

    def _written(self, at_s: int) -> str:
        return (REVISED if at_s >= self.story.revised_s else FIRST).written

    def _troubles(self, at_s: int) -> None:
        """What goes wrong after a tick."""
        if at_s == self.story.revised_s and self.node.runs:
            self.node.reload(REVISED.written)
        for gpu, from_s, until_s in self.story.lost:
            if at_s == from_s:
                self.fake.fault("*", gpu, code=_GPU_IS_LOST)
            elif at_s == until_s:
                self.fake.clear("*", gpu)
        if self.story.reload is not None:
            self._reload_driver(at_s, *self.story.reload)
        for restart in self.story.restarts:
            if at_s == restart.at_s:
                self._until_back_s = restart.back_s
                (self.node.kill if restart.killed else self.node.stop)()

    def _reload_driver(self, at_s: int, released_s: int, loaded_s: int, back_s: int) -> None:
        """As an operator does it: the agent lets go of it, it is loaded anew and counts from zero."""
        if at_s == released_s:
            self.node.sampler.session.release(back_s - released_s)
        elif at_s <= loaded_s < at_s + self.story.tick_s:
            for gpu in range(self.story.gpus):
                self.fake.gpu(gpu).reset_energy()

    def _scrape(self, at_s: float) -> None:
        """What Prometheus gets, if it gets it; what must hold of the page holds even if it does not."""
        story = self.story
        node, site = [], []
        if self.node.runs:
            node = self.ledger.read(self.node.scrape()) + self._counters(at_s)
        wall_ns = story.wall_ns(at_s)
        bookkeeper = story.bookkeeper
        site = [f"price_per_kwh {bookkeeper.price(wall_ns) * PUE!r}"]
        deaf = any(a <= at_s < b for a, b in story.deaf)
        for lines in (node, site):
            lost = self._rng.random() < LOST
            if lines and not lost and not deaf:
                self._recorder.take(lines, wall_ns // 10**6)
                self.scrapes += lines is node

    def _counters(self, at_s: float) -> list[str]:
        """The driver's own counters, as an exporter without memory shows them."""
        reload, lines = self.story.reload, []
        if reload is not None and reload[0] <= at_s < reload[2]:
            return []
        for gpu in range(self.story.gpus):
            away = any(lost == gpu and a <= at_s < b for lost, a, b in self.story.lost)
            if not away and gpu not in self.story.without_counter:
                one = self.fake.gpu(gpu)
                at_ns = self.stage.begin_ns + round(at_s * SECOND_NS)
                lines.append(
                    f'nvml_energy_joules_total{{uuid="{one.uuid.decode()}"}} {one.counter_mj(at_ns) / 1000}'
                )
        return lines
