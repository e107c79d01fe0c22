"""What a scrape says of each GPU, whatever the exporter calls it."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

ALL = -1  # the number of "all GPUs in one series"
_LINE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)(?:\s+-?\d+)?\s*$")
_LABEL = re.compile(r'([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"')
_OF_GPUS = re.compile(r"gpu|nvidia|cuda", re.IGNORECASE)


class Sample(NamedTuple):
    """One line of the text format; a timestamp behind it is left out."""

    name: str
    labels: Mapping[str, str]
    value: float


def parse(text: str) -> Iterator[Sample]:
    """The samples of a page."""
    for line in text.splitlines():
        found = None if line.startswith("#") else _LINE.match(line)
        if found:
            name, labels, value = found.groups()
            yield Sample(name, dict(_LABEL.findall(labels or "")), float(value))


def count_series(text: str) -> tuple[int, int]:
    """How many samples a page has, and how many of them are of GPUs, their processes and their users."""
    samples = list(parse(text))
    told = [s for s in samples if _OF_GPUS.search(f"{s.name.removeprefix('gputally_')} {s.labels}")]
    return len(samples), len(told)


@dataclass(frozen=True)
class Family:
    """Where a page has one reading of every GPU.

    Args:
        name: the family.
        label: the label whose first number is that of the GPU; empty where one series is of all GPUs.
        scale: what turns a value into watts, joules or degrees.
        only: labels that a sample must have.
    """

    name: str
    label: str = ""
    scale: float = 1.0
    only: tuple[tuple[str, str], ...] = ()

    def read(self, samples: Iterable[Sample]) -> dict[int, float]:
        """The reading of each GPU by its number, or of ALL; NaN is no reading."""
        found = {}
        for sample in samples:
            wanted = sample.name == self.name and not math.isnan(sample.value)
            if wanted and all(sample.labels.get(k) == v for k, v in self.only):
                number = re.search(r"\d+", sample.labels.get(self.label, "")) if self.label else None
                if number or not self.label:
                    found[int(number[0]) if number else ALL] = sample.value * self.scale
        return found
