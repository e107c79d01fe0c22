"""Attribution between sampler and book, on a machine whose truth is known: every joule has one owner."""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gputally.model import Ledger, Reading
from gputally.node.attribution.book import Book
from gputally.node.health import Health
from gputally.node.jobs import Jobs
from gputally.node.occupants import Occupants
from gputally.node.roster import Roster
from tests.node.jobworld import IDLE_W, SECOND_NS, Plan, World, world_at_random

KEEP_NS = 300 * SECOND_NS


def attribution(world: World, policy: str = "allocated", idle_w: dict[str, float] | None = None) -> Jobs:
    book = Book(policy, keep_ns=KEEP_NS)
    return Jobs(world, book, policy, {"A card": float(IDLE_W)} if idle_w is None else idle_w)


def ledger_of(jobs: Jobs, world: World) -> Ledger:
    return jobs.ledger({world.uuid(gpu): str(gpu) for gpu in range(world.gpus)})


def attributed_mj(ledger: Ledger) -> Counter[str]:
    """Energy by GPU that has an owner or a reason."""
    sums: Counter[str] = Counter()
    for row in ledger.jobs:
        for (_, uuid, _), joules in row.energy_joules.items():
            sums[uuid] += round(joules * 1000)
    for (_, uuid, _), joules in ledger.unattributed.energy_joules.items():
        sums[uuid] += round(joules * 1000)
    return sums


def metered_mj(roster: Roster) -> dict[str, int]:
    return {entry.gpu.uuid: entry.state.energy.acc_mj or 0 for entry in roster}


def assert_conserved(ledger: Ledger, roster: Roster) -> None:
    metered = metered_mj(roster)
    assert {uuid: attributed_mj(ledger)[uuid] for uuid in metered} == metered


def energy_j(ledger: Ledger, job_id: str, component: str = "active") -> float:
    rows = [row for row in ledger.jobs if row.job.job_id == job_id]
    assert len(rows) == 1, job_id
    return sum(j for (_, _, c), j in rows[0].energy_joules.items() if c == component)


def reasons(ledger: Ledger) -> dict[str, float]:
    sums: Counter[str] = Counter()
    for (_, _, reason), joules in ledger.unattributed.energy_joules.items():
        sums[reason] += joules
    return {reason: joules for reason, joules in sums.items() if joules}


def test_jobs_one_after_the_other_pay_for_their_own_seconds():
    """To the joule, the second in which one ends and the next begins included."""
    world = World(1, (Plan(1, 0, 5, 17, 500), Plan(2, 0, 17, 22, 300), Plan(3, 0, 40, 47, 650)))
    roster, jobs = world.roster(), attribution(world)
    for _ in range(60):
        world.tick(roster, jobs)
        assert_conserved(ledger_of(jobs, world), roster)
    ledger = ledger_of(jobs, world)
    assert energy_j(ledger, "job-1") == 12 * (500 - IDLE_W)
    assert energy_j(ledger, "job-2") == 5 * (300 - IDLE_W)
    assert energy_j(ledger, "job-3") == 7 * (650 - IDLE_W)
    assert reasons(ledger) == {"idle": 59 * IDLE_W}  # the first reading has nothing before it
    rows = {row.job.job_id: row for row in ledger.jobs}
    assert (rows["job-1"].state, rows["job-1"].exit_code) == ("completed", 0)
    assert rows["job-1"].busy_seconds == 12


def test_two_jobs_on_one_gpu_pay_by_their_computing_time():
    world = World(1, (Plan(1, 0, 2, 32, 475, 0.75), Plan(2, 0, 2, 32, 475, 0.25, "vision")))
    roster, jobs = world.roster(), attribution(world)
    for _ in range(40):
        world.tick(roster, jobs)
    ledger = ledger_of(jobs, world)
    assert energy_j(ledger, "job-1") == 30 * 300
    assert energy_j(ledger, "job-2") == 30 * 100
    assert {row.team: row.energy_joules for row in ledger.teams} == {"nlp": 9000.0, "vision": 3000.0}
    assert_conserved(ledger, roster)


