"""What benchmarks/fleet.py prints: tables with the limit beside the figure."""

import math
import os
import platform
from collections.abc import Iterable, Mapping

from month.raw import Compared
from month.rules import LIMIT, Group
from month.timing import LIMIT_MS, Times

Asked = Mapping[str, list[Times]]  # by range
QUIET = 0.05


def machine() -> None:
    """On what."""
    print(f"{os.cpu_count()} cores, {platform.machine()}\n")


def filled(gpus: int, samples: int, size: int, took_s: float, unknown: list[str]) -> None:
    """What is in the blocks."""
    print(
        f"{gpus} GPUs: {samples / 1e6:,.0f} M samples, {size / 1e9:.2f} GB, written in {took_s:.0f} s",
        flush=True,
    )
    if unknown:
        print(f"  no data for {', '.join(unknown)}: the times of what reads it mean nothing")


def others(what: str, share: float) -> None:
    """How far the figures can be believed."""
    busy = "" if share < QUIET else ": too much, the figures are too high"
    print(f"  {what}; others took {share:.0%} of the cores meanwhile{busy}", flush=True)


def rules(groups: Iterable[Group], raised: list[str], of: str) -> bool:
    """Groups of rules; whether all are quick enough."""
    print(f"\nrule groups at {of}, scraped all the while\n")
    print("| group | interval | evaluations | samples | median | slowest | of the interval |")
    print("|---|---|---|---|---|---|---|")
    worst = 0.0
    for group in groups:
        took = sorted(group.took_s.values())
        figures = f"{took[len(took) // 2] * 1000:,.0f} ms | {took[-1] * 1000:,.0f} ms | {group.part:.2%}"
        print(f"| {group.name} | {group.interval_s} s | {len(took)} | {group.samples:,.0f} | {figures} |")
        worst = max(worst, group.part)
    print(f"| limit | | | | | | {LIMIT:.0%} |")
    print(f"\nalerts pending or firing: {', '.join(raised) or 'none'}")
    return worst <= LIMIT


def curve(sizes: Mapping[int, Asked], version: str) -> bool:
    """The slowest question of each page and range by number of GPUs; whether all are quick enough."""
    print(f"\nslowest question of a page, p95, Prometheus {version}\n")
    spans = list(next(iter(sizes.values())))
    print("| GPUs |", " | ".join(f"{page} {span}" for page in _pages(sizes) for span in spans), "|")
    print("|" + "---|" * (1 + len(spans) * len(_pages(sizes))))
    for gpus, asked in sizes.items():
        worst = [max(t.p95 for t in _of(page, asked[span])) for page in _pages(sizes) for span in spans]
        print(f"| {gpus} |", " | ".join(f"{ms:.1f} ms" for ms in worst), "|")
    print("| limit |", " | ".join(f"{LIMIT_MS[span]:.0f} ms" for _ in _pages(sizes) for span in spans), "|")
    _law(sizes)
    return all(t.p95 <= LIMIT_MS[span] for asked in sizes.values() for span in asked for t in asked[span])


def _pages(sizes: Mapping[int, Asked]) -> list[str]:
    some = next(iter(next(iter(sizes.values())).values()))
    return list(dict.fromkeys(times.question.asker.partition(":")[0] for times in some))


def _of(page: str, asked: list[Times]) -> list[Times]:
    return [times for times in asked if times.question.asker.startswith(f"{page}:")]


def _law(sizes: Mapping[int, Asked]) -> None:
    if len(sizes) < 2:
        return
    for span in next(iter(sizes.values())):
        sums = {gpus: sum(t.p50 for t in asked[span]) for gpus, asked in sizes.items()}
        print(f"\n{span}: all questions together {_power(sums)}", end="")
    print()


def _power(points: Mapping[int, float]) -> str:
    """Least squares of ms = a * GPUs ^ b."""
    logs = [(math.log(gpus), math.log(ms)) for gpus, ms in points.items()]
    mean_x, mean_y = (sum(column) / len(logs) for column in zip(*logs, strict=True))
    slope = sum((x - mean_x) * (y - mean_y) for x, y in logs) / sum((x - mean_x) ** 2 for x, _ in logs)
    return f"{math.exp(mean_y - slope * mean_x):.3g} ms x GPUs^{slope:.2f}"


def questions(asked: Asked, of: str) -> None:
    """Every question at one size."""
    print(f"\nevery question at {of}: p50 / p95 / cold / CPU in ms\n")
    spans = list(asked)
    print("| question |", " | ".join(f"{span}, limit {LIMIT_MS[span]:.0f}" for span in spans), "|")
    print("|" + "---|" * (1 + len(spans)))
    for rows in zip(*(asked[span] for span in spans), strict=True):
        cells = []
        for span, times in zip(spans, rows, strict=True):
            mark = "" if times.p95 <= LIMIT_MS[span] else " **over**"
            cells.append(
                f"{times.p50:.1f} / {times.p95:.1f} / {times.cold_ms:.1f} / {times.cpu_ms:.0f}{mark}"
            )
        print(f"| {rows[0].question.asker} |", " | ".join(cells), "|")
    over = {
        times.question.asker: times.question.text
        for span in reversed(spans)
        for times in asked[span]
        if times.p95 > LIMIT_MS[span]
    }
    for asker, text in over.items():
        print(f"\nover its limit: {asker}\n    {text}")


def against_raw(sizes: Mapping[int, Mapping[str, list[Compared]]], version: str) -> None:
    """The same questions with and without recording rules."""
    print(f"\nthe same asked of raw series: ms with rules, ms raw, difference; Prometheus {version}\n")
    print("| question | range |", " | ".join(f"{gpus} GPUs" for gpus in sizes), "| raw |")
    print("|" + "---|" * (3 + len(sizes)))
    some = next(iter(sizes.values()))
    for span, pairs in some.items():
        for number, pair in enumerate(pairs):
            rows = {gpus: spans[span][number] for gpus, spans in sizes.items()}
            cells = [f"{r.tiles_ms:.1f} / {r.raw_ms:,.0f} / {r.difference:+.2%}" for r in rows.values()]
            law = _power({gpus: r.raw_ms for gpus, r in rows.items()}) if len(rows) > 1 else ""
            print(f"| {pair.asked} | {span} |", " | ".join(cells), f"| {law} |")


def end(took_s: float) -> None:
    """How long it took."""
    print(f"\n{took_s / 60:.1f} min")
