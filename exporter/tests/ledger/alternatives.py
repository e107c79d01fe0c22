"""The same questions put in the ways in which they are commonly put, and how far off the answers are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.ledger.truth import Sum

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.ledger.play import Played

KWH_J = 3.6e6
SCRAPE_S, MINUTE_S = 15, 60


@dataclass(frozen=True)
class Rule:
    """A way to put the question; None where it has no answer to that part."""

    name: str
    energy_percent: float | None
    cost_percent: float | None


@dataclass(frozen=True)
class Asking:
    """Energy and cost of all GPUs with an energy counter over one range."""

    played: Played
    from_s: float
    until_s: float

    def rules(self) -> Iterator[Rule]:
        """All of them; ours first."""
        true, price, prices = self._true(), self._now("price_per_kwh"), f"price_per_kwh[{self._long_s}s]"
        joules, mean_price = self._increase("gpu_energy_joules_total"), self._now(f"avg_over_time({prices})")
        minutes = self._each("increase(gpu_energy_joules_total{only}[1m])", MINUTE_S)
        priced = self._each("increase(gpu_energy_joules_total{only}[1m])", MINUTE_S, priced=True)
        mean_w = self._now(f"sum(avg_over_time(gpu_power_watts{self._only}[{self._long_s}s]))")
        summed = self._now(f"sum(sum_over_time(gpu_power_watts{self._only}[{self._long_s}s]))")
        watts = self._each("gpu_power_watts{only}", SCRAPE_S)
        watts_priced = self._each("gpu_power_watts{only}", SCRAPE_S, priced=True)

        def rule(name: str, found_j: float | None, cost: float | None) -> Rule:
            energy = None if found_j is None else (found_j / true.joules - 1) * 100
            return Rule(name, energy, None if cost is None else (cost / true.cost - 1) * 100)

        yield rule("gputally: increase of its counters", joules, self._increase("gpu_energy_cost_total"))
        yield rule("increase of the raw NVML counter", self._increase("nvml_energy_joules_total"), None)
        yield rule(
            "gauge: average x 24 h, x average price",
            mean_w * self._long_s,
            mean_w * self._long_s * mean_price / KWH_J,
        )
        yield rule("gauge: sum of samples x 15 s", summed * SCRAPE_S, None)
        yield rule(
            "gauge: a rule every 15 s, each x its price", watts * SCRAPE_S, watts_priced * SCRAPE_S / KWH_J
        )
        yield rule("increase: a rule every minute, each x its price", minutes, priced / KWH_J)
        yield rule("increase x price now", None, joules * price / KWH_J)
        yield rule("increase x average price", None, joules * mean_price / KWH_J)

    @property
    def _long_s(self) -> int:
        return round(self.until_s - self.from_s)

    @property
    def _only(self) -> str:
        uuids = (u for gpu, u in enumerate(self.played.uuids) if gpu not in self.played.story.without_counter)
        return '{uuid=~"' + "|".join(uuids) + '"}'

    def _true(self) -> Sum:
        total = Sum()
        for gpu in range(self.played.story.gpus):
            if gpu not in self.played.story.without_counter:
                total += self.played.truth.of_gpu(gpu, self.from_s, self.until_s)
        return total

    def _now(self, query: str) -> float:
        return self.played.prometheus.number(query, self.played.at(self.until_s))

    def _increase(self, family: str) -> float:
        return self._now(f"sum(increase({family}{self._only}[{self._long_s}s]))")

    def _each(self, what: str, step_s: int, *, priced: bool = False) -> float:
        """What a rule that is evaluated at every step would have added up."""
        query = f"sum({what.replace('{only}', self._only)})"
        if priced:
            query = f"{query} * scalar(price_per_kwh)"
        at = self.played.at
        return sum(self.played.prometheus.each(query, at(self.from_s), at(self.until_s), step_s))
