"""Questions of the pages without the recording rules: asked of the counters, over the whole range."""

import statistics
import time
from dataclasses import dataclass

from month.pages import Json, Question, Session, Span
from month.timing import timed

ENOUGH_MS = 5_000  # of repeats of one question


@dataclass(frozen=True)
class Pair:
    """One question in two forms; R stands for the range."""

    asked: str
    tiles: str
    raw: str
    drawn: bool = False  # over time, not at its end


PAIRS = (
    Pair(
        "kWh",
        "sum(sum_over_time(cluster:gpu_energy_kwh:increase1h[R]))",
        "sum(increase(gpu_energy_joules_total[R])) / 3.6e6",
    ),
    Pair(
        "kWh by GPU",
        "sum by (cluster, uuid) (sum_over_time(uuid:gpu_energy_kwh:increase1h[R]))",
        "sum by (cluster, uuid) (increase(gpu_energy_joules_total[R])) / 3.6e6",
    ),
    Pair(
        "cost",
        "sum by (currency) (sum_over_time(cluster:gpu_energy_cost:increase1h[R]))",
        "sum by (currency) (increase(gpu_energy_cost_total[R]))",
    ),
    Pair(
        "cost by team",
        "sum by (team, currency) (sum_over_time(consumer:gpu_cost:increase1h[R]))",
        "sum by (team, currency) (increase(gpu_team_cost_total[R]))",
    ),
    Pair(
        "cost by job",
        "max by (cluster, job_id, currency) (max_over_time(job_id:gpu_job_cost:max[R]))",
        "sum by (cluster, job_id, currency) (max_over_time(gpu_job_cost_total[R]))",
    ),
    Pair(
        "cost per hour, drawn",
        "sum by (cluster, currency) (cluster:gpu_energy_cost_per_hour:rate5m)",
        "sum by (cluster, currency) (rate(gpu_energy_cost_total[5m])) * 3600",
        drawn=True,
    ),
)


@dataclass(frozen=True)
class Compared:
    """One question over one range: milliseconds of both forms, and by how much their answers differ."""

    asked: str
    tiles_ms: float
    raw_ms: float
    difference: float


def _question(expression: str, span: Span, *, drawn: bool) -> Question:
    query = (("query", expression.replace("[R]", f"[{span.length_s}s]")),)
    if drawn:
        step_s = span.step_s()
        begin, end = ((span.end_s - back) // step_s * step_s for back in (span.length_s, 0))
        bounds = (("start", f"{begin}"), ("end", f"{end}"), ("step", f"{step_s}"))
        return Question("raw", "query_range", query + bounds)
    return Question("raw", "query", (*query, ("time", f"{span.end_s}")))


def _total(data: Json) -> float:
    points = [point for row in data["result"] for point in row.get("values", [row.get("value")])]
    return sum(float(value) for _, value in points)


def _asked(session: Session, question: Question, repeats: int) -> tuple[float, float]:
    """The answer's total, and the median of its times; what takes long is asked once."""
    began = time.perf_counter()
    total = _total(session.ask(question))
    times = [(time.perf_counter() - began) * 1000]
    while len(times) < repeats and sum(times) < ENOUGH_MS:
        times.append(timed(session, question))
    return total, statistics.median(times)


def compared(session: Session, span: Span, repeats: int) -> list[Compared]:
    """Every question in both forms over one range."""
    rows = []
    for pair in PAIRS:
        (tiles, tiles_ms), (raw, raw_ms) = (
            _asked(session, _question(form, span, drawn=pair.drawn), repeats)
            for form in (pair.tiles, pair.raw)
        )
        rows.append(Compared(pair.asked, tiles_ms, raw_ms, tiles / raw - 1))
    return rows
