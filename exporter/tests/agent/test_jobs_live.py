"""Short jobs seen by a real Prometheus that scrapes seldom: what it keeps is exact, and nothing is missing.

A machine with a known truth runs a hundred times as fast as the clock; time that simulated jobs take stays in
step with the scrapes that were answered, so that a slow machine makes the test slower and not red.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from gputally.collect.exposition import Format
from gputally.collect.page import Page
from gputally.model import JobRow, SelfReport, Snapshot
from gputally.node.attribution.book import Book
from gputally.node.jobs import Jobs
from tests.agent.jobtruth import BusyWorld, Used, short_jobs, truth_of
from tests.agent.scraping import Prometheus
from tests.node.jobworld import EPOCH_S, IDLE_W, SECOND_NS, Plan, World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

JOBS, GPUS = 2000, 24
KEEP_S = 300  # the shortest that can be configured
BETWEEN_S = 70  # simulated seconds between two scrapes, at most: last values are there for four of them
RANGE = "[10m]"
PATIENCE_S = 60.0


class Node:
    """Attribution of a World, and the page of it that a server hands out."""

    def __init__(self, world: World) -> None:
        self.world, self.roster = world, world.roster()
        self.book = Book("allocated", keep_ns=KEEP_S * SECOND_NS)
        self.jobs = Jobs(world, self.book, "allocated", {"A card": float(IDLE_W)})
        self.final: dict[str, JobRow] = {}  # the last that the book said of each job
        self.latest = Snapshot(at=None)
        self.served: list[int] = []  # seconds of the world whose page was handed out
        self.scraped = threading.Condition()

    def tick(self) -> None:
        """A second goes by and is published."""
        self.world.tick(self.roster, self.jobs)
        ledger = self.jobs.ledger({self.world.uuid(gpu): str(gpu) for gpu in range(self.world.gpus)})
        self.final.update((row.job.job_id, row) for row in ledger.jobs)
        now = self.world.now
        report = SelfReport(samples=self.world.second)
        self.latest = Snapshot(at=now, gpus=self.roster.snapshots(now), ledger=ledger, report=report)

    def run(self, until: int) -> None:
        """Tick in step with the scrapes. Fails when nobody scrapes any more."""
        while self.world.second < until:
            with self.scraped:
                in_step = self.scraped.wait_for(self._in_step, PATIENCE_S)
            assert in_step, f"not scraped for {PATIENCE_S} s at second {self.world.second}"
            self.tick()

    def _in_step(self) -> bool:
        return bool(self.served) and self.world.second < self.served[-1] + BETWEEN_S


@contextmanager
def served(node: Node, target: str) -> Iterator[None]:
    """Serve the page in a thread until the block ends."""
    page = Page(lambda: node.latest)

    class Scrape(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            second = node.latest.report.samples
            body = page.render(Format.TEXT)  # of this second, or of one after it
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.end_headers()
            self.wfile.write(body)
            with node.scraped:
                node.served.append(second)
                node.scraped.notify()

        def log_message(self, *_args: object) -> None:
            pass

    host, _, port = target.partition(":")
    with HTTPServer((host, int(port)), Scrape) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="page")
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


@dataclass(frozen=True)
class Done:
    """All jobs have come and gone, and Prometheus has scraped all the while."""

    plans: tuple[Plan, ...]
    node: Node
    prometheus: Prometheus

    def kept(self, name: str, *labels: str, unit: float = 1000) -> Counter[tuple[str, ...]]:
        """The highest value of each series, in whole units of a thousandth, summed by some labels."""
        sums: Counter[tuple[str, ...]] = Counter()
        for series in self.prometheus.query(f"max_over_time({name}{RANGE})"):
            sums[tuple(series[label] for label in labels)] += round(float(series["value"]) * unit)
        return sums


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Done]:
    """From the first second to the last."""
    plans = short_jobs(JOBS, GPUS, seed=2000)
    node = Node(BusyWorld(GPUS, plans))
    prometheus = Prometheus(tmp_path_factory.mktemp("prometheus"))
    try:
        with served(node, prometheus.target):
            node.tick()
            node.run(max(plan.end for plan in plans) + 5)
            wait_until(lambda: of_scrape(prometheus) == node.world.second, "the last second is scraped")
            yield Done(plans, node, prometheus)
    finally:
        prometheus.stop()


@pytest.fixture(scope="module")
def truth(done: Done) -> dict[str, Used]:
    """What each job must have used."""
    return truth_of(done.plans)


def of_scrape(prometheus: Prometheus) -> int:
    """Second of the world that the latest scrape saw."""
    return max((int(v["value"]) for v in prometheus.query("gputally_samples_total")), default=0)


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"not within {PATIENCE_S} s: {what}"
        time.sleep(0.05)


def assert_same(
    what: str, expected: Mapping[Any, float], got: Mapping[Any, float], off: Mapping[Any, int] | None = None
) -> None:
    """Every value is there, nothing else is, and none is off by more than rounding; else a short table."""
    off = off or {}
    missing, invented = expected.keys() - got.keys(), got.keys() - expected.keys()
    wrong = [
        f"{key}: {got.get(key)} is not {float(expected.get(key, 0))}"
        for key in {**expected, **got}
        if key in missing | invented or abs(got[key] - expected[key]) > off.get(key, 0)
    ]
    counts = f"{what}: {len(wrong)} wrong, of these {len(missing)} missing and {len(invented)} invented"
    assert not wrong, "\n".join([counts, *wrong[:20]])


@pytest.mark.fault("jobs-short")
def test_the_energy_of_every_short_job_is_kept_to_the_millijoule(done: Done, truth: dict[str, Used]) -> None:
    """Those who share a GPU are off by less than a millijoule a tick; none folded, none missing."""
    assert len(truth) == JOBS
    assert of_scrape(done.prometheus) > 1000
    # On a busy machine one may be lost: last values are there for four.
    assert min(float(v["value"]) for v in done.prometheus.query(f"avg_over_time(up{RANGE})")) > 0.9
    kept = done.kept("gpu_job_energy_joules_total", "job_id", "component")
    expected = {(job_id, "active"): used.active_mj for job_id, used in truth.items()}
    expected |= {(job_id, "idle"): used.idle_mj for job_id, used in truth.items()}
    off = {key: truth[key[0]].shared for key in expected if key[0] in truth}
    assert_same("job and component: mJ", expected, kept, off)


def test_what_a_table_of_finished_jobs_shows_is_what_the_book_said_last(done: Done) -> None:
    highest = f"max by (job_id, uuid, component) (max_over_time(gpu_job_energy_joules_total{RANGE}))"
    asked = done.prometheus.query(f"sum by (job_id) ({highest})")
    shown = {series["job_id"]: round(float(series["value"]) * 1000) for series in asked}
    final = done.node.final.items()
    assert_same(
        "job: mJ", {job_id: round(sum(row.energy_joules.values()) * 1000) for job_id, row in final}, shown
    )
    for name, of in (("start", "start_seconds"), ("end", "end_seconds")):
        kept = done.kept(f"gpu_job_{name}_time_seconds", "job_id", unit=1)
        assert_same(f"{name} of job", {(job_id,): getattr(row, of) for job_id, row in final}, kept)
        planned = {(plan.job_id,): EPOCH_S + getattr(plan, name) for plan in done.plans}
        assert_same(f"planned {name} of job", planned, kept)


def test_gpu_seconds_and_busy_seconds_of_every_short_job_are_kept(done: Done, truth: dict[str, Used]) -> None:
    for name, of in (("gpu", "held_s"), ("busy", "busy_s")):
        kept = done.kept(f"gpu_job_{name}_seconds_total", "job_id", unit=1e9)
        expected = {(job_id,): getattr(used, of) * 10**9 for job_id, used in truth.items()}
        off = {(job_id,): 2 * used.shared for job_id, used in truth.items()}
        assert_same(f"job: {name} ns", expected, kept, off)


def test_what_teams_have_used_is_the_sum_of_their_jobs(done: Done) -> None:
    owners = {plan.job_id: (plan.team, plan.user) for plan in done.plans}
    for what, unit in (("energy_joules", 1e3), ("gpu_seconds", 1e9), ("busy_seconds", 1e9)):
        by_job = done.kept(f"gpu_job_{what}_total", "job_id", unit=unit)
        sums: Counter[tuple[str, ...]] = Counter()
        for (job_id,), value in by_job.items():
            sums[owners[job_id]] += value
        kept = done.kept(f"gpu_team_{what}_total", "team", "user", unit=unit)
        assert_same(f"team and user: {what}", sums, kept)
        assert len(kept) == len(set(owners.values()))


def test_every_joule_of_every_gpu_has_an_owner_or_a_reason(done: Done, truth: dict[str, Used]) -> None:
    metered = done.kept("gpu_energy_joules_total", "uuid")
    owned = done.kept("gpu_job_energy_joules_total", "uuid")
    owned.update(done.kept("gpu_unattributed_energy_joules_total", "uuid"))
    assert len(metered) == GPUS
    assert_same("GPU: mJ", metered, owned)
    paid = sum(used.active_mj + used.idle_mj for used in truth.values())
    nobodys = done.kept("gpu_unattributed_energy_joules_total", "reason")
    assert {reason for (reason,), value in nobodys.items() if value} == {"idle"}
    assert nobodys["idle",] == sum(metered.values()) - paid
