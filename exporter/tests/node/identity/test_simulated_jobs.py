"""The simulation's jobs as identities: the same pids, times and ends that its plan has."""

import os
from dataclasses import replace

import pytest

from gputally.model import Instant, Job
from gputally.node.identity.protocol import Allocation, End, Evidence, Identities, Sighting
from gputally.node.identity.simulated import SimulatedIdentities
from gputally.node.sources.simulated import SimulatedSource

NS = 1_000_000_000
MONDAY = 1_790_553_600  # 2026-09-28 00:00 UTC, the start of a round of four weeks
HOUR, DAY = 3600, 86_400
REAL = Job("run-1-2-3", "run", user="ada")


class Hands:
    """A clock that a test sets, in seconds after that Monday; booted five days before."""

    def __init__(self, second: float = 0.0) -> None:
        self.set(second)

    def set(self, second: float) -> None:
        wall_ns = round((MONDAY + second) * NS)
        self.now = Instant(wall_ns - (MONDAY - 5 * DAY) * NS, wall_ns)

    def __call__(self) -> Instant:
        return self.now


class Inner:
    """Stands for the binder of real processes; notes what it is asked."""

    def __init__(self):
        self.asked = []
        self.holds = Allocation(Sighting(REAL, 5.0), uuids=("GPU-real",))

    def sightings(self, pids, _now):
        self.asked.append(sorted(pids))
        return {pid: Sighting(REAL, 5.0) for pid in pids}

    def allocations(self, _now):
        return [self.holds]

    def end_of(self, job, _evidence, _now):
        assert job == REAL
        return End(9.0, "failed", 1)

    def conflicts(self):
        return {"record": 4}


def on_gpus(source):
    """PIDs in the process lists of all GPUs, as the driver would show them."""
    return [
        process.pid
        for reader in source.readers()
        for reading in reader.read(slow=False).values()
        for process in reading.fast.processes
    ]


def test_every_process_has_the_job_of_the_plan_at_every_hour_of_a_week():
    clock = Hands()
    source = SimulatedSource(8, 1, clock)
    identities: Identities = SimulatedIdentities(source)
    schedulers = set()
    for hour in range(7 * 24):
        clock.set(hour * HOUR + 1234)
        pids = on_gpus(source)
        found = identities.sightings(pids, clock())
        assert set(found) == set(pids)
        jobs = {job.job_id: job for job in source.jobs(clock(), ended_within_seconds=0)}
        for pid, sighting in found.items():
            schedulers.add(sighting.job.scheduler)
            if sighting.scheduled:
                job = jobs[sighting.job.job_id]
                assert pid in job.pids
                assert sighting == Sighting(
                    Job(job.job_id, "simulated", job.user, job.team, job.job_name, job.model, "record"),
                    job.start,
                    sighting.evidence,
                    scheduled=True,
                )
            else:
                name, user = source.identify(pid)
                assert (sighting.job.user, sighting.job.team, name) == (user, "unassigned", "python3")
            assert sighting.start_seconds <= clock().wall_seconds
            assert identities.end_of(sighting.job, sighting.evidence, clock()) is None
    assert schedulers == {"simulated", "process"}


def test_a_binding_stays_and_is_forgotten_when_nobody_asks_any_more():
    clock = Hands(30 * HOUR)
    source = SimulatedSource(4, 1, clock)
    identities = SimulatedIdentities(source)
    pids = on_gpus(source)
    first = identities.sightings(pids, clock())
    clock.set(80 * DAY)  # long after all of them have ended
    assert identities.sightings(pids, clock()) == first
    assert identities.sightings([], clock()) == {}
    assert identities.sightings(pids, clock()) == {}


def test_allocations_are_the_gpus_of_the_jobs_that_run():
    clock = Hands(30 * HOUR)
    source = SimulatedSource(8, 1, clock)
    running = {job.job_id: job.gpus for job in source.jobs(clock(), 0.0) if job.end is None}
    found = SimulatedIdentities(source).allocations(clock())
    assert {one.sighting.job.job_id: one.uuids for one in found} == running
    assert all(one.sighting.scheduled for one in found)
    assert len(running) > 3


