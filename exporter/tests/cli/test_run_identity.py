"""From the command to the job: real processes under `gputally run`, found by the agent's own binder."""

import os
import signal
import subprocess

import pytest

from gputally.model.clock import system_clock
from gputally.node.identity.binder import Binder
from gputally.node.identity.runs import RunRecords
from tests.cli.wrapped import children, record_of, start, start_ticks, state, until

OPTIONS = ("--job=finetune", "--team=nlp", "--model=llama-70b")
# A program with a worker in a session of its own whose parent has ended, as of a launcher.
SCRIPT = 'setsid sh -c "sleep 600 & echo \\$!"; echo $$; read line; exit 3'


@pytest.fixture
def running(folder):
    """A wrapper, and the PIDs of its command and of the worker."""
    process = start(
        *("sh", "-c", SCRIPT),
        folder=folder,
        options=OPTIONS,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    worker, command = (int(process.stdout.readline()) for _ in range(2))
    yield process, command, worker
    for pid in (worker, command):
        if state(pid):
            os.kill(pid, signal.SIGKILL)
    process.stdin.close()
    process.wait(30)
    process.stdout.close()


def test_all_below_the_wrapper_is_one_job_with_the_names_of_its_record(folder, running):
    process, command, worker = running
    binder = Binder(runs=RunRecords(folder))
    found = binder.sightings([command, worker, os.getpid()], system_clock())
    job = found[command].job
    assert found[worker] == found[command]
    assert found[os.getpid()].job != job
    assert job.job_id.startswith(f"run-{process.pid}-{start_ticks(process.pid)}-")
    assert (job.scheduler, job.job_name, job.team, job.model) == ("run", "finetune", "nlp", "llama-70b")
    assert found[command].start_seconds == record_of(process, folder)["start_seconds"]


def test_its_end_is_that_of_the_command_also_for_the_agent_after_a_restart(folder, running):
    process, command, worker = running
    before = Binder(runs=RunRecords(folder))
    sighting = before.sightings([command, worker], system_clock())[command]
    assert before.end_of(sighting.job, sighting.evidence, system_clock()) is None
    os.kill(worker, signal.SIGKILL)
    process.stdin.close()
    assert process.wait(30) == 3
    for binder in (before, Binder(runs=RunRecords(folder))):
        binder.sightings([], system_clock())
        end = binder.end_of(sighting.job, sighting.evidence, system_clock())
        assert (end.state, end.exit_code) == ("failed", 3)
        assert end.seconds == record_of(process, folder)["end_seconds"]


def test_a_wrapper_that_was_killed_has_ended_and_nobody_says_how(folder, running):
    process, command, worker = running
    binder = Binder(runs=RunRecords(folder))
    sighting = binder.sightings([command], system_clock())[command]
    process.kill()
    process.wait(30)
    for pid in (worker, command):
        os.kill(pid, signal.SIGKILL)
        until(lambda pid=pid: state(pid) in ("", "Z"))
    binder.sightings([], system_clock())
    end = binder.end_of(sighting.job, sighting.evidence, system_clock())
    assert (end.state, end.exit_code) == ("ended", None)


def test_a_second_run_is_a_second_job(folder):
    processes = [start("sleep", "600", folder=folder, options=OPTIONS) for _ in range(2)]
    try:
        until(lambda: all(children(process.pid) for process in processes))
        pids = [children(process.pid)[0] for process in processes]
        found = Binder(runs=RunRecords(folder)).sightings(pids, system_clock())
        assert len({sighting.job.job_id for sighting in found.values()}) == 2
    finally:
        for process in processes:
            process.terminate()
            process.wait(30)
