"""One peer under observation: its driver, its processes, and every scrape so far."""

import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path

from measure import scrape
from tests.fakenvml import Constant, FakeNvml
from tests.fakenvml.play import populate

from . import energy
from .energy import Point
from .exposition import ALL, Sample, parse
from .peers import Peer
from .place import Place, free_port
from .running import Running

GPUS, PROCESSES = 8, 4
START_S = 40
IDLE_W = 1.0  # so little that the second in which a reading is taken does not matter
NEAR = 0.05
REFUSED = (OSError, ValueError, HTTPException)  # refused, broken off, no page of figures


@dataclass
class Scraped:
    """One scrape that was answered."""

    at_s: float
    samples: list[Sample]
    took_s: float
    text: str = field(repr=False, default="")


class Bench:
    """Everything of one peer."""

    def __init__(self, peer: Peer, folder: Path, library: Path, pids: list[int]) -> None:
        self.peer = peer
        self.fake = FakeNvml(folder / "control", library=library)
        populate(self.fake, GPUS, PROCESSES, "full", pids)
        self.place = Place(folder, free_port(), self.fake, GPUS)
        self.set_all(IDLE_W, 30)
        commands, more = peer.start(self.place)
        self.running = Running(commands, self.place.env(**more), folder)
        self.url = f"http://127.0.0.1:{self.place.port}{peer.path}"

    def start(self) -> str:
        """Start it and wait for its first figures; why there are none."""
        self.running.start()
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            if not self.running.alive():
                return "ended at its start"
            got = self.scrape()
            if got and (self.readings(got) or self.joules(got)):
                return ""
            time.sleep(0.3)
        return f"no figures of GPUs within {START_S} s"

    def close(self) -> None:
        """End it; hung calls are let go first."""
        self.fake.release()
        self.running.stop()
        self.fake.close()

    def scrape(self) -> Scraped | None:
        """One scrape with Prometheus's time limit of 10 s; None if it failed."""
        began = time.monotonic()
        with suppress(*REFUSED):
            text = scrape(self.url).decode(errors="replace")
            return Scraped(began, list(parse(text)), time.monotonic() - began, text)
        return None

    # what is true

    def set_all(self, watts: float, degrees: int, leave: int | None = None) -> None:
        """Put every GPU to a power and a temperature from now on, but one."""
        for slot in range(GPUS):
            if slot != leave:
                self.set_one(slot, watts, degrees)

    def set_one(self, slot: int, watts: float, degrees: int) -> None:
        """Put one GPU to a power and a temperature from now on."""
        self.fake.gpu(slot).power = Constant(watts)
        self.fake.gpu(slot).set(temperature=degrees)

    def truth(self, from_ns: int) -> dict[int, float]:
        """Joules of each GPU since a time of the driver's clock."""
        return {slot: self.fake.energy_mj(slot, from_ns) / 1000 for slot in range(GPUS)}

    # what is said

    def readings(self, got: Scraped) -> dict[int, float]:
        """Power of each GPU, or temperature of each where there is no power."""
        family = self.peer.power or self.peer.temperature
        return family.read(got.samples) if family else {}

    def joules(self, got: Scraped) -> dict[int, float]:
        """The energy counter of each GPU."""
        return self.peer.energy.read(got.samples) if self.peer.energy else {}

    def said(self, scrapes: list[Scraped], interval_s: float) -> dict[int, float]:
        """Energy over these scrapes: of the counter if there is one, else gauge times interval."""
        read = self.joules if self.peer.energy else self.readings if self.peer.power else None
        if read is None:
            return {}
        points: dict[int, list[Point]] = defaultdict(list)
        for got in scrapes:
            for gpu, value in read(got).items():
                points[gpu].append(Point(got.at_s, value))
        if not self.peer.energy:
            return {gpu: energy.of_gauge(each, interval_s) for gpu, each in points.items()}
        found = {gpu: energy.of_counter(each) for gpu, each in points.items()}
        for other in self.peer.besides:
            each = [Point(got.at_s, v) for got in scrapes for v in other.read(got.samples).values()]
            found[ALL] = found.get(ALL, 0.0) - energy.of_gauge(each, interval_s)
        return found

    def follows(
        self, before: Scraped, now: Scraped, watts: dict[int, float], degrees: dict[int, float]
    ) -> bool:
        """Whether the page shows what is true of these GPUs now; a sum may lack those not named."""
        if not self.peer.power and not self.peer.temperature:
            return self._counts(before, now, watts)
        shown, true = self.readings(now), watts if self.peer.power else degrees
        if ALL in shown:
            return abs(shown[ALL] / sum(true.values()) - 1) <= NEAR or (
                len(true) < GPUS and 0 <= shown[ALL] / sum(true.values()) - 1 <= 1 / GPUS
            )
        return all(gpu in shown and abs(shown[gpu] / true[gpu] - 1) <= NEAR for gpu in true)

    def _counts(self, before: Scraped, now: Scraped, watts: dict[int, float]) -> bool:
        """Whether the counters of these GPUs have grown by more than half of what they should have."""
        earlier, later, span_s = self.joules(before), self.joules(now), now.at_s - before.at_s
        wanted = {ALL: sum(watts.values())} if ALL in later else watts
        grown = {gpu: later.get(gpu, 0.0) - earlier.get(gpu, 0.0) for gpu in wanted}
        return all(grown[gpu] > 0.5 * wanted[gpu] * span_s for gpu in wanted)
