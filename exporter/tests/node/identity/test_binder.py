"""Processes are bound to jobs, and what was said of a job is only ever completed."""

import threading

import pytest

from gputally.config.teams import TeamRule
from gputally.model import Job
from gputally.node.identity.owners import OwnerNames
from gputally.node.identity.parts import Pod, SlurmRecord
from gputally.node.identity.protocol import Allocation, Evidence, Sighting
from tests.node.identity.machine import BOOT_ID, CANARY, POD, USERS, Machine, Pods, Runs, Slurm, at

SLURM = "/system.slice/slurmstepd.scope/job_4711"
RULES = (TeamRule("nlp", slurm_accounts=("nlp",), users=("ada",), namespaces=("nlp",)),)


def record(**more):
    return SlurmRecord("4711", user="grace", account="nlp", path="/run/s/4711-r0", **more)


def test_a_process_keeps_its_job_whatever_becomes_of_its_name_and_cgroup(machine):
    machine.add(101, b"first")
    binder = machine.binder()
    first = binder.sightings([101], at(0))[101]
    machine.add(101, b"second", cgroup=SLURM)
    for second in range(1, 30):
        assert binder.sightings([101], at(second))[101] is first


def test_a_pid_that_changed_hands_is_bound_anew(machine):
    machine.add(101, b"first", start=5000)
    binder = machine.binder()
    first = binder.sightings([101], at(0))[101]
    machine.add(101, b"second", start=5001, uid=1001)
    second = binder.sightings([101], at(2))[101]
    assert (second.job.user, second.job.job_name) == ("grace", "second")
    assert second.job.job_id != first.job.job_id


def test_the_last_moments_of_a_process_are_its_own_but_not_for_long(machine):
    machine.add(101)
    binder = machine.binder()
    first = binder.sightings([101], at(0))[101]
    machine.end(101)
    assert binder.sightings([101], at(1))[101] is first
    assert binder.sightings([101], at(2.5))[101] is first
    assert binder.sightings([101], at(3.5)) == {}
    assert binder.sightings([101], at(60)) == {}


def test_a_zombie_is_its_old_self_for_a_moment_and_no_new_one(machine):
    machine.add(101)
    binder = machine.binder()
    first = binder.sightings([101], at(0))[101]
    machine.add(101, state="Z")
    assert binder.sightings([101], at(1))[101] is first
    assert binder.sightings([101], at(5)) == {}
    assert machine.binder().sightings([101], at(0)) == {}


def test_a_user_is_a_number_until_the_directory_service_has_answered(machine):
    names = {}
    owners = OwnerNames(names.__getitem__)
    machine.add(101)
    binder = machine.binder(owners=owners, teams=RULES)
    first = binder.sightings([101], at(0))[101].job
    assert (first.user, first.team) == ("1000", "unassigned")
    names[1000] = "ada"
    later = binder.sightings([101], at(700))[101].job
    assert (later.user, later.team, later.job_id) == ("ada", "nlp", first.job_id)


def test_a_claim_waits_until_it_is_known_who_makes_it(machine):
    answer = threading.Event()
    owners = OwnerNames(lambda uid: USERS[uid] if answer.wait(30) else "")
    machine.add(101, environ=b"GPUTALLY_TEAM=moon\0")
    binder = machine.binder(owners=owners, teams=RULES, environment=True)
    assert binder.sightings([101], at(0))[101].job.team == "unassigned"
    answer.set()
    owners._thread.join()
    job = binder.sightings([101], at(6))[101].job
    assert (job.user, job.team, binder.conflicts()["team"]) == ("ada", "nlp", 1)


def test_a_record_that_comes_late_fills_in_what_was_empty_and_nothing_else(machine):
    slurm, pods = Slurm(), Pods()
    machine.add(101, cgroup=SLURM)
    machine.add(102, cgroup=f"/kubepods/pod{POD}")
    binder = machine.binder(slurm=slurm, pods=pods, owners=OwnerNames(USERS.__getitem__))
    first = binder.sightings([101, 102], at(0))
    slurm.jobs["4711"] = record(job_name="bert", comment_model="bert-large")
    pods.names[POD] = Pod(POD, "nlp", "serve-0")
    assert binder.sightings([101, 102], at(1)) == first
    binder.teams = RULES
    later = binder.sightings([101, 102], at(6))
    job, pod = later[101].job, later[102].job
    assert (job.job_name, job.model, job.user, job.team, job.identity) == (
        "bert",
        "bert-large",
        "ada",
        "nlp",
        "cgroup",
    )
    assert (pod.job_name, pod.team, pod.job_id) == ("serve-0", "nlp", POD)
    assert later[101].evidence.record == "/run/s/4711-r0"
    assert binder.sightings([101, 102], at(60)) == later


def test_names_that_only_a_second_process_knows_are_added_to_the_job(machine):
    machine.add(101, cgroup=SLURM)
    machine.add(102, cgroup=SLURM, environ=b"GPUTALLY_MODEL=llama\0GPUTALLY_JOB=night\0")
    machine.add(103, cgroup=SLURM, environ=b"GPUTALLY_MODEL=other\0GPUTALLY_JOB=other\0")
    binder = machine.binder(environment=True)
    assert binder.sightings([101], at(0))[101].job.model == ""
    found = binder.sightings([101, 102, 103], at(1))
    assert {(one.job.model, one.job.job_name) for one in found.values()} == {("llama", "night")}
    assert found[101] is found[102]


