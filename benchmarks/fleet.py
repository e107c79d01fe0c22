"""What pages and rules cost at 1,000 GPUs and 30 days of 15 s scrapes, in a real Prometheus on this machine.

    python benchmarks/fleet.py [--quick] [--gpus 50,200,500,1000] [--days 30]

Fills Prometheus with blocks, asks every query of the pages of cost, teams and jobs as Grafana does, asks the
same of raw series, and lets the shipped rules run over a fleet that is scraped. On 127.0.0.1, in a temporary
folder.
"""

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from measure import ROOT
from month import tables
from month.data import SLOT_MS, Fleet
from month.loads import Owners
from month.needs import history_s, intervals_s, read_by_pages, rules_read_s
from month.pages import Page, Session, Span
from month.raw import PAIRS, Compared, compared
from month.rules import Group, evaluated
from month.series import HOUR_SLOTS, TILE_SLOT, Series
from month.server import Agents, prometheus, version
from month.timing import DAY_S, SPANS_S, Others, Times, opened, repeated
from month.tsdb import Block, Encoder, Line, ranges

PAGES = ("gputally-cost", "gputally-teams", "gputally-jobs")
SIZES, QUICK_SIZES = (50, 200, 500, 1000), (50,)
REPEATS, RAW_REPEATS = 20, 5
RULES_S = {True: 75, False: 330}
AHEAD_SLOTS = 24  # of the fleet's life after the blocks, for the live part
ALIGN_MS = 7_200_000
BARE = {"global": {"scrape_interval": "15s"}}


