"""Slurm jobs whose record nobody will close: slurmd was killed, and the epilog never ran."""

from dataclasses import replace

import pytest

from gputally.node.identity import ends
from gputally.node.identity.parts import SlurmRecord
from gputally.node.identity.protocol import End
from tests.node.identity.machine import BOOT_SECONDS, UP_SECONDS, Slurm, at

ENDED = End(None, "ended")
FAILED = End(1_700_000_500.0, "failed", 1)
SCOPE = "/system.slice/slurmstepd.scope"
OPEN = SlurmRecord(
    "4711",
    user="ada",
    gpus=(0, 1),
    start_seconds=BOOT_SECONDS + 1000,
    path="/run/s/4711-r0",
    sluid="sAEXM7YZW7XE00",
)
LATER = replace(OPEN, job_id="4712", start_seconds=BOOT_SECONDS + 2000, path="/run/s/4712-r0", sluid="")
LAYOUTS = [
    f"{SCOPE}/job_4711",
    f"{SCOPE}/{OPEN.sluid}",
    "/system.slice/node07_slurmstepd.scope/job_4711",
    f"/unified{SCOPE}/job_4711",
    "/memory/slurm/uid_1000/job_4711",
    "/freezer/slurm_node07/uid_1000/job_4711",
    f"/cpu,cpuacct/slurm/uid_1000/{OPEN.sluid}",
]


class Agent:
    """An agent that is asked at every second, as in ticks."""

    def __init__(self, machine, *records):
        self.slurm = Slurm({record.job_id: record for record in records or (OPEN,)})
        self.binder = machine.binder(slurm=self.slurm)
        self.seen = {}

    def tick(self, second, *pids):
        """The jobs that hold GPUs, and those that go on."""
        now = at(second)
        given = [allocation.sighting for allocation in self.binder.allocations(now)]
        there = self.binder.sightings(pids, now).values()
        self.seen |= {seen.job.job_id: seen for seen in (*given, *there)}
        return {seen.job.job_id for seen in given}

    def run(self, start, end, *pids):
        """What was held in any tick."""
        return set().union(*[self.tick(second, *pids) for second in range(start, end)])

    def end(self, second, job_id="4711"):
        seen = self.seen[job_id]
        return self.binder.end_of(seen.job, seen.evidence, at(second))


def appear(machine, path):
    machine.make_cgroup(path)
    machine.make_cgroup(path.rpartition("/")[0] + "/job_1")  # somebody else's


@pytest.mark.fault("slurm-dies")
@pytest.mark.parametrize("path", LAYOUTS)
def test_a_job_whose_cgroup_has_gone_has_ended_after_a_minute(machine, path):
    appear(machine, path)
    agent = Agent(machine)
    for second in range(200):
        assert agent.tick(second) == {"4711"}
        assert agent.end(second) is None
    machine.remove_cgroup(path)
    assert all(agent.tick(second) and agent.end(second) is None for second in range(200, 259))
    assert agent.run(280, 400) == set()
    assert agent.end(400) == ENDED


@pytest.mark.parametrize("path", LAYOUTS)
def test_what_shows_up_again_goes_on_again(machine, path):
    appear(machine, path)
    machine.remove_cgroup(path)
    agent = Agent(machine, replace(OPEN, start_seconds=BOOT_SECONDS + UP_SECONDS))
    agent.run(0, 100)
    assert (agent.tick(100), agent.end(100)) == (set(), ENDED)
    machine.make_cgroup(path)
    agent.run(101, 111)
    assert (agent.tick(111), agent.end(111)) == ({"4711"}, None)
    machine.remove_cgroup(path)
    agent.run(112, 200)
    assert (agent.tick(200), agent.end(200)) == (set(), ENDED)
    machine.add(101, cgroup=f"{SCOPE}/job_4711")
    agent.tick(201, 101)
    assert (agent.tick(202, 101), agent.end(202)) == ({"4711"}, None)


def test_between_prolog_and_first_step_a_job_holds_its_gpus_without_a_cgroup(machine):
    appear(machine, f"{SCOPE}/job_1")
    agent = Agent(machine, replace(OPEN, start_seconds=BOOT_SECONDS + UP_SECONDS))
    assert all(agent.tick(second) == {"4711"} and agent.end(second) is None for second in range(59))
    machine.make_cgroup(f"{SCOPE}/job_4711")
    assert all(agent.tick(second) == {"4711"} and agent.end(second) is None for second in range(59, 200))


def test_a_step_that_follows_another_within_a_minute_leaves_no_gap(machine):
    agent = Agent(machine)
    for start in range(0, 600, 60):
        appear(machine, f"{SCOPE}/job_4711")
        assert all(agent.tick(second) for second in range(start, start + 20))
        machine.remove_cgroup(f"{SCOPE}/job_4711")
        assert all(agent.tick(second) for second in range(start + 20, start + 60))
        assert agent.end(start + 59) is None


def test_processes_on_a_gpu_keep_a_job_whose_cgroup_is_not_there(machine):
    machine.add(101, cgroup=f"{SCOPE}/job_4711")
    appear(machine, f"{SCOPE}/job_1")
    agent = Agent(machine, OPEN, LATER)
    agent.tick(0, 101)
    assert all("4711" in agent.tick(second, 101) for second in range(1, 200))
    assert agent.end(200) is None
    machine.end(101)
    agent.run(200, 300, 101)  # without pidfd, an end is noticed when the driver lists the PID once more
    assert (agent.tick(300), agent.end(300)) == (set(), ENDED)


