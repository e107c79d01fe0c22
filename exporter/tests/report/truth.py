"""Two days of three GPUs, known to the joule: bursts, gaps, jobs on one machine and on two, one that dies.

Everything is a function of time, summed second by second; what a scrape shows and what a report has to say is
computed from the same arrays.
"""

from __future__ import annotations

import random
from array import array
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

HOUR = 3600
SPAN = 50 * HOUR
# It is always afternoon or evening in one of them: today and yesterday are long enough to be known exactly.
# None sets its clocks, and midnight in two of them is half an hour beside the full one.
ZONES = ("Asia/Kolkata", "America/Sao_Paulo", "Pacific/Marquesas")
CURRENCY = "EUR"
PUE = 1.25
PRICES = {"day": 0.30, "night": 0.10}
NIGHT = (22, 6)


@dataclass(frozen=True)
class Card:
    uuid: str
    gpu: str
    instance: str
    name: str


@dataclass(frozen=True)
class JobTruth:
    """When it held which cards; hours are those before the end of the world."""

    job_id: str
    user: str
    team: str
    model: str
    cards: tuple[str, ...]
    from_h: float
    until_h: float
    state: str  # as it is known at the end
    name: str = "train"
    left: tuple[str, float] = ("", 0.0)  # a card that it had to an earlier hour

    def until(self, uuid: str) -> float:
        """The hour to which it had a card."""
        return self.left[1] if uuid == self.left[0] else self.until_h


CARDS = {
    card.uuid: card
    for card in (
        Card("GPU-a", "0", "n1:9836", "NVIDIA H100"),
        Card("GPU-b", "1", "n1:9836", "NVIDIA H100"),
        Card("GPU-c", "0", "n2:9836", "NVIDIA A100"),
    )
}
DEAD = "n2:9836"
DIED_H = 3.0  # hours before the end
SHORT_JOBS = 12
UNEVEN = "4716"
JOBS = (
    JobTruth("4711", "ada", "nlp", "llama", ("GPU-a", "GPU-c"), 30, 10, "completed"),
    JobTruth("4712", "grace", "vision", "vit", ("GPU-b",), 44, 43, "failed"),
    JobTruth("4713", "grace", "vision", "vit", ("GPU-b",), 20, 0, "running"),
    JobTruth("4714", "ada", "nlp", "bert", ("GPU-a",), 2.5, 2.25, "timeout"),
    JobTruth("4715", "ada", "nlp", "llama", ("GPU-c",), 8, DIED_H, "vanished"),
    JobTruth(UNEVEN, "ada", "nlp", "bert", ("GPU-a", "GPU-c"), 9.5, 7.2, "completed", left=("GPU-c", 8.5)),
    *(
        JobTruth(
            f"s{n}", "eve", "tools", "", ("GPU-a",), 6 - n / 10, 6 - n / 10 - 0.011, "completed", "short"
        )
        for n in range(SHORT_JOBS)
    ),
)


class Sum:
    """A quantity that only grows, known at every full second, linear between."""

    def __init__(self, steps: list[float]) -> None:
        self.at_second = array("d", [0.0])
        total = 0.0
        for step in steps:
            total += step
            self.at_second.append(total)

    def __call__(self, second: float) -> float:
        second = min(max(second, 0.0), len(self.at_second) - 1.0)
        low = int(second)
        if low == len(self.at_second) - 1:
            return self.at_second[low]
        return self.at_second[low] + (self.at_second[low + 1] - self.at_second[low]) * (second - low)


