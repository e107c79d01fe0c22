"""Joules out of scrapes, as a dashboard would get them, and how far they are from the truth."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from .exposition import ALL


class Point(NamedTuple):
    """A value at the time of a scrape; the clock's origin does not matter."""

    at_s: float
    value: float


def of_gauge(points: Sequence[Point], interval_s: float) -> float:
    """Watts times seconds: sum_over_time(power) x interval, so that a scrape without the series adds nothing.

    A scrape that came late counts for as long as it was late, up to half an interval.
    """
    total = 0.0
    for before, now in pairwise(points):
        gap_s = now.at_s - before.at_s
        total += now.value * (gap_s if gap_s < 1.5 * interval_s else interval_s)
    return total


def of_counter(points: Sequence[Point]) -> float:
    """What increase() makes of a counter, without its guesses at the edges: a fall is a start from 0."""
    return sum(
        now.value - before.value if now.value >= before.value else now.value
        for before, now in pairwise(points)
    )


def error_percent(said: float, truth: float) -> float:
    """How far off, in percent of the truth; the sign says whether too much or too little."""
    return (said / truth - 1) * 100


def errors(said_j: Mapping[int, float], truth_j: Mapping[int, float]) -> dict[int, float]:
    """The error of each GPU that something was said of, and of all together (ALL).

    All together counts a GPU of which nothing was said as 0 J: its energy is missing from the sum.
    """
    if ALL in said_j:
        return {ALL: error_percent(said_j[ALL], sum(truth_j.values()))}
    found = {gpu: error_percent(joules, truth_j[gpu]) for gpu, joules in said_j.items()}
    return found | {ALL: error_percent(sum(said_j.values()), sum(truth_j.values()))}


def off_by_s(said_j: Mapping[int, float], truth_j: Mapping[int, float], watts: float, gpus: int) -> float:
    """The error of the GPU that is farthest off, as the time in which it draws that much.

    Args:
        said_j: joules by GPU; of a GPU that nothing was said of, all is missing.
        truth_j: joules by GPU.
        watts: what a GPU draws.
        gpus: by how many a sum over all GPUs is shared.
    """
    if ALL in said_j:
        return (said_j[ALL] - sum(truth_j.values())) / watts / gpus
    return max(((said_j.get(gpu, 0.0) - joules) / watts for gpu, joules in truth_j.items()), key=abs)


def worst(found: Mapping[int, float]) -> float:
    """The error that is farthest from zero."""
    return max(found.values(), key=abs)
