"""What goes wrong with drivers and exporters, and what a peer makes of it."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from tests.fakenvml import FakeNvml
from tests.fakenvml.layout import FUNCTIONS

from . import energy
from .bench import GPUS, IDLE_W, Bench, Scraped

SICK = 1
LOST, NOT_LOADED = 15, 9
BUSY_W = 300.0
KEPT_IN_ORDER = ("nvmlErrorString", "nvmlShutdown")


@dataclass(frozen=True)
class Pace:
    """How long each part of a fault takes, how often is scraped, and from when energy is wrong."""

    every_s: float
    during_s: float
    healing_s: float
    still_s: float
    limit_s: float


@dataclass
class Verdict:
    """What was seen; None where a peer has nothing to see it by."""

    answered: bool
    others: bool | None
    healed_s: float | None
    off_by_s: float | None
    limit_s: float
    patience_s: float

    @property
    def right(self) -> bool:
        """Whether its energy, if it tells any, is off by less than the limit."""
        return self.off_by_s is None or abs(self.off_by_s) < self.limit_s

    @property
    def survived(self) -> bool:
        """Answered in time, the other GPUs went on, healed by itself, and its energy is right."""
        return self.answered and self.others is not False and self.healed_s is not None and self.right


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong.

    Args:
        name: as the table has it.
        begin, end: how it is done to the driver.
        of_all: no GPU can be read meanwhile.
        watts: power of the sick GPU (or, of all) meanwhile.
    """

    name: str
    begin: Callable[[FakeNvml], None]
    end: Callable[[FakeNvml], None]
    of_all: bool = False
    watts: float = 200.0


def _unload(fake: FakeNvml) -> None:
    for function in FUNCTIONS:
        if function not in KEPT_IN_ORDER:
            fake.fault(function, code=NOT_LOADED)


def _load(fake: FakeNvml) -> None:
    for slot in range(GPUS):
        fake.gpu(slot).reset_energy()
    for function in FUNCTIONS:
        fake.clear(function)


DRIVER = (
    Fault("a call hangs", lambda f: f.fault("*", SICK, hang=True), lambda f: f.clear("*", SICK)),
    Fault("a GPU is lost", lambda f: f.fault("*", SICK, code=LOST), lambda f: f.clear("*", SICK)),
    Fault("driver reload", _unload, _load, of_all=True, watts=IDLE_W),
)
Seen = tuple[bool | None, float | None]  # whether the other GPUs went on, seconds to heal
RESET, RESTART = "counter reset", "restart"
NAMES = (*(fault.name for fault in DRIVER), RESET, RESTART)


class Trials:
    """The faults, one after the other, on one peer."""

    def __init__(self, bench: Bench, pace: Pace) -> None:
        self.bench, self.pace = bench, pace
        self.got: list[Scraped] = []
        self.failed = 0

    def run(self, names: Sequence[str]) -> dict[str, Verdict | str]:
        """The verdicts of these faults by their names, or why there is none."""
        acts: dict[str, tuple[Callable[[], Seen], int]] = {
            fault.name: (partial(self._fault, fault), GPUS if fault.of_all else 1) for fault in DRIVER
        }
        acts |= {RESET: (self._reset, GPUS), RESTART: (self._restart, GPUS)}
        return {name: self._trial(*acts[name]) for name in names}

    def _trial(self, act: Callable[[], Seen], gpus: int) -> Verdict | str:
        """One fault between two stretches of rest; the peer is started anew where it did not heal."""
        bench = self.bench
        bench.set_all(IDLE_W, 30)
        time.sleep(self.pace.still_s)
        first = bench.scrape()
        if first is None:
            return "not tried: it did not answer before"
        self.got, self.failed = [first], 0
        from_ns = bench.fake.now_ns()
        others, healed_s = act()
        answered = self.failed == 0
        bench.set_all(IDLE_W, 30)
        time.sleep(self.pace.still_s)
        self._scrape()
        off_by_s = None
        if bench.peer.power or bench.peer.energy:
            said = bench.said(self.got, self.pace.every_s)
            off_by_s = energy.off_by_s(said, bench.truth(from_ns), BUSY_W, gpus)
        if healed_s is None:
            self._anew()
        return Verdict(answered, others, healed_s, off_by_s, self.pace.limit_s, self.pace.healing_s)

    def _fault(self, fault: Fault) -> Seen:
        bench, sick = self.bench, range(GPUS) if fault.of_all else (SICK,)
        fault.begin(bench.fake)
        watts = {gpu: 400.0 for gpu in range(GPUS) if gpu not in sick}
        bench.set_all(400.0, 60)
        for gpu in sick:
            bench.set_one(gpu, fault.watts, 45)
        before = self.got[-1]
        self._scrape_for(self.pace.during_s)
        others = bench.follows(before, self.got[-1], watts, dict.fromkeys(watts, 60.0)) if watts else None
        fault.end(bench.fake)
        return others, self._heal()

    def _heal(self) -> float | None:
        """Seconds until every GPU is shown as it is, with the power of all changed at the beginning."""
        bench, began = self.bench, time.monotonic()
        bench.set_all(BUSY_W, 50)
        watts, degrees = dict.fromkeys(range(GPUS), BUSY_W), dict.fromkeys(range(GPUS), 50.0)
        failed = self.failed
        while (took_s := time.monotonic() - began) < self.pace.healing_s:
            before = self.got[-1]
            self._scrape_for(self.pace.every_s)
            if self.got[-1] is not before and bench.follows(before, self.got[-1], watts, degrees):
                self.failed = failed  # what counts is whether it answered while the fault lasted
                return took_s + self.pace.every_s
        return None

    def _reset(self) -> Seen:
        self.bench.set_all(BUSY_W, 50)
        self._scrape_for(2 * self.pace.every_s)
        self.bench.fake.gpu(SICK).reset_energy()
        return None, self._heal()

    def _restart(self) -> Seen:
        self.bench.set_all(BUSY_W, 50)
        self._scrape_for(2 * self.pace.every_s)
        began = time.monotonic()
        why = self._anew()
        took_s = time.monotonic() - began
        self._scrape_for(2 * self.pace.every_s)
        return None, None if why else took_s

    def _anew(self) -> str:
        self.bench.fake.release()
        self.bench.running.stop()
        return self.bench.start()

    def _scrape_for(self, seconds: float) -> None:
        """Scrape at the pace; a scrape that takes long takes the place of those after it."""
        began = time.monotonic()
        for number in range(1, round(seconds / self.pace.every_s) + 1):
            time.sleep(max(0.0, began + number * self.pace.every_s - time.monotonic()))
            if time.monotonic() - began <= (number + 0.5) * self.pace.every_s:  # else it is over already
                self._scrape()

    def _scrape(self) -> None:
        answer = self.bench.scrape()
        if answer:
            self.got.append(answer)
        else:
            self.failed += 1