def test_a_job_from_a_scheduler_pays_the_baseline_and_others_do_not():
    world = World(2, (Plan(1, 0, 2, 32, 475, scheduled=True), Plan(2, 1, 2, 32, 475)))
    roster, jobs = world.roster(), attribution(world)
    for _ in range(40):
        world.tick(roster, jobs)
    ledger = ledger_of(jobs, world)
    # Its process is there at the tick at which it begins: the polled second before is its own too.
    assert energy_j(ledger, "job-1", "idle") == pytest.approx(30 * IDLE_W, abs=IDLE_W)
    assert energy_j(ledger, "job-2", "idle") == 0
    assert_conserved(ledger, roster)


def test_what_was_used_while_the_gpu_gave_no_reading_is_nobodys_if_somebody_came_or_left():
    world = World(1, (Plan(1, 0, 2, 100, 500), Plan(2, 0, 20, 100, 500, 0.5)))
    roster, jobs = world.roster(), attribution(world)
    world.tick(roster, jobs)
    for _ in range(14):
        world.tick(roster, jobs)
    before = energy_j(ledger_of(jobs, world), "job-1")
    world.unread = frozenset({0})
    world.tick(roster, jobs, seconds=10)
    world.unread = frozenset()
    world.tick(roster, jobs)
    ledger = ledger_of(jobs, world)
    assert reasons(ledger)["gap"] == 11 * 500
    assert energy_j(ledger, "job-1") == before
    assert_conserved(ledger, roster)


def test_a_short_gap_with_the_same_processes_before_and_after_it_is_theirs():
    world = World(1, (Plan(1, 0, 2, 100, 500),))
    roster, jobs = world.roster(), attribution(world)
    for _ in range(15):
        world.tick(roster, jobs)
    world.unread = frozenset({0})
    world.tick(roster, jobs, seconds=2)
    world.unread = frozenset()
    world.tick(roster, jobs)
    ledger = ledger_of(jobs, world)
    assert "gap" not in reasons(ledger)
    assert energy_j(ledger, "job-1") == 16 * (500 - IDLE_W)
    assert_conserved(ledger, roster)


def test_a_process_that_nobody_knows_keeps_its_part():
    """It is not dealt out to those who can be named."""
    plans = (Plan(1, 0, 2, 32, 475, 0.5), Plan(2, 0, 2, 32, 475, 0.5))
    world = World(1, plans, unknown_pids=frozenset({plans[1].pid}))
    roster, jobs = world.roster(), attribution(world)
    for _ in range(40):
        world.tick(roster, jobs)
    ledger = ledger_of(jobs, world)
    assert energy_j(ledger, "job-1") == 30 * 200
    assert reasons(ledger)["unresolved"] == 30 * 200
    assert_conserved(ledger, roster)


def test_the_baseline_is_learnt_from_a_minute_without_anybody():
    world = World(1, (Plan(1, 0, 100, 110, 500),))
    roster, jobs = world.roster(), attribution(world, idle_w={})
    for _ in range(40):
        world.tick(roster, jobs)
    assert reasons(ledger_of(jobs, world)) == {"no_process": 39 * IDLE_W}  # not known yet
    for _ in range(80):
        world.tick(roster, jobs)
    ledger = ledger_of(jobs, world)
    assert ledger.idle_watts == {("0", "GPU-0"): float(IDLE_W)}
    assert energy_j(ledger, "job-1") == 10 * (500 - IDLE_W)
    assert_conserved(ledger, roster)


@pytest.mark.fault("collector-raises")
def test_a_fault_in_attribution_costs_no_joule_and_heals(caplog):
    world = World(1, (Plan(1, 0, 2, 32, 475),))
    roster, jobs = world.roster(), attribution(world)
    for _ in range(10):
        world.tick(roster, jobs)
    healthy = world.sightings
    world.sightings = lambda *_: (_ for _ in ()).throw(RuntimeError("broken"))
    for _ in range(5):
        world.tick(roster, jobs)
    assert jobs.failed
    assert len([r for r in caplog.records if "attribution failed" in r.message]) == 1
    world.sightings = healthy
    for _ in range(5):
        world.tick(roster, jobs)
    assert not jobs.failed
    assert_conserved(ledger_of(jobs, world), roster)