class World:
    """Times are Unix times; `end` is the last of them."""

    def __init__(self, end: int, seed: int = 7) -> None:
        self.end, self.start = end, end - SPAN
        hours = {name: datetime.fromtimestamp(end, ZoneInfo(name)).hour for name in ZONES}
        self.zone = ZoneInfo(next(name for name, hour in hours.items() if hour >= 12))
        self.cards = {
            uuid: Meter(self, card, random.Random(f"{seed} {uuid}"))  # noqa: S311 - for tests
            for uuid, card in CARDS.items()
        }

    def before_end(self, hours: float) -> int:
        return self.end - round(hours * HOUR)

    def held(self, job: JobTruth, quantity: str, from_s: float, until_s: float) -> float:
        """What a job had of a quantity within a time."""
        total = 0.0
        for uuid in job.cards:
            low = max(from_s, self.before_end(job.from_h))
            high = max(low, min(until_s, self.before_end(job.until(uuid))))
            total += high - low if quantity == "held" else self.cards[uuid].between(quantity, low, high)
        return total

    def all_of(self, job_id: str, quantity: str) -> float:
        """What a job has had altogether."""
        (job,) = (job for job in JOBS if job.job_id == job_id)
        return self.held(job, quantity, self.start, self.end)

    def of(self, from_s: float, until_s: float, quantity: str, **names: str) -> float:
        """What all jobs with these names had."""
        return sum(
            self.held(job, quantity, from_s, until_s)
            for job in JOBS
            if all(getattr(job, label) == value for label, value in names.items())
        )

    def band(self, second: float) -> str:
        hour = datetime.fromtimestamp(second, self.zone).hour
        return "night" if hour >= NIGHT[0] or hour < NIGHT[1] else "day"

    @cached_property
    def days(self) -> list[date]:
        first, last = (datetime.fromtimestamp(at, self.zone).date() for at in (self.start, self.end))
        return [first + timedelta(days=n) for n in range((last - first).days + 1)]

    def midnight(self, day: date) -> int:
        return int(datetime(day.year, day.month, day.day, tzinfo=self.zone).timestamp())


class Meter:
    """One card: energy, busy time, cost, energy by band, and the same of what is not busy."""

    def __init__(self, world: World, card: Card, chance: random.Random) -> None:
        self.world, self.card = world, card
        self.death = world.before_end(DIED_H) - world.start if card.instance == DEAD else SPAN
        watts, busy = self._bursts(chance)
        bands = self._bands()
        price = {band: PRICES[band] * PUE / 3.6e6 for band in PRICES}
        costs = [power * price[band] for power, band in zip(watts, bands, strict=True)]
        self._sums = {
            "energy": Sum(watts),
            "busy": Sum([float(b) for b in busy]),
            "cost": Sum(costs),
            "unused_energy": Sum([0.0 if b else w for w, b in zip(watts, busy, strict=True)]),
            "unused_cost": Sum([0.0 if b else c for c, b in zip(costs, busy, strict=True)]),
            **{
                name: Sum([w if band == name else 0.0 for w, band in zip(watts, bands, strict=True)])
                for name in PRICES
            },
        }

    def total(self, quantity: str, second: float) -> float:
        """Since the beginning of the world."""
        return self._sums[quantity](second - self.world.start)

    def at_second(self, quantity: str) -> array[float]:
        """The same by second."""
        return self._sums[quantity].at_second

    def between(self, quantity: str, from_s: float, until_s: float) -> float:
        return self.total(quantity, until_s) - self.total(quantity, from_s)

    def held(self, from_s: float, until_s: float) -> float:
        """Seconds in which a job had it."""
        return sum(
            max(
                0.0,
                min(until_s, self.world.before_end(job.until(self.card.uuid)), self.world.start + self.death)
                - max(from_s, self.world.before_end(job.from_h)),
            )
            for job in JOBS
            if self.card.uuid in job.cards
        )

    def _bursts(self, chance: random.Random) -> tuple[list[float], list[bool]]:
        watts: list[float] = []
        busy: list[bool] = []
        while len(watts) < self.death:
            length = chance.randint(3, 45)
            watts += [chance.uniform(550, 700)] * length
            busy += [True] * length
            length = chance.randint(8, 90)
            watts += [chance.uniform(70, 120)] * length
            busy += [False] * length
        dark = SPAN - self.death
        return watts[: self.death] + [0.0] * dark, busy[: self.death] + [False] * dark

    def _bands(self) -> list[str]:
        # The zone's offset is a multiple of 30 minutes: a band is the same for half an hour.
        step = 1800
        starts = range(self.world.start - self.world.start % step, self.world.end + step, step)
        by_step = {start: self.world.band(start) for start in starts}
        return [by_step[second - second % step] for second in range(self.world.start, self.world.end)]