def test_new_rules_are_for_jobs_that_are_bound_from_then_on(machine):
    machine.add(101)
    machine.add(102, start=6000)
    binder = machine.binder(teams=RULES)
    assert binder.sightings([101], at(0))[101].job.team == "nlp"
    binder.teams = (TeamRule("robotics", users=("ada",)),)
    found = binder.sightings([101, 102], at(30))
    assert (found[101].job.team, found[102].job.team) == ("nlp", "robotics")


def test_running_jobs_of_slurm_hold_their_gpus_with_and_without_processes(machine):
    slurm = Slurm({"4711": record(gpus=(0, 3)), "5": SlurmRecord("5")})
    binder = machine.binder(slurm=slurm, teams=RULES)
    (given,) = binder.allocations(at(0))
    assert (given.minors, given.sighting.job.job_id, given.sighting.job.team) == ((0, 3), "4711", "nlp")
    machine.add(101, cgroup=SLURM)
    machine.make_cgroup(SLURM)
    seen = binder.sightings([101], at(1))[101]
    assert seen.job == given.sighting.job
    assert seen.evidence.cgroup == SLURM.strip("/")
    assert binder.allocations(at(2))[0].sighting is seen


def test_of_a_requeued_job_only_the_latest_run_holds_gpus(machine):
    slurm = Slurm({"4711": record(gpus=(1,), restarts=1)}, past=[record(gpus=(0,))])
    assert [one.minors for one in machine.binder(slurm=slurm).allocations(at(0))] == [(1,)]


def test_what_pods_hold_bears_the_names_and_the_team_that_their_processes_get(machine):
    told = Sighting(
        Job(POD, "kubernetes", job_name="serve-0"), 1_700_000_000.0, Evidence(cgroup="/kubepods/x")
    )
    pods = Pods({POD: Pod(POD, "nlp", "serve-0")}, [Allocation(told, uuids=("GPU-1",))])
    binder = machine.binder(pods=pods, teams=RULES)
    (given,) = binder.allocations(at(0))
    assert (given.uuids, given.sighting.job.team, given.sighting.job.identity) == (
        ("GPU-1",),
        "nlp",
        "record",
    )
    machine.add(101, uid=0, cgroup=f"/kubepods/pod{POD}/x")
    seen = binder.sightings([101], at(1))[101]
    assert (seen.job, seen.start_seconds) == (given.sighting.job, 1_700_000_000.0)
    assert binder.allocations(at(2))[0].sighting is seen


def test_refused_records_are_conflicts(machine):
    binder = machine.binder(slurm=Slurm(refused=2), runs=Runs(refused=3))
    assert binder.conflicts() == {"environment": 0, "team": 0, "lookalike": 0, "record": 5}


@pytest.mark.fault("proc-hidden")
def test_pids_of_another_namespace_are_not_taken_for_their_namesakes_here(tmp_path, monkeypatch):
    machine = Machine(tmp_path, monkeypatch, host=False)
    machine.add(101)
    binder = machine.binder()
    assert binder.sightings([101, 70_000], at(0)) == {}
    assert binder.sightings([101, 70_000], at(0.5)) == {}
    assert 101 in binder.sightings([101], at(1))


@pytest.mark.fault("proc-hidden")
def test_hidden_processes_of_others_do_not_spoil_our_own(tmp_path, monkeypatch):
    machine = Machine(tmp_path, monkeypatch, host=False)
    machine.add(101)
    (machine.proc / "self").mkdir()
    mount = f"22 27 0:21 / {machine.proc} rw,nosuid - proc proc rw,hidepid=invisible\n"
    (machine.proc / "self/mountinfo").write_text(mount)
    assert list(machine.binder().sightings([101, 70_000], at(0))) == [101]


def test_what_is_private_to_a_process_is_in_nothing_that_comes_out_or_is_logged(machine, caplog):
    caplog.set_level(0)
    machine.add(101, cgroup=f"/user.slice/user-1000.slice/user@1000.service/{CANARY}/job_5")
    machine.add(
        102, cgroup=f"{SLURM}/{CANARY}", environ=f"SLURM_JOB_ID=5\0GPUTALLY_JOB=x\0{CANARY}\0".encode()
    )
    machine.add(103, cgroup=f"/{CANARY}")
    binder = machine.binder(environment=True)
    found = binder.sightings([101, 102, 103, 104], at(0))
    ends = [binder.end_of(one.job, one.evidence, at(1)) for one in found.values()]
    assert len(found) == 3
    assert "CANARY" not in repr((found, ends, binder.conflicts(), binder.allocations(at(0)))) + caplog.text


def test_one_process_that_breaks_the_judge_hides_no_other_and_is_said_once(machine, caplog, monkeypatch):
    machine.add(101)
    machine.add(102)
    machine.add(103)
    binder = machine.binder()
    resolve = binder._resolver.resolve

    def broken(folder, now):
        process, dossier = resolve(folder, now)
        if process.pid == 102:
            raise KeyError(CANARY)
        return process, dossier

    monkeypatch.setattr(binder._resolver, "resolve", broken)
    for second in range(5):
        assert sorted(binder.sightings([101, 102, 103], at(second))) == [101, 103]
    assert len(caplog.records) == 1
    assert "CANARY" not in caplog.text


@pytest.mark.parametrize("pid", [0, -1, 2**22 + 1, 2**40])
def test_pids_that_cannot_be_are_nobodys(machine, pid):
    assert machine.binder().sightings([pid], at(0)) == {}


def test_boot_and_evidence_are_of_this_boot(machine):
    machine.add(101)
    assert machine.sighting(101).evidence.boot_id == BOOT_ID
