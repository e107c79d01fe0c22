"""How many machines one Prometheus carries on two cores: scrapes, all shipped rules and alerts, live pages.

    python benchmarks/curve.py [--quick] [--nodes 25,125,250,500] [--seconds 60]

One process answers for all machines with the page of one real agent, whose GPUs, jobs and users it renames;
beside it a real site agent declares prices, owned GPUs, bookings, budgets and bills, and shows a recorded
market. A real Prometheus with the shipped configuration finds an hour of all that in its store, scrapes on at
15 s and evaluates everything. Longer intervals of rules are shortened to a minute until each group has been
evaluated; then the shipped ones hold while CPU is measured; then the live pages are asked. On 127.0.0.1, in a
temporary folder.
"""

import argparse
import json
import os
import signal
import statistics
import sys
import tempfile
import time
import urllib.parse
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from measure import ROOT, cpu_seconds, resident_mib, scrape
from month import tables
from month.pages import Page, Session, Span
from month.rules import POLL_S, Group, must_work, raised, read
from month.server import Server, version
from month.timing import Others, Times, opened, timed
from nodes import curve
from nodes.curve import Step
from nodes.world import GPUS, HURRIED_S, World
from push import figure

NODES, QUICK_NODES = "25,125,250,500", "10"
WARM_UP_S, PATIENCE_S = 66, 300  # until every group has had its turn, which takes longer where much is read
SETTLE_S = 6  # after the reload
SPAN_S = 3600
ASKING_S = 30  # after which no new round of questions begins
SHOWN = 10  # of the slowest questions
PAGES = ("gputally-fleet", "gputally-gpu", "gputally-health")


@dataclass(frozen=True)
class Ran:
    """What is shown of one number of machines alone."""

    groups: list[Group]
    alerts: list[str]
    asked: list[Times]


class Measured:
    """What a server has done since this was made."""

    def __init__(self, server: Server, pids: dict[str, int]) -> None:
        self._url, self._pids = server.address, pids
        self._began_s, self._then = time.monotonic(), self._now()

    def _now(self) -> dict[str, float]:
        counted = {
            "samples": figure(self._url, "prometheus_tsdb_head_samples_appended_total"),
            "missed": figure(self._url, "prometheus_rule_group_iterations_missed_total"),
        }
        return counted | {name: cpu_seconds(pid) for name, pid in self._pids.items()}

    def gained(self) -> tuple[dict[str, float], float]:
        """How much of everything, in how many seconds."""
        now = self._now()
        gained = {name: now[name] - before for name, before in self._then.items()}
        return gained, time.monotonic() - self._began_s


def ask(server: Server, query: str) -> float:
    """One number, from Prometheus itself."""
    answer: Any = json.loads(scrape(f"{server.address}/api/v1/query?query={urllib.parse.quote(query)}"))
    found = answer["data"]["result"]
    return float(found[0]["value"][1]) if found else 0.0


def warmed(server: Server, world: World) -> dict[str, Group]:
    """Wait until every group has had its turn, then go over to the shipped intervals; the groups."""
    hurried, began = world.rules(HURRIED_S), time.monotonic()
    while (gone_s := time.monotonic() - began) < WARM_UP_S or (
        gone_s < PATIENCE_S and not all(group.took_s for group in hurried.values())
    ):
        time.sleep(POLL_S)
        read(server, hurried)
    must_work(server, hurried.values())
    shipped = world.rules(sys.maxsize)
    os.kill(server.pid, signal.SIGHUP)
    for name, group in shipped.items():
        if group.interval_s > HURRIED_S:  # the others have their turn while all is measured
            group.took_s, group.samples = hurried[name].took_s, hurried[name].samples
    time.sleep(SETTLE_S)
    return shipped


def questions(server: Server, repeats: int) -> list[Times]:
    """Every query of the live pages over the hour before now, as Grafana asks them, again and again."""
    session = Session(server.address)
    pages = [Page(ROOT / "grafana" / "dashboards" / f"{name}.json") for name in PAGES]
    asked, until = opened(session, pages, Span(int(time.time()), SPAN_S)), time.monotonic() + ASKING_S
    for number in range(repeats):
        if number and time.monotonic() > until:
            break
        for times in asked:
            times.warm_ms.append(timed(session, times.question))
    return asked