def test_what_was_lost_before_the_agent_started_is_not_said_again(machine):
    appear(machine, f"{SCOPE}/job_1")
    first = Agent(machine)
    machine.make_cgroup(f"{SCOPE}/job_4711")
    first.tick(0)
    machine.remove_cgroup(f"{SCOPE}/job_4711")
    again = Agent(machine)
    again.seen = first.seen
    assert again.run(0, 59) == set()
    assert again.end(59) is None
    assert again.run(59, 200) == set()
    assert again.end(200) == ENDED


@pytest.mark.fault("slurm-dies")
def test_a_cgroup_without_processes_is_what_a_killed_slurmstepd_left_behind(machine):
    appear(machine, f"{SCOPE}/job_4711")
    events = machine.cgroup / f"{SCOPE}/job_4711/cgroup.events".strip("/")
    events.write_text("populated 1\nfrozen 0\n")
    agent = Agent(machine)
    assert all(agent.tick(second) for second in range(100))
    events.write_text("populated 0\nfrozen 0\n")
    agent.run(100, 180)
    assert (agent.tick(180), agent.end(180)) == (set(), ENDED)


def test_without_slurms_cgroups_a_job_goes_on_until_its_gpu_is_given_away(machine):
    elsewhere = replace(LATER, gpus=(2, 3))
    agent = Agent(machine, OPEN, elsewhere)
    assert all(agent.tick(second) == {"4711", "4712"} for second in range(500))
    assert agent.end(500) is None
    agent.slurm.jobs["4713"] = replace(LATER, job_id="4713", gpus=(1,), end=FAILED)
    agent.run(500, 511)
    assert agent.tick(511) == {"4712"}
    assert (agent.end(511), agent.end(511, "4712")) == (ENDED, None)


def test_without_slurms_cgroups_processes_count_also_after_the_gpu_was_given_away(machine):
    machine.add(101, cgroup=f"{SCOPE}/job_4711")
    agent = Agent(machine)
    agent.tick(0, 101)
    agent.slurm.jobs["4712"] = LATER
    assert all("4711" in agent.tick(second, 101) for second in range(1, 100))
    machine.end(101)
    assert all("4711" in agent.tick(second, 101) for second in range(100, 158))
    assert agent.end(158) is None
    agent.run(158, 180)
    assert (agent.tick(180), agent.end(180)) == ({"4712"}, ENDED)


def test_an_earlier_record_gives_nothing_away(machine):
    agent = Agent(machine, LATER, replace(OPEN, end=FAILED))
    assert all(agent.tick(second) == {"4712"} for second in range(100))
    assert agent.end(100, "4712") is None


def test_what_was_lost_stays_lost_when_slurms_last_cgroup_has_gone(machine):
    """In version 1, a user's folder goes with the user's last job."""
    path = "/memory/slurm/uid_1000"
    machine.make_cgroup(f"{path}/job_4711")
    agent = Agent(machine)
    agent.tick(0)
    machine.make_cgroup(f"{path}/job_1")
    machine.remove_cgroup(f"{path}/job_4711")
    agent.run(1, 100)
    machine.remove_cgroup(path)
    assert agent.run(100, 300) == set()
    assert agent.end(300) == ENDED


def test_a_record_without_gpus_is_judged_as_well(machine):
    machine.add(101, cgroup=f"{SCOPE}/job_4711")
    appear(machine, f"{SCOPE}/job_4711")
    agent = Agent(machine, replace(OPEN, gpus=()))
    agent.tick(0, 101)
    machine.end(101)
    agent.run(1, 60, 101)
    assert agent.end(60) is None
    machine.remove_cgroup(f"{SCOPE}/job_4711")
    found = [agent.end(second) for second in range(61, 150)]
    assert found[:59] == [None] * 59
    assert found[-1] == ENDED


def test_an_epilog_that_runs_at_last_has_the_last_word(machine):
    appear(machine, f"{SCOPE}/job_1")
    agent = Agent(machine, replace(OPEN, start_seconds=BOOT_SECONDS + UP_SECONDS))
    agent.run(0, 100)
    assert agent.end(100) == ENDED
    agent.slurm.jobs["4711"] = replace(OPEN, end=FAILED)
    assert agent.end(101) == FAILED


@pytest.mark.parametrize(
    "path",
    [
        "/user.slice/user-1000.slice/user@1000.service/system.slice/slurmstepd.scope/job_4711",
        "/system.slice/xslurmstepd.scope/job_4711",
        "/system.slice/ci.service/slurm/uid_1000/job_4711",
        "/memory/slurmy/uid_1000/job_4711",
        "/memory/slurm/job_4711",
    ],
)
def test_lookalikes_are_no_cgroups_of_slurms(machine, path):
    machine.make_cgroup(path)
    assert ends.slurm_folders(machine.cgroup) is None


def test_many_open_records_cost_one_look_in_ten_seconds(machine, monkeypatch):
    appear(machine, f"{SCOPE}/job_1")
    looks = []
    look = ends.slurm_folders
    monkeypatch.setattr(ends, "slurm_folders", lambda root: looks.append(root) or look(root))
    agent = Agent(machine, *[replace(OPEN, job_id=str(number)) for number in range(1, 60)])
    agent.run(0, 100)
    assert len(looks) == 10


def test_records_that_were_closed_or_have_gone_are_forgotten(machine):
    agent = Agent(machine, OPEN, LATER)
    agent.run(0, 20)
    trails = agent.binder._register._open
    assert set(trails._trails) == {"4711", "4712"}
    agent.slurm.jobs = {"4711": replace(OPEN, end=FAILED)}
    agent.run(20, 40)
    assert not trails._trails