def test_a_restart_goes_on_with_every_account(tmp_path):  # noqa: ARG001
    world = World(1, (Plan(1, 0, 2, 60, 500), Plan(2, 0, 3, 60, 500, 0.5)))
    roster, jobs = world.roster(), attribution(world)
    for _ in range(20):
        world.tick(roster, jobs)
    before = ledger_of(jobs, world)
    again = attribution(world)
    again.restore(json.loads(json.dumps(jobs.to_json())), world.now, clean=True, same_boot=True)
    after = ledger_of(again, world)
    assert {r.job.job_id: r.energy_joules for r in after.jobs} == {
        r.job.job_id: r.energy_joules for r in before.jobs
    }
    assert after.teams == before.teams
    assert after.unattributed == before.unattributed
    entry = roster.entry("GPU-0")
    entry.state = replace(entry.state, gap="resumed")
    world.tick(roster, again, seconds=10)
    assert reasons(ledger_of(again, world))["exporter_down"] == 10 * 500
    assert_conserved(ledger_of(again, world), roster)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), policy=st.sampled_from(["allocated", "used", "weighted"]))
def test_whatever_happens_every_millijoule_has_one_owner(seed, policy):
    """Jobs at random, GPUs that do not answer, processes that nobody knows, restarts."""
    dice = random.Random(seed)  # noqa: S311 - no secret
    world = world_at_random(dice, ("nlp", "vision", "unassigned"))
    roster, jobs = world.roster(), attribution(world, policy, {} if dice.random() < 0.5 else None)
    before: dict[tuple[str, ...], float] = {}
    for _ in range(100):
        world.unread = frozenset(g for g in range(2) if dice.random() < 0.1)
        world.tick(roster, jobs, seconds=dice.choice([1, 1, 1, 2, 20]))
        if dice.random() < 0.05:
            saved = json.loads(json.dumps(jobs.to_json()))
            jobs = attribution(world, policy, {})
            jobs.restore(saved, world.now, clean=True, same_boot=True)
            for entry in roster:
                entry.state = replace(entry.state, gap="resumed")
        ledger = ledger_of(jobs, world)
        now = {(r.team, r.user, r.model): r.energy_joules for r in ledger.teams}
        assert all(now[key] >= value for key, value in before.items())
        before = now
        metered, nobodys = metered_mj(roster), attributed_mj(replace(ledger, jobs=()))
        teams_mj = sum(round(row.energy_joules * 1000) for row in ledger.teams)
        assert teams_mj + sum(nobodys.values()) == sum(metered.values())


def test_a_missed_reading_of_a_gpu_with_nobody_on_it_is_idle_all_the_same():
    world = World(1, ())
    roster, jobs = world.roster(), attribution(world)
    for second in range(30):
        world.unread = frozenset({0}) if second % 5 == 4 else frozenset()
        world.tick(roster, jobs)
    assert reasons(ledger_of(jobs, world)) == {"idle": 28 * IDLE_W}  # the last second is not told yet
    assert_conserved(ledger_of(jobs, world), roster)


def test_no_baseline_is_learnt_from_a_gpu_that_computes_for_processes_that_are_not_listed():
    world = World(1, (Plan(1, 0, 2, 200, 600),))
    hidden = world._reading

    def without_processes(gpu: int) -> Reading:
        reading = hidden(gpu)
        return replace(reading, fast=replace(reading.fast, processes=(), departed=()))

    world._reading = without_processes
    roster, jobs = world.roster(), attribution(world, idle_w={})
    for _ in range(150):
        world.tick(roster, jobs)
    assert ledger_of(jobs, world).idle_watts == {}


@pytest.mark.fault("collector-raises")
def test_a_book_that_cannot_be_read_or_written_stops_no_tick(caplog):
    """The last that was shown stays; a restart begins at zero and not somewhere before."""
    world = World(1, (Plan(1, 0, 2, 32, 475),))
    roster, jobs = world.roster(), attribution(world)
    occupants = Occupants(None, jobs, Health())
    for _ in range(5):
        world.tick(roster, jobs)
    shown = occupants.ledger(roster, in_step=True)
    assert shown is not None
    assert occupants.to_json() == jobs.to_json()
    jobs.to_json = jobs.ledger = lambda *_: (_ for _ in ()).throw(RuntimeError("broken"))
    assert occupants.ledger(roster, in_step=True) is shown
    assert occupants.to_json() == {}
    assert len([r for r in caplog.records if "ledger" in r.message]) == 1