def step_of(world: World, server: Server, length_s: int, repeats: int) -> tuple[Step, Ran]:
    """Measure one number of machines, whose programs run."""
    groups = warmed(server, world)
    measured, until = Measured(server, world.pids), time.monotonic() + length_s
    while time.monotonic() < until:
        time.sleep(POLL_S)
        read(server, groups)
    gained, elapsed = measured.gained()
    must_work(server, groups.values())
    window = f"[{length_s}s]"
    failed = ask(server, f"sum(count_over_time(up{window})) - sum(sum_over_time(up{window}))")
    mib, count = resident_mib(server.pid), figure(server.address, "prometheus_tsdb_head_series")
    asked = questions(server, repeats)
    all_ms = [ms for times in asked for ms in times.warm_ms]
    step = Step(
        nodes=world.nodes,
        gpus=world.nodes * GPUS,
        series=count,
        samples_per_s=gained["samples"] / elapsed,
        cores=gained["prometheus"] / elapsed,
        rule_cores=sum(group.median_s / group.interval_s for group in groups.values()),
        mib=mib,
        groups_s=sum(group.median_s for group in groups.values()),
        slowest=max((group.median_s / group.interval_s, group.name) for group in groups.values()),
        missed=gained["missed"],
        late_s=late_s(server),
        failed=failed + world.nodes - ask(server, 'count(up{job="gputally-node"})'),
        p50_ms=statistics.median(all_ms),
        p95_ms=curve.p95(all_ms),
        question=max((times.p50, times.question.asker) for times in asked),
        simulator_cores=gained["machines"] / elapsed,
    )
    return step, Ran(list(groups.values()), raised(server), asked)


def late_s(server: Server) -> float:
    """How much later than it should one scrape in a hundred comes."""
    return max(
        0.0, figure(server.address, "prometheus_target_interval_length_seconds", 'quantile="0.99"') - 15
    )


def measure(nodes: int, given: argparse.Namespace) -> tuple[Step, Ran]:
    """One number of machines, with programs of its own, which begin with an hour behind them."""
    others = Others()
    with tempfile.TemporaryDirectory(prefix="gputally-curve-") as folder:
        with ExitStack() as stack:
            world = World(Path(folder), nodes, stack)
            server = world.start(given.prometheus)
            step, ran = step_of(world, server, given.seconds, given.repeats)
        return replace(step, others=others.share), ran


def run(given: argparse.Namespace) -> None:
    """All numbers, until the server does not keep up with one."""
    steps: list[Step] = []
    shown: tuple[Step, Ran] | None = None
    print(f"Prometheus {version(given.prometheus)}\n\n{curve.HEAD}", flush=True)
    for nodes in map(int, given.nodes.split(",")):
        step, ran = measure(nodes, given)
        print(curve.row(step), flush=True)
        steps.append(step)
        if shown is None or step.nodes <= given.groups_at:
            shown = step, ran
        if not curve.keeps_up(step):
            break
    print(*curve.growth(steps), *curve.verdict(steps), sep="\n")
    if shown:
        details(*shown)


def details(step: Step, ran: Ran) -> None:
    """All groups of rules, and the questions that take longest."""
    tables.rules(ran.groups, ran.alerts, f"{step.gpus:,} GPUs")
    print(f"\nlive pages at {step.gpus:,} GPUs, over an hour\n")
    print("| page | questions | p50 | p95 |\n|---|---|---|---|")
    for page in PAGES:
        took = [times.warm_ms for times in ran.asked if times.question.asker.startswith(f"{page}:")]
        all_ms = [ms for one in took for ms in one]
        figures = f"{statistics.median(all_ms):.0f} ms | {curve.p95(all_ms):.0f} ms"
        print(f"| {page} | {len(took)} | {figures} |")
    print("\nslowest questions, median:")
    for times in sorted(ran.asked, key=lambda one: -one.p50)[:SHOWN]:
        print(f"  {times.p50:6,.0f} ms  {times.question.asker}")


def main() -> None:
    """Print the curve and the limit."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="80 GPUs, briefly: to see that it runs")
    parser.add_argument("--nodes", help=f"numbers of machines, rising; else {NODES}")
    parser.add_argument("--seconds", type=int, help="of each measurement, after a minute of warming up")
    parser.add_argument("--repeats", type=int, help="of each query of the live pages")
    parser.add_argument("--groups-at", type=int, default=125, help="machines at which all groups are shown")
    parser.add_argument("--prometheus", default="prometheus", help="program to measure")
    given = parser.parse_args()
    given.nodes = given.nodes or (QUICK_NODES if given.quick else NODES)
    given.seconds = given.seconds or (15 if given.quick else 60)
    given.repeats = given.repeats or (2 if given.quick else 5)
    began = time.monotonic()
    tables.machine()
    run(given)
    tables.end(time.monotonic() - began)


if __name__ == "__main__":
    main()
