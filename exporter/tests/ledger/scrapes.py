"""What is scraped, line by line: what must hold in every single scrape, and which of it is taken down."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass, field

# What the questions of the story are asked of; all the rest of the page is left out for speed.
TAKEN = (
    "gpu_energy_joules_total",
    "gpu_energy_cost_total",
    "gpu_energy_by_tariff_joules_total",
    "gpu_energy_unmeasured_seconds_total",
    "gpu_emissions_grams_total",
    "gpu_energy_day_joules",
    "gpu_cost_day",
    "gpu_power_watts",
    "gpu_job_energy_joules_total",
    "gpu_job_cost_total",
    "gpu_job_emissions_grams_total",
    "gpu_job_energy_by_tariff_joules_total",
    "gpu_job_unused_energy_joules_total",
    "gpu_job_unused_cost_total",
    "gpu_team_energy_joules_total",
    "gpu_team_cost_total",
    "gpu_team_emissions_grams_total",
    "gpu_team_energy_by_tariff_joules_total",
    "gpu_team_unused_energy_joules_total",
    "gpu_team_unused_cost_total",
    "gpu_unattributed_energy_joules_total",
    "gpu_unattributed_cost_total",
)
TARGET = 'instance="node1:9836",job="gputally-node"'
FLOAT = 1e-9  # of a sum of some hundred floats
_LABEL = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True)
class Head:
    """A series."""

    labels: dict[str, str]
    taken: str  # as it is taken down
    counts: bool  # it never falls


@dataclass
class Ledger:
    """Reads every page, adds up what must be the same, and sees that nothing ever falls."""

    heads: dict[str, Head] = field(default_factory=dict)
    job_joules: dict[tuple[str, str, str], float] = field(default_factory=dict)  # job, uuid, component
    job_cost: dict[str, float] = field(default_factory=dict)
    highest: dict[str, float] = field(default_factory=dict)  # of every counter
    pages: int = 0

    def read(self, page: str) -> list[str]:
        """The lines to be taken down, of a page that is right."""
        taken: list[str] = []
        found: dict[str, list[tuple[Head, float]]] = {name: [] for name in TAKEN}
        for block in page.split("# HELP "):
            rows = found.get(block.partition(" ")[0])
            if rows is not None:
                taken += [self._take(line, rows) for line in block.splitlines()[2:]]  # after help and type
        self._check(found)
        self.pages += 1
        return taken

    def _take(self, line: str, rows: list[tuple[Head, float]]) -> str:
        """One sample, which is not less than it was."""
        text, _, value = line.rpartition(" ")
        head, number = self.heads.get(text) or self._head(text), float(value)
        rows.append((head, number))
        if head.counts:
            assert number >= self.highest.get(text, 0.0), f"{text} fell to {value}"
            self.highest[text] = number
        return f"{head.taken} {value}"

    def _head(self, text: str) -> Head:
        name, _, rest = text.partition("{")
        labels = dict(_LABEL.findall(rest))
        head = self.heads[text] = Head(labels, f"{name}{{{TARGET},{rest}", name.endswith("_total"))
        return head

    def _check(self, found: dict[str, list[tuple[Head, float]]]) -> None:
        """Jobs and what is nobody's are the GPU, in joules and in money; bands are all of it."""
        for head, joules in found["gpu_job_energy_joules_total"]:
            labels = head.labels
            self.job_joules[labels["job_id"], labels["uuid"], labels["component"]] = joules
        for head, cost in found["gpu_job_cost_total"]:
            self.job_cost[head.labels["job_id"]] = cost
        joules_by_gpu: Counter[str] = Counter()
        for (_, uuid, _), joules in self.job_joules.items():  # those too that are forgotten by now
            joules_by_gpu[uuid] += joules
        for head, joules in found["gpu_unattributed_energy_joules_total"]:
            joules_by_gpu[head.labels["uuid"]] += joules
        assert_same(joules_by_gpu, _by_gpu(found["gpu_energy_joules_total"]))
        assert_same(
            _by_gpu(found["gpu_energy_by_tariff_joules_total"]), _by_gpu(found["gpu_energy_joules_total"])
        )
        spent = sum(self.job_cost.values()) + total(found["gpu_unattributed_cost_total"])
        assert math.isclose(spent, total(found["gpu_energy_cost_total"]), rel_tol=FLOAT, abs_tol=FLOAT)


def total(rows: list[tuple[Head, float]]) -> float:
    """The sum of a family."""
    return sum(value for _, value in rows)


def _by_gpu(rows: list[tuple[Head, float]]) -> Counter[str]:
    sums: Counter[str] = Counter()
    for head, value in rows:
        sums[head.labels["uuid"]] += value
    return sums


def assert_same(one: Counter[str], other: Counter[str]) -> None:
    """The same but for what floats lose."""
    assert one.keys() == other.keys()
    for key, value in one.items():
        assert math.isclose(value, other[key], rel_tol=FLOAT, abs_tol=FLOAT), (key, value, other[key])
