"""How far energy and cost are from the truth on a day on which everything goes wrong, and how far others are.

    python benchmarks/ledger.py [--tick 5] [--seed 1]

A bursty day on the fake driver goes through the agent and a real Prometheus: 5 % of scrapes are lost, the
agent is killed or stopped twelve times, Prometheus is down twice, the driver is reloaded, a GPU is off the
bus for 40 minutes, the price changes by the clock and at noon by a reload. The truth is in closed form.
Shorter ticks take longer: some 3 minutes at 5 s, 15 at 1 s.
"""

import argparse
import logging
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import measure  # noqa: F401 - where the tests are
from tests.fakenvml import build
from tests.ledger import answers
from tests.ledger.alternatives import Asking
from tests.ledger.answers import DAY_S, Answer
from tests.ledger.days import BEFORE_S, full_day
from tests.ledger.play import Play, Played

UNTIL_S = BEFORE_S + DAY_S + 600
FROM_S = UNTIL_S - DAY_S
LIMIT_PERCENT = {True: 0.05, False: 0.5}
KINDS = ("energy", "cost")


def main() -> None:
    """Print the tables; exit status 1 if a bound is broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--tick", type=int, default=5, choices=(1, 5, 10), help="seconds from tick to tick")
    parser.add_argument("--seed", type=int, default=1, help="of jobs, bursts and lost scrapes")
    asked = parser.parse_args()
    logging.disable()  # a GPU is down: so it should be
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        library = build(Path(folder) / "lib")
        story = full_day(asked.tick, asked.seed)
        played = Play(story, Path(folder), library, lambda second: progress(second, story.seconds)).run()
        try:
            good = report(played)
        finally:
            played.prometheus.stop()
    took_s = time.monotonic() - began
    print(f"\n{played.ticks} ticks of {asked.tick} s, {played.scrapes} scrapes, {took_s:.0f} s")
    if not good:
        raise SystemExit(1)


def progress(second: int, of: int) -> None:
    """Say on a terminal how far the day is."""
    if sys.stderr.isatty() and second % 600 == 0:
        print(f"\r{second / of:4.0%} of the day", end="", file=sys.stderr, flush=True)


def report(played: Played) -> bool:
    """Print the tables; whether all is within the limits."""
    rules = list(Asking(played, FROM_S, UNTIL_S).rules())
    print(f"\n24 h, {len(played.story.jobs)} jobs, GPUs with an energy counter together\n")
    print("| rule | energy | cost |\n|---|---|---|")
    for rule in rules:
        print(f"| {rule.name} | {_percent(rule.energy_percent)} | {_percent(rule.cost_percent)} |")
    found = {
        "GPUs, increase over 24 h": answers.of_gpus(played, FROM_S, UNTIL_S),
        "GPUs, a calendar day": answers.of_days(played, "2025-06-17", BEFORE_S, BEFORE_S + DAY_S, UNTIL_S),
        "teams, users, models, increase over 24 h": answers.of_teams(played, FROM_S, UNTIL_S),
        "jobs, last values": answers.of_jobs(played),
    }
    print("\n| worst of | energy | cost | energy, integrated power | cost, integrated power |")
    print("|---|---|---|---|---|")
    good = True
    for name, each in found.items():
        figures = list(each)
        cells = [worst(figures, kind, metered=metered) for metered in (True, False) for kind in KINDS]
        limits = [LIMIT_PERCENT[metered] for metered in (True, False) for _ in KINDS]
        good &= all(abs(cell) <= limit for cell, limit in zip(cells, limits, strict=True))
        print(f"| {name} | {' | '.join(map(_percent, cells))} |")
    print("| limit | 0.05 % | 0.05 % | 0.5 % | 0.5 % |")
    return good


def worst(figures: Iterable[Answer], kind: str, *, metered: bool) -> float:
    """The error that is farthest from zero."""
    errors = [a.error_percent for a in figures if a.what.split(" of ")[0] == kind and a.metered is metered]
    return max(errors, key=abs)


def _percent(error: float | None) -> str:
    return "" if error is None else f"{error:+.3f} %"


if __name__ == "__main__":
    main()
