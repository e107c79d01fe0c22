"""A month of counters in the text that promtool makes blocks from, and what its teams really used.

Power changes every ten minutes, the band of the tariff by the clocks of Berlin. One scrape in fifty is lost,
none at the end of the month: there sums are compared that would each miss other ones.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from itertools import product
from pathlib import Path
from typing import TextIO
from zoneinfo import ZoneInfo

from gputally.catalogue import FAMILIES

BERLIN = ZoneInfo("Europe/Berlin")
START_S = datetime(2026, 3, 1, tzinfo=BERLIN).timestamp()
END_S = datetime(2026, 4, 1, tzinfo=BERLIN).timestamp()
SCRAPE_S = 15
MARGIN_S = 6 * 3600  # before and after the month
LATE_S = 50 * 3600  # the end of the month, in which every counter has scrapes
BY_BAND = "gpu_team_energy_by_tariff_joules_total"

VALUES = {
    "gpu": ("0", "1"),
    "uuid": ("GPU-{gpu}",),
    "team": ("nlp", "vision"),
    "user": ("of-{team}",),
    "model": ("vit",),
    "currency": ("EUR",),
    "tariff": ("day", "night"),
    "reason": ("idle", "gap"),
}


@dataclass
class Month:
    """Writes the text, and keeps count."""

    used_kwh: dict[tuple[str, str], float] = field(default_factory=dict)  # in the month, by team and band

    def write(self, path: Path, counters: set[str]) -> None:
        """Write all counters over the end of the month, and the teams' energy by band over all of it."""
        with path.open("w") as file:
            for name in sorted(counters):
                file.write(f"# TYPE {name.removesuffix('_total')} counter\n")
                for labels in _label_sets(name):
                    if name == BY_BAND:
                        self._write_by_band(file, labels)
                    else:
                        text = f"{name}{_text(labels)}"
                        for at, value in _counter(text, END_S - LATE_S, END_S + MARGIN_S):
                            file.write(f"{text} {value} {at}\n")
            file.write("# EOF\n")

    def _write_by_band(self, file: TextIO, labels: dict[str, str]) -> None:
        text, used, before, total = f"{BY_BAND}{_text(labels)}", 0.0, 0.0, 1e6
        losses = random.Random(labels["team"])  # noqa: S311 - scrapes, not secrets
        for at, value in _counter(text, START_S - MARGIN_S, END_S + MARGIN_S):
            gained, before = value - before, value
            if _band(at // 3600) == labels["tariff"]:
                total += gained
                used += gained if START_S < at <= END_S else 0
            if losses.random() > 0.02 or at > END_S - LATE_S:
                file.write(f"{text} {total} {at}\n")
        self.used_kwh[labels["team"], labels["tariff"]] = used / 3.6e6


def _counter(series: str, from_s: float, until_s: float) -> Iterator[tuple[float, float]]:
    """Instants of scrapes, none on an edge of anything, and a counter that grows by 50 to 700 W."""
    loads, total, rate = random.Random(series), 0.0, 0  # noqa: S311 - a load, not a secret
    for step in range(int((until_s - from_s) / SCRAPE_S)):
        if step % 40 == 0:
            rate = loads.randint(50, 700)
        total += rate * SCRAPE_S
        yield from_s + step * SCRAPE_S + 3.217, total


@cache
def _band(hour: float) -> str:
    """By day from 6 to 22, as the clocks of Berlin show it."""
    return "day" if 6 <= datetime.fromtimestamp(hour * 3600, BERLIN).hour < 22 else "night"


def _label_sets(name: str) -> list[dict[str, str]]:
    """Every combination of values for the labels that the catalogue gives a family."""
    (family,) = (family for family in FAMILIES if family.name == name)
    combinations = product(*(VALUES[label] for label in family.labels))
    sets = [dict(zip(family.labels, values, strict=True)) for values in combinations]
    target = {"job": "gputally-node", "cluster": "c", "instance": "a:9836"}
    return [target | {label: value.format(**labels) for label, value in labels.items()} for labels in sets]


def _text(labels: dict[str, str]) -> str:
    return "{" + ",".join(f'{name}="{value}"' for name, value in labels.items()) + "}"
