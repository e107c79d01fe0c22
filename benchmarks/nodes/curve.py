"""What numbers of machines came to, and how many of them one Prometheus carries: arithmetic and tables."""

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

CORES = 2
MOST_OF_THE_CORES = 0.7  # the rest is for questions, blocks and whatever comes at once
MOST_OF_AN_INTERVAL = 0.1
MOST_LATE_S = 1.0
MOST_MS = 1000.0  # of a query of a page that asks anew every few seconds
COLUMNS = (
    *("machines", "GPUs", "series", "samples/s", "cores", "of them rules", "MiB", "all groups once"),
    *("slowest group, of its interval", "missed", "late, p99", "failed", "queries, p50", "p95"),
    *("slowest question, median", "cores of the machines' process", "others"),
)
HEAD = f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|"


@dataclass(frozen=True)
class Step:
    """What one number of machines came to."""

    nodes: int
    gpus: int
    series: float
    samples_per_s: float
    cores: float
    rule_cores: float
    mib: float
    groups_s: float  # an evaluation of each group, one after the other
    slowest: tuple[float, str]  # part of its interval that an evaluation takes, and which group
    missed: float
    late_s: float
    failed: float
    p50_ms: float
    p95_ms: float
    question: tuple[float, str]  # median of the slowest in milliseconds, and who asks it
    simulator_cores: float
    others: float = 0.0


@dataclass(frozen=True)
class Criterion:
    """What must not be exceeded."""

    words: str
    figure: Callable[[Step], float]
    most: float


SERVER = (
    Criterion(f"{MOST_OF_THE_CORES:.0%} of {CORES} cores", lambda s: s.cores, MOST_OF_THE_CORES * CORES),
    Criterion(
        f"{MOST_OF_AN_INTERVAL:.0%} of an interval for a group", lambda s: s.slowest[0], MOST_OF_AN_INTERVAL
    ),
    Criterion("an evaluation missed", lambda s: s.missed, 0.0),
    Criterion("a scrape failed", lambda s: s.failed, 0.0),
    Criterion(f"scrapes {MOST_LATE_S:g} s late", lambda s: s.late_s, MOST_LATE_S),
)
FAR = (1_000, 10_000, 100_000)
GROWING: tuple[tuple[str, str, Callable[[Step], float]], ...] = (
    ("series", "{:,.0f}", lambda s: s.series),
    ("samples/s", "{:,.0f}", lambda s: s.samples_per_s),
    ("cores", "{:.3f}", lambda s: s.cores),
    ("of them rules", "{:.3f}", lambda s: s.rule_cores),
    ("MiB", "{:,.0f}", lambda s: s.mib),
    ("all groups once", "{:.2f} s", lambda s: s.groups_s),
    ("slowest group, of its interval", "{:.1%}", lambda s: s.slowest[0]),
)
PAGES = Criterion(f"{MOST_MS / 1000:g} s for a live page's query (p95)", lambda s: s.p95_ms, MOST_MS)


def p95(values: Sequence[float]) -> float:
    """What 95 of 100 keep."""
    return sorted(values)[math.ceil(0.95 * len(values)) - 1]


def crossing(points: Sequence[tuple[float, float]], most: float) -> tuple[float, bool] | None:
    """At which x, rising, y passes its limit, and whether that lies between points that were measured.

    Between two points by a straight line; beyond them by the line through the last two, if it rises; below
    the first by a line from nothing. A limit of nothing is passed at the last point that keeps it.
    """
    x, y = points[0]
    if y > most:
        return x * most / y, False
    for after_x, after_y in points[1:]:
        if after_y > most:
            part = (most - y) / (after_y - y) if most > 0 else 0.0
            return x + part * (after_x - x), True
        x, y = after_x, after_y
    if len(points) < 2 or most <= 0 or points[-1][1] <= points[-2][1]:
        return None
    rise = (points[-1][1] - points[-2][1]) / (points[-1][0] - points[-2][0])
    return x + (most - y) / rise, False


def keeps_up(step: Step) -> bool:
    """Whether everything was scraped and evaluated: if not, other figures of the server mean little."""
    return step.missed == 0 and step.failed == 0


def limits(steps: Sequence[Step], criteria: Sequence[Criterion]) -> list[tuple[float, bool, str]]:
    """Machines at which each is passed, whether between measured points, and what it is; fewest first."""
    found = []
    for criterion in criteria:
        at = crossing([(step.nodes, criterion.figure(step)) for step in steps], criterion.most)
        if at is not None:
            found.append((*at, criterion.words))
    return sorted(found)


def row(step: Step) -> str:
    """One line of the table."""
    cells = (
        *(f"{step.nodes:,}", f"{step.gpus:,}", f"{step.series:,.0f}", f"{step.samples_per_s:,.0f}"),
        *(f"{step.cores:.3f}", f"{step.rule_cores:.3f}", f"{step.mib:,.0f}", f"{step.groups_s:.2f} s"),
        *(f"{step.slowest[0]:.2%} {step.slowest[1]}", f"{step.missed:.0f}", f"{step.late_s * 1000:.0f} ms"),
        *(f"{step.failed:.0f}", f"{step.p50_ms:.1f} ms", f"{step.p95_ms:.1f} ms"),
        *(
            f"{step.question[0]:.0f} ms {step.question[1]}",
            f"{step.simulator_cores:.3f}",
            f"{step.others:.0%}",
        ),
    )
    return f"| {' | '.join(cells)} |"


def growth(steps: Sequence[Step]) -> list[str]:
    """What grows with GPUs: a line through all numbers of machines, and where it leads."""
    if len(steps) < 2:
        return []
    gpus = [step.gpus for step in steps]
    heads = [f"at {far:,}" for far in FAR]
    out = ["", f"| by a straight line | 1,000 GPUs more | none | {' | '.join(heads)} |", "|---" * 6 + "|"]
    for name, form, figure in GROWING:
        line = statistics.linear_regression(gpus, [figure(step) for step in steps])
        values = [line.slope * 1000, line.intercept, *(line.intercept + line.slope * far for far in FAR)]
        out.append(f"| {name} | {' | '.join(form.format(value) for value in values)} |")
    return out


def verdict(steps: Sequence[Step]) -> list[str]:
    """Where each limit is passed, and the stated one: the first that is."""
    out = [""]
    for at, within, words in limits(steps, (*SERVER, PAGES)):
        how = "between measured points" if within else "by a straight line, not measured"
        out.append(f"  {words}: at {at:,.0f} machines, {how}")
    first = next(iter(limits(steps, SERVER)), None)
    if first is None:
        return [*out, f"no limit of the server is in sight at {steps[-1].nodes:,} machines"]
    at, within, words = first
    gpus = at * steps[0].gpus / steps[0].nodes
    line = "interpolated" if within else "extrapolated"
    return [
        *out,
        f"limit of one Prometheus on {CORES} cores: {at:,.0f} machines, {gpus:,.0f} GPUs ({line}: {words})",
    ]
