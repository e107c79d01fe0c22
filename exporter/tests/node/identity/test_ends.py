"""How jobs end that have left the GPUs: by a record, a cgroup, a process."""

from dataclasses import replace

import pytest

from gputally.model import Job
from gputally.node.identity.parts import RunRecord, SlurmRecord
from gputally.node.identity.protocol import End, Evidence
from tests.node.identity.machine import BOOT_ID, CONTAINER, POD, Runs, Slurm, at

SLURM = "/system.slice/slurmstepd.scope/job_4711"
ENDED = End(None, "ended")
FAILED = End(1_700_000_500.0, "failed", 1)
OPEN = SlurmRecord("4711", path="/run/s/4711-r0")


def asked(machine, seen, **parts):
    """The answer of an agent that knows nothing but what it finds."""
    return machine.binder(**parts).end_of(seen.job, seen.evidence, at(5))


def test_a_plain_command_goes_on_as_long_as_its_first_process(machine):
    machine.add(90, b"run.sh", group=90)
    machine.add(101, parent=90, group=90)
    seen = machine.sighting(101)
    machine.end(101)
    assert asked(machine, seen) is None
    machine.add(90, b"run.sh", state="Z")
    assert asked(machine, seen) == ENDED
    machine.add(90, b"other", start=9999)
    assert asked(machine, seen) == ENDED
    machine.end(90)
    assert asked(machine, seen) == ENDED


def test_what_has_outlived_its_command_goes_on_with_it(machine):
    machine.add(90, b"run.sh", group=90)
    machine.add(101, parent=90, group=90)
    binder = machine.binder()
    seen = binder.sightings([101], at(0))[101]
    machine.end(90)
    assert binder.end_of(seen.job, seen.evidence, at(1)) is None
    machine.end(101)
    binder.sightings([101], at(2))
    assert binder.end_of(seen.job, seen.evidence, at(3)) == ENDED


@pytest.mark.parametrize(
    "path",
    [
        SLURM,
        f"/kubepods/pod{POD}",
        f"/system.slice/docker-{CONTAINER}.scope",
        "/lxc.payload.c1",
        "/system.slice/x.service",
    ],
)
def test_what_has_a_cgroup_goes_on_as_long_as_that_is_there(machine, path):
    machine.make_cgroup(path, 101)
    machine.add(101, cgroup=path)
    seen = machine.sighting(101)
    assert asked(machine, seen) is None
    machine.remove_cgroup(path)
    assert asked(machine, seen) == ENDED


def test_a_service_that_was_started_again_has_ended_although_its_cgroup_is_there(machine):
    path = "/system.slice/x.service"
    machine.make_cgroup(path, 101)
    machine.add(101, cgroup=path)
    seen = machine.sighting(101)
    machine.end(101)
    machine.add(102, cgroup=path)
    assert asked(machine, seen) == ENDED


@pytest.mark.parametrize("folder", ["", "unified", "memory", "systemd"])
def test_paths_as_processes_name_them_are_found_in_any_hierarchy(machine, folder):
    machine.make_cgroup(f"{folder}/kubepods/pod{POD}")
    job = Job(POD, "kubernetes")
    binder = machine.binder()
    assert binder.end_of(job, Evidence(cgroup=f"/kubepods/pod{POD}", boot_id=BOOT_ID), at(0)) is None
    assert binder.end_of(job, Evidence(cgroup="/kubepods/pod-other", boot_id=BOOT_ID), at(0)) == ENDED


@pytest.mark.parametrize("scheduler", ["slurm", "kubernetes", "docker", "systemd", "run", "process"])
def test_nothing_survives_a_reboot_whatever_has_its_pid_and_cgroup_now(machine, scheduler):
    machine.make_cgroup(SLURM)
    machine.add(101)
    evidence = Evidence(cgroup=SLURM.strip("/"), leader=(101, 5000), boot_id="another")
    assert machine.binder().end_of(Job("4711", scheduler), evidence, at(0)) == ENDED