def test_every_end_is_found_however_long_ago_it_was():
    clock = Hands(20 * DAY)
    source = SimulatedSource(4, 1, clock, faults=True)
    identities = SimulatedIdentities(source)
    ended = [job for job in source.jobs(clock(), 15 * DAY) if job.end is not None]
    running = {}
    for job in ended:
        clock.set(job.end - MONDAY - 30)
        running[job.job_id] = identities.sightings(job.pids[:1], clock())[job.pids[0]]
        assert identities.end_of(running[job.job_id].job, running[job.job_id].evidence, clock()) is None
    for second in (20 * DAY, 300 * DAY):
        clock.set(second)
        for job in ended:
            sighting = running[job.job_id]
            end = SimulatedIdentities(source).end_of(sighting.job, sighting.evidence, clock())
            assert end == End(job.end, job.state)
    assert {job.state for job in ended} >= {"completed", "failed", "cancelled"}


def test_a_program_that_was_started_by_hand_ends_nobody_says_how():
    clock = Hands()
    source = SimulatedSource(4, 1, clock)
    identities = SimulatedIdentities(source)
    seen = {}
    for hour in range(10 * 24):
        clock.set(hour * HOUR)
        for sighting in identities.sightings(on_gpus(source), clock()).values():
            if not sighting.scheduled:
                seen[sighting.job.job_id] = sighting
    clock.set(11 * DAY)
    assert seen
    for sighting in seen.values():
        end = identities.end_of(sighting.job, sighting.evidence, clock())
        assert end.state == "ended"
        assert end.seconds > sighting.start_seconds


def test_jobs_of_another_simulation_have_ended():
    clock = Hands(30 * HOUR)
    (sighting, *_) = (
        SimulatedIdentities(SimulatedSource(4, 1, clock))
        .sightings(on_gpus(SimulatedSource(4, 1, clock)), clock())
        .values()
    )
    for job, record in (
        (replace(sighting.job, user="nobody-of-ours"), sighting.evidence.record),
        *((sighting.job, f"simulated:{text}") for text in ("", "x", "-5", "9" * 30, "99999999999", "5", "٣")),
    ):
        end = SimulatedIdentities(SimulatedSource(4, 1, clock)).end_of(job, Evidence(record), clock())
        assert end == End(None, "ended")


def test_a_number_that_will_be_a_job_is_none_yet():
    clock = Hands(30 * HOUR)
    source = SimulatedSource(4, 1, clock)
    (job, *_) = source.jobs(clock())
    assert source.job(job.job_id, clock()) == job
    assert source.job(str(int(job.job_id) + 100_000), clock()) is None


def test_without_real_processes_a_stranger_stays_one():
    clock = Hands(30 * HOUR)
    identities = SimulatedIdentities(SimulatedSource(4, 1, clock))
    assert identities.sightings([os.getpid(), 5], clock()) == {}
    assert identities.end_of(REAL, Evidence(), clock()) == End(None, "ended")
    assert identities.conflicts() == {}


def test_real_processes_are_asked_of_the_inner_identities_and_only_they():
    clock = Hands(30 * HOUR)
    source, inner = SimulatedSource(4, 1, clock), Inner()
    identities = SimulatedIdentities(source, inner)
    own = on_gpus(source)
    found = identities.sightings([*own, 77], clock())
    assert found[77].job == REAL
    assert {found[pid].job.scheduler for pid in own} == {"simulated"}
    identities.sightings(own, clock())
    assert inner.asked == [[77], []]
    assert inner.holds in identities.allocations(clock())
    assert len(identities.allocations(clock())) > 1
    assert identities.end_of(REAL, Evidence(), clock()) == End(9.0, "failed", 1)
    assert identities.conflicts() == {"record": 4}


@pytest.mark.parametrize("registered", [True, False])
def test_a_visitor_with_the_pid_of_an_invented_process_is_the_visitor(registered, tmp_path, monkeypatch):
    clock = Hands(30 * HOUR)
    source = SimulatedSource(4, 1, clock, visitors=tmp_path)
    if registered:
        (tmp_path / str(os.getpid())).write_text("3\n")
    (victim, *_) = source.jobs(clock())
    monkeypatch.setattr(source, "job_of", lambda _pid, _now: victim)
    found = SimulatedIdentities(source, Inner()).sightings([os.getpid()], clock())
    assert found[os.getpid()].job.scheduler == ("run" if registered else "simulated")
