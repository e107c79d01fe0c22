"""The past that `make run` gives a simulated machine: played by the real agents, in a real Prometheus."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from prometheus.tests.running import TOP, Run, await_truth, start
from scripts.stack.backfill import EDGE_S, clear_of_edges, read_groups, written_out
from scripts.stack.history import COARSE_NS, FINE_NS, LAST_NS, step_ns
from scripts.stack.past import Past
from scripts.stack.playing import Player, Target
from scripts.stack.stack import Stack

from gputally.config.settings import NodeSettings, SiteSettings
from gputally.model import Instant
from gputally.model.clock import NS_PER_SECOND

HOUR_S, MINUTE_S = 3600, 60
COUNTERS = (
    "gpu_energy_joules_total",
    "gpu_busy_seconds_total",
    "gpu_energy_cost_total",
    "gpu_team_energy_joules_total",
    "gpu_unattributed_energy_joules_total",
    "gpu_job_energy_joules_total",
)
ENERGY = "gpu_energy_joules_total"
TILE = "cluster:gpu_energy_kwh:increase1h"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("history")


@pytest.fixture(scope="module")
def run(folder: Path) -> Iterator[Run]:
    """A machine with a past of three hours, and some seconds of its life."""
    run = start(folder, "--source=simulated", "--scrape-interval=1s", history="3h")
    try:
        await_truth(lambda: run.address("node") and " kWh since start" in run.text, lambda: run.text, 120)
        yield run
    finally:
        run.end()


def samples(run: Run, selector: str) -> list[list[tuple[float, float]]]:
    """Every sample of each series."""
    found = run.ask("query", query=f"{selector}[4h]")["result"]
    return [[(at, float(value)) for at, value in one["values"]] for one in found]


def at(series: list[tuple[float, float]], instant: float) -> float:
    """A counter between two scrapes."""
    before, after = max(s for s in series if s[0] <= instant), min(s for s in series if s[0] > instant)
    return before[1] + (after[1] - before[1]) * (instant - before[0]) / (after[0] - before[0])


def test_it_is_said_that_the_past_is_simulated(run: Run) -> None:
    assert re.search(r"^a past of 3h is simulated: .* \d+ s$", run.text, re.MULTILINE)
    assert re.search(
        r"^  the 3h before \d{4}-\d\d-\d\d \d\d:\d\d UTC are simulated and played", run.text, re.MULTILINE
    )


def test_the_hours_of_the_past_have_tiles(run: Run) -> None:
    (tiles,) = samples(run, TILE)
    assert len(tiles) >= 2
    assert {round(after - before) for (before, _), (after, _) in pairwise(tiles)} == {HOUR_S}


def test_tiles_are_what_the_counters_gained(run: Run) -> None:
    (tiles,) = samples(run, TILE)
    first, last = tiles[0][0], tiles[-1][0]
    gained = sum(at(series, last) - at(series, first) for series in samples(run, ENERGY)) / 3.6e6
    assert sum(kwh for _, kwh in tiles[1:]) == pytest.approx(gained, rel=0.005)


def steps(run: Run, counter: str, since_s: float) -> list[tuple[float, float]]:
    """Seconds and gain from each sample to the next, of all series."""
    return [
        (after[0] - before[0], after[1] - before[1])
        for series in samples(run, counter)
        for before, after in pairwise(series)
        if after[0] > since_s
    ]


@pytest.mark.parametrize("counter", COUNTERS)
def test_counters_go_on_where_the_agent_takes_over(run: Run, counter: str) -> None:
    lately = time.time() - 300 if counter == ENERGY else 0.0
    if counter == ENERGY:  # live, and played until just before
        await_truth(
            lambda: {round(s) for s, _ in steps(run, counter, lately)} >= {1, 10},
            lambda: str(samples(run, counter)),
        )
    gains = steps(run, counter, lately)
    assert min(gained for _, gained in gains) >= 0
    if counter == ENERGY:
        assert max(seconds for seconds, _ in gains) < MINUTE_S
        assert max(gained / seconds for seconds, gained in gains if seconds > 2) < 1000  # watts


def test_every_rule_that_a_page_reads_has_a_past(run: Run) -> None:
    """But for those that nothing is to be told by: no job has ended, or no day."""
    wanted = {rule["record"] for group in read_groups() for rule in group["rules"]}
    found = run.ask("query", query='count by (__name__) ({__name__=~".+:.+:.+"} offset 10m)')["result"]
    assert wanted - {one["metric"]["__name__"] for one in found} <= {"job_id:gpu_job_end_time_seconds:max"}


def test_jobs_of_the_past_go_on(run: Run) -> None:
    before, now = (
        {
            one["metric"]["job_id"]
            for one in run.ask("query", query=f'gpu_job_info{{scheduler="simulated"}}{when}')["result"]
        }
        for when in (" offset 10m", "")
    )
    assert before & now


def test_a_second_start_plays_nothing(run: Run, folder: Path) -> None:
    """Last of this module: the first run is ended."""
    tiles = samples(run, TILE)
    assert run.end() == 0
    again = start(folder, "--source=simulated", "--scrape-interval=1s", history="3h")
    try:
        await_truth(lambda: again.address("node") and " W" in again.text, lambda: again.text)
        assert "a past of" not in again.text
        assert "are simulated and played" in again.text
        assert samples(again, TILE) == tiles
    finally:
        again.end()


def test_who_does_not_wait_for_the_past_leaves_nothing_behind(tmp_path: Path) -> None:
    run = start(tmp_path, "--source=simulated", history="50h")
    await_truth(lambda: list(run.folder.glob("past-*/scrapes-*.log")), lambda: run.text)
    children = psutil.Process(run.process.pid).children(recursive=True)
    assert run.end() == 0
    assert [child for child in children if child.is_running() and child.status() != "zombie"] == []
    assert [path.name for path in run.folder.iterdir() if path.name.startswith(("past", "prometheus"))] == []
    assert not (run.folder / "state").exists()


def test_a_past_that_fails_is_said_and_left_out(tmp_path: Path) -> None:
    said: list[str] = []
    past = Past(tmp_path, tmp_path / "state", "3h", said.append)
    past.play(["node", "--no-such-flag"], {"node": 1, "site": 2})
    assert said[1].startswith("no past: history ended with status 1; ")
    assert "--no-such-flag" in said[1]
    assert not past.text
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


def player(folder: Path, now: Instant, past_s: int) -> Player:
    played = Player(
        (NodeSettings(simulated_gpus=2), Target("node", "n")),
        (SiteSettings(), Target("site", "s")),
        folder=folder,
        begin_ns=now.wall_ns - past_s * NS_PER_SECOND,
        now=now,
        boot_id="now",
    )
    played.wanted = frozenset({ENERGY, "gpu_device_events_total"})
    return played


def test_a_machine_that_was_booted_within_its_past_is_played_through_the_boot(tmp_path: Path) -> None:
    now = Instant(HOUR_S * NS_PER_SECOND, 1_800_000_000 * NS_PER_SECOND)
    played = player(tmp_path, now, 2 * HOUR_S)
    scrapes = list(played.play(now.wall_ns, lambda _: COARSE_NS))
    played.finish()
    energy: dict[str, list[float]] = {}
    for scrape in scrapes:
        for line in scrape:
            head, value, _ = line.rsplit(" ", 2)
            energy.setdefault(head, []).append(float(value))
    joules = [values for head, values in energy.items() if head.startswith(ENERGY)]
    assert [sorted(values) == values and values[-1] > 2 * HOUR_S * 10 for values in joules] == [True, True]
    boots = [values[-1] for head, values in energy.items() if 'event="reboot"' in head]
    assert boots == [1, 1]
    assert len(scrapes) == 2 * HOUR_S // 150


def test_one_that_was_booted_before_is_not(tmp_path: Path) -> None:
    now = Instant(9 * HOUR_S * NS_PER_SECOND, 1_800_000_000 * NS_PER_SECOND)
    played = player(tmp_path, now, HOUR_S)
    *_, last = played.play(now.wall_ns, lambda _: COARSE_NS)
    assert [line.split(" ")[1] for line in last if 'event="reboot"' in line] == ["0", "0"]
    assert played._clock.wall_ns == now.wall_ns


def test_scrapes_get_rarer_the_longer_ago_they_are() -> None:
    ages = [0, HOUR_S, 5 * HOUR_S, 10 * HOUR_S, 50 * HOUR_S]
    steps = [step_ns(age * NS_PER_SECOND) for age in ages]
    assert steps == [LAST_NS, FINE_NS, COARSE_NS // 2, COARSE_NS, COARSE_NS]


def test_rules_are_written_out_to_what_is_scraped() -> None:
    known: dict[str, Any] = {
        "a:b:c": {"expr": "sum(x)", "every": "5m"},
        "d:e:f": {"expr": "max_over_time(a:b:c[1d]) / a:b:c", "every": "1m"},
    }
    assert written_out("d:e:f + z:z:z", known) == "(max_over_time((sum(x))[1d:5m]) / (sum(x))) + z:z:z"


def test_what_only_reports_read_has_a_past_too() -> None:
    assert "job_id:gpu_job_busy_hours:max" in {
        rule["record"] for group in read_groups() for rule in group["rules"]
    }


def test_rules_that_are_written_out_are_valid(tmp_path: Path) -> None:
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": read_groups()}))
    subprocess.run(["promtool", "check", "rules", str(file)], check=True, capture_output=True)
    expressions = [rule["expr"] for group in read_groups() for rule in group["rules"]]
    assert len(expressions) > 20
    assert [expr for expr in expressions if re.search(r"\w:\w+:\w", expr)] == []


@pytest.mark.parametrize(("before_edge_s", "moved_s"), [(0, 0), (1, 1), (HOUR_S, HOUR_S), (HOUR_S + 1, 0)])
def test_a_start_close_before_an_edge_of_blocks_is_moved_to_it(before_edge_s: int, moved_s: int) -> None:
    start_s = 3000 * EDGE_S - before_edge_s
    assert clear_of_edges(start_s) == start_s + moved_s


@pytest.mark.parametrize(("history", "why"), [("two", "expected a duration"), ("30d", "29d at most")])
def test_a_past_that_cannot_be_is_refused_in_one_line(tmp_path: Path, history: str, why: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "scripts.stack", f"--folder={tmp_path}", f"--history={history}"],
        cwd=TOP,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"make run: --history={history}: {why}")


class RealStack(Stack):
    """One that finds a GPU, and starts nothing."""

    def _starts_real(self) -> bool:
        return True


def test_a_real_machine_is_given_no_past(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Past, "play", lambda *_: pytest.fail("played"))
    stack = RealStack(tmp_path, source="nvml", history="3h")
    stack._start_agent()
    assert not stack.is_simulated