def test_without_any_evidence_a_job_has_ended(machine):
    assert machine.binder().end_of(Job("x", "docker"), Evidence(), at(0)) == ENDED


def test_slurms_record_tells_the_end_whatever_is_left_of_the_job(machine):
    machine.make_cgroup(SLURM)
    machine.add(101, cgroup=SLURM)
    seen = machine.sighting(101, slurm=Slurm({"4711": OPEN}))
    assert asked(machine, seen, slurm=Slurm({"4711": OPEN})) is None
    assert asked(machine, seen, slurm=Slurm({"4711": replace(OPEN, end=FAILED)})) == FAILED
    machine.remove_cgroup(SLURM)
    assert asked(machine, seen, slurm=Slurm({"4711": OPEN})) is None  # the epilog is yet to come
    assert asked(machine, seen, slurm=Slurm()) == ENDED
    assert asked(machine, seen) == ENDED


def test_the_run_before_a_requeue_has_ended(machine):
    machine.make_cgroup(SLURM)
    machine.add(101, cgroup=SLURM)
    seen = machine.sighting(101, slurm=Slurm({"4711": OPEN}))
    again = replace(OPEN, restarts=1)
    assert asked(machine, seen, slurm=Slurm({"4711": again}, past=[OPEN])) == ENDED
    assert asked(machine, seen, slurm=Slurm({"4711": again}, past=[replace(OPEN, end=FAILED)])) == FAILED
    assert asked(machine, seen, slurm=Slurm({"4711": again})) == ENDED


def test_the_run_before_a_requeue_that_nobody_recorded_has_ended(machine):
    machine.make_cgroup(SLURM)
    machine.add(101, cgroup=SLURM)
    binder = machine.binder()
    first = binder.sightings([101], at(0))[101]
    machine.end(101)
    (machine.cgroup / SLURM.strip("/")).rename(machine.cgroup / "kept")
    machine.make_cgroup(SLURM)
    machine.add(102, cgroup=SLURM)
    second = binder.sightings([102], at(60))[102]
    assert binder.end_of(first.job, first.evidence, at(61)) == ENDED
    assert binder.end_of(second.job, second.evidence, at(61)) is None


def test_a_wrapped_command_tells_how_it_ended_or_has_just_gone(machine):
    machine.add(90, b"gputally", start=450)
    machine.add(101, parent=90)
    record = RunRecord("run-90", path="/run/g/90")
    runs = Runs({(90, 450, 1000): record})
    seen = machine.sighting(101, runs=runs)
    assert asked(machine, seen, runs=runs) is None
    told = Runs({(90, 450, 1000): replace(record, end=FAILED)})
    assert asked(machine, seen, runs=told) == FAILED
    machine.end(90)
    assert asked(machine, seen, runs=told) == FAILED
    assert asked(machine, seen, runs=runs) == ENDED
    assert asked(machine, seen, runs=Runs()) == ENDED
    elsewhere = replace(seen.evidence, boot_id="another")
    assert machine.binder(runs=told).end_of(seen.job, elsewhere, at(0)) == FAILED


def test_a_worker_that_outlives_its_wrapped_command_goes_on_whatever_the_record_says(machine):
    machine.add(90, b"gputally", start=450)
    machine.add(101, parent=90)
    record = RunRecord("run-90", path="/run/g/90")
    runs = Runs({(90, 450, 1000): record})
    binder = machine.binder(runs=runs)
    seen = binder.sightings([101], at(0))[101]
    machine.end(90)
    runs.commands = {(90, 450, 1000): replace(record, end=FAILED)}
    for second in range(1, 60):  # a driver that answers seldom lists nothing in most ticks
        listed = [101] if second % 10 == 0 else []
        assert list(binder.sightings(listed, at(second)).values()) == [seen] * len(listed)
        assert binder.end_of(seen.job, seen.evidence, at(second)) is None
    machine.end(101)
    binder.sightings([101], at(61))
    assert binder.end_of(seen.job, seen.evidence, at(62)) == FAILED