class Bench:
    """One fleet of one size in a folder of its own."""

    def __init__(self, folder: Path, gpus: int, days: int, pages: list[Page]) -> None:
        self.folder, self.gpus, self.pages = folder, gpus, pages
        (folder / "data").mkdir(parents=True)
        self._encoder = Encoder(folder)
        self.end_ms = int(time.time() * 1000) // SLOT_MS * SLOT_MS
        begin_ms = (self.end_ms - days * DAY_S * 1000) // ALIGN_MS * ALIGN_MS
        self.fleet = Fleet(gpus, begin_ms, (self.end_ms - begin_ms) // SLOT_MS + AHEAD_SLOTS)
        self.days = days

    def fill(self) -> None:
        """Write all that anybody will read, up to now."""
        steps_ms = {name: every_s * 1000 for name, every_s in intervals_s().items()}
        raw = [form for pair in PAIRS for form in (pair.tiles, pair.raw)]
        self.needs = history_s(self.pages, raw, self.days * DAY_S + ALIGN_MS // 1000)
        self._series = Series(Owners(self.fleet), steps_ms, self._since())
        blocks = [self._block(*cut) for cut in ranges(self.fleet.begin_ms, self.end_ms)]
        for name, line in self._series.lines(self.needs):
            since_ms = max(self.end_ms - self.needs[name] * 1000, line.begin_ms)
            until_ms = line.begin_ms + len(line.slots) * line.slot_ms
            for block in blocks:
                if block.end_ms > since_ms and block.begin_ms < until_ms:
                    block.add(line, since_ms)
                elif block.end_ms <= since_ms and _lasts(line):
                    block.mark(line)
        for block in blocks:
            block.close()
        self.samples = sum(block.samples for block in blocks)
        self.unknown = sorted(self._series.unknown & read_by_pages(self.pages))

    def _since(self) -> dict[str, int]:
        """The midnight from which each series is made, so that what nobody reads costs little."""
        day_ms = DAY_S * 1000
        found = {}
        for name, length_s in self.needs.items():
            midnight_ms = (self.end_ms - length_s * 1000 - day_ms) // day_ms * day_ms
            found[name] = max(0, (midnight_ms - self.fleet.begin_ms) // SLOT_MS)
        return found

    def _block(self, begin_ms: int, end_ms: int) -> Block:
        return Block(self._encoder, self.folder / "data", begin_ms, end_ms)

    def bytes(self) -> int:
        """What the blocks take on the disk."""
        return sum(path.stat().st_size for path in (self.folder / "data").rglob("*") if path.is_file())

    def pages_asked(self, program: str, repeats: int) -> dict[str, list[Times]]:
        """Range -> every question of the pages; each range begins with a Prometheus that has read nothing."""
        found = {}
        for name, length_s in self.spans().items():
            with prometheus(self.folder, BARE, program=program, cold=True) as server:
                session = Session(server.address)
                found[name] = opened(session, self.pages, Span(self.end_ms // 1000, length_s))
                repeated(session, server.pid, found[name], repeats)
        return found

    def spans(self) -> dict[str, int]:
        """Ranges that the data is long enough for."""
        return {name: length_s for name, length_s in SPANS_S.items() if length_s <= self.days * DAY_S}

    def raw_asked(self, program: str, repeats: int) -> dict[str, list[Compared]]:
        """Range -> tiles against raw series, a minute after the last tile: both see the same hours."""
        tile_ms = HOUR_SLOTS * SLOT_MS
        offset_ms = self.fleet.begin_ms + TILE_SLOT * SLOT_MS
        last_ms = (self.end_ms - offset_ms) // tile_ms * tile_ms + offset_ms
        with prometheus(self.folder, BARE, program=program) as server:
            session = Session(server.address)
            return {
                name: compared(session, Span(last_ms // 1000 + 60, length_s), repeats)
                for name, length_s in self.spans().items()
            }

    def rules_run(self, program: str, length_s: float) -> tuple[list[Group], list[str]]:
        """Carry the blocks on to this moment, and let the agents go on from there."""
        needs = rules_read_s()
        now_ms = int(time.time() * 1000)
        block = self._block(self.end_ms, now_ms)
        live = []
        for name, line in self._series.lines(needs):
            block.add(line)
            if ":" not in name and name != "up":
                live.append(line)
        block.close()
        agents = Agents(self._encoder, live, now_ms)
        del live
        return evaluated(self.folder, agents, length_s, program)


def _lasts(line: Line) -> bool:
    """Whether a series is there all the month: where nobody reads it, one sample a block fills the index."""
    return not any(name in {"day", "job_id"} for name, _ in line.labels)


def _pages() -> list[Page]:
    folder = ROOT / "grafana" / "dashboards"
    missing = [name for name in PAGES if not (folder / f"{name}.json").exists()]
    if missing:
        print(f"not measured, because grafana/dashboards/ has no {', '.join(missing)}", file=sys.stderr)
    return [Page(folder / f"{name}.json") for name in PAGES if name not in missing]


@dataclass(frozen=True)
class Plan:
    """What is to be measured; the last of the programs also gets the raw questions and the rules."""

    sizes: Sequence[int]
    days: int
    repeats: int
    rules_s: float
    programs: Sequence[str]
    pages_only: bool


def run(top: Path, plan: Plan) -> bool:
    """Measure and print; whether all limits are kept."""
    pages, good = _pages(), True
    curves: dict[str, dict[int, dict[str, list[Times]]]] = {program: {} for program in plan.programs}
    raw: dict[int, dict[str, list[Compared]]] = {}
    last = plan.programs[-1]
    for gpus in plan.sizes:
        bench = Bench(top / f"{gpus}", gpus, plan.days, pages)
        began = time.monotonic()
        bench.fill()
        tables.filled(bench.gpus, bench.samples, bench.bytes(), time.monotonic() - began, bench.unknown)
        for program, curve in curves.items():
            others = Others()
            curve[gpus] = bench.pages_asked(program, plan.repeats)
            tables.others(f"pages asked of Prometheus {version(program)}", others.share)
        if not plan.pages_only:
            others = Others()
            raw[gpus] = bench.raw_asked(last, RAW_REPEATS)
            tables.others("raw series asked", others.share)
        if gpus == max(plan.sizes) and not plan.pages_only:
            others = Others()
            ran = bench.rules_run(last, plan.rules_s)
            tables.others("rules evaluated", others.share)
            good &= tables.rules(*ran, f"{gpus} GPUs, Prometheus {version(last)}")
        shutil.rmtree(bench.folder)
    for program, curve in curves.items():
        good &= tables.curve(curve, version(program))
        tables.questions(curve[max(plan.sizes)], f"{max(plan.sizes)} GPUs, Prometheus {version(program)}")
    if raw:
        tables.against_raw(raw, version(last))
    return good


def main() -> None:
    """Print the tables; exit status 1 if a limit is broken."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="50 GPUs, 2 days: to see that it runs")
    parser.add_argument("--gpus", help="sizes, with commas between them")
    parser.add_argument("--days", type=int)
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--rules-seconds", type=float, help="how long the rules run over the scraped fleet")
    parser.add_argument("--pages-only", action="store_true", help="no raw series, no rules")
    parser.add_argument("--prometheus", action="append", help="program to measure; may be given again")
    given = parser.parse_args()
    sizes = [int(n) for n in given.gpus.split(",")] if given.gpus else QUICK_SIZES if given.quick else SIZES
    days = given.days or (2 if given.quick else 30)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="gputally-fleet-") as folder:
        tables.machine()
        rules_s = given.rules_seconds or RULES_S[given.quick]
        plan = Plan(sizes, days, given.repeats, rules_s, given.prometheus or ["prometheus"], given.pages_only)
        good = run(Path(folder), plan)
    tables.end(time.monotonic() - began)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
