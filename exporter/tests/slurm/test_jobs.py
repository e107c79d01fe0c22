"""What jobs of a real Slurm leave behind: recorded by our script, read by the agent's reader."""

from __future__ import annotations

import os
import pwd
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from gputally.node.identity.cgroups import place
from gputally.node.identity.slurm import SlurmJob
from tests.slurm.cluster import Slurm
from tests.slurm.configuration import GPUS

AWKWARD = 'a "quoted" $(touch pwned) `x` \\n=; ü'
ME = pwd.getpwuid(os.geteuid()).pw_name


@dataclass(frozen=True)
class History:
    """Jobs that ran at the same time and each ended in its own way."""

    done: str
    failed: str
    killed: str
    cancelled: str
    timeout: str
    array: dict[int, str]
    began: float
    over: float


@pytest.fixture(scope="module")
def history(slurm: Slurm) -> History:
    began = time.time()
    slurm.ask_controller(yes=True)
    done = slurm.submit("sleep 1")
    failed = slurm.submit("exit 3")
    killed = slurm.submit("kill -KILL $$")
    cancelled = slurm.submit("sleep 300")
    timeout = slurm.submit("sleep 300")
    array = slurm.submit("sleep 2", "--array=1-3", "--gres=gpu:1", "--job-name=sweep")
    slurm.wait_for_processes(timeout)
    slurm.limit(timeout, 1)
    slurm.wait_for_processes(cancelled)
    slurm.cancel(cancelled)
    slurm.wait(array)
    tasks = slurm.tasks(array)
    for job in (done, failed, killed, cancelled, *tasks.values()):
        slurm.wait(job)
    return History(done, failed, killed, cancelled, timeout, tasks, began, time.time())


def record(slurm: Slurm, job: str) -> SlurmJob:
    found = slurm.reader.record_for(job)
    assert found is not None, job
    return found


def end(slurm: Slurm, job: str) -> tuple[str, int | None]:
    found = record(slurm, job).end
    assert found is not None, job
    return found.state, found.exit_code


def test_a_running_job_is_recorded_with_all_that_slurm_knows(slurm: Slurm) -> None:
    began = time.time()
    job = slurm.submit(
        "sleep 300",
        "--gres=gpu:2",
        "--account=nlp",
        f"--job-name={AWKWARD}",
        "--comment=hello, model=llama-70b; it is private",
    )
    slurm.wait_for_processes(job)
    found = record(slurm, job)
    assert (found.run_id, found.user, found.uid) == (job, ME, os.geteuid())
    assert (found.account, found.partition, found.cluster) == ("nlp", "gpu", "lab")
    assert (found.job_name, found.comment_model) == (AWKWARD, "llama-70b")
    assert len(found.gpus) == 2
    assert set(found.gpus) < set(GPUS)
    assert found.end is None
    assert int(began) <= found.start_seconds <= time.time()
    assert (found.array_job_id, found.array_task_id) == ("", "")
    path = Path(found.path)
    assert path.parent == slurm.records_folder
    assert "private" not in path.read_text()
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o644, 0o755)
    slurm.cancel(job)
    slurm.wait(job)


def test_its_processes_lead_to_the_record(slurm: Slurm) -> None:
    job = slurm.submit("sleep 300 & sleep 300", "--gres=gpu:1")
    pids = slurm.wait_for_processes(job)
    places = [place(Path(f"/proc/{pid}/cgroup").read_bytes()) for pid in pids]
    slurm.cancel(job)
    if not slurm.tracking.startswith("cgroup"):
        pytest.skip(f"Slurm tracks processes by {slurm.tracking} here: {slurm.no_cgroups}")
    assert {found.kind for found in places} == {"slurm"}
    for found in places:
        known = slurm.reader.record_for(found.id) or slurm.reader.record_for_sluid(found.id)
        assert known is not None
        assert known.job_id == job


def test_two_jobs_have_different_gpus(slurm: Slurm) -> None:
    jobs = [slurm.submit("sleep 300", "--gres=gpu:2") for _ in range(2)]
    for job in jobs:
        slurm.wait_for_processes(job)
    given = [record(slurm, job).gpus for job in jobs]
    assert sorted(given[0] + given[1]) == list(GPUS)
    for job in jobs:
        slurm.cancel(job)
    for job in jobs:
        slurm.wait(job)


def test_a_job_without_gpus_has_none(slurm: Slurm, history: History) -> None:
    assert record(slurm, history.done).gpus == ()


def test_each_ends_as_slurm_says(slurm: Slurm, history: History) -> None:
    assert slurm.state(history.done) == "COMPLETED"
    assert end(slurm, history.done) == ("completed", 0)
    assert slurm.state(history.failed) == "FAILED"
    assert end(slurm, history.failed) == ("failed", 3)
    assert slurm.state(history.killed) == "FAILED"
    assert end(slurm, history.killed) == ("failed", 128 + 9)
    assert slurm.state(history.cancelled) == "CANCELLED"
    assert end(slurm, history.cancelled) == ("cancelled", None)


def test_times_are_those_of_the_runs(slurm: Slurm, history: History) -> None:
    for job in (history.done, history.cancelled, *history.array.values()):
        found = record(slurm, job)
        assert found.end is not None
        assert found.end.seconds is not None
        assert int(history.began) <= found.start_seconds <= found.end.seconds <= history.over
    array_end = record(slurm, history.array[1]).end
    assert array_end is not None
    assert array_end.seconds is not None
    assert array_end.seconds - record(slurm, history.array[1]).start_seconds >= 2


def test_each_of_an_array_is_a_job_that_knows_its_array(slurm: Slurm, history: History) -> None:
    assert sorted(history.array) == [1, 2, 3]
    assert len(set(history.array.values())) == 3
    for task, job in history.array.items():
        found = record(slurm, job)
        assert found.array_job_id in history.array.values()
        assert (found.array_task_id, found.job_name, len(found.gpus)) == (str(task), "sweep", 1)
        assert end(slurm, job) == ("completed", 0)


def test_a_requeued_job_is_another(slurm: Slurm) -> None:
    job = slurm.submit("sleep 300", "--requeue", "--gres=gpu:1")
    first = slurm.wait_for_processes(job)
    slurm.requeue(job)
    assert record(slurm, job).run_id == job
    assert end(slurm, job) == ("cancelled", None)
    second = slurm.wait_for_processes(job)
    assert not set(first) & set(second)
    found = record(slurm, job)
    assert (found.run_id, found.end) == (f"{job}-r1", None)
    slurm.cancel(job)
    slurm.wait(job)
    assert end(slurm, job) == ("cancelled", None)
    runs = [run for run in slurm.reader.records() if run.job_id == job]
    assert sorted(run.run_id for run in runs) == [job, f"{job}-r1"]
    assert {run.end.state for run in runs if run.end} == {"cancelled"}


def test_where_the_controller_is_not_asked_nothing_is_guessed(slurm: Slurm) -> None:
    """Slurm's epilog cannot tell a cancelled job from a good one, and its prolog does not know the name."""
    slurm.ask_controller(yes=False)
    done, failed, cancelled = (slurm.submit(script) for script in ("exit 0", "exit 3", "sleep 300"))
    slurm.wait_for_processes(cancelled)
    slurm.cancel(cancelled)
    for job in (done, failed, cancelled):
        slurm.wait(job)
    slurm.ask_controller(yes=True)
    assert [end(slurm, job) for job in (done, failed, cancelled)] == [
        ("ended", None),
        ("failed", 3),
        ("ended", None),
    ]
    assert (record(slurm, done).user, record(slurm, done).job_name) == (ME, "")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's Slurm can run another user's jobs")
def test_another_users_job_is_that_users(slurm: Slurm) -> None:
    other = pwd.getpwnam("nobody")
    job = slurm.submit("sleep 300", f"--uid={other.pw_uid}", f"--gid={other.pw_gid}")
    pids = slurm.wait_for_processes(job)
    assert {Path(f"/proc/{pid}").stat().st_uid for pid in pids} <= {0, other.pw_uid}
    found = record(slurm, job)
    assert (found.user, found.uid) == ("nobody", other.pw_uid)
    slurm.cancel(job)
    slurm.wait(job)


@pytest.mark.fault("records-damaged")
def test_a_node_whose_records_cannot_be_written_goes_on_working(slurm: Slurm) -> None:
    """A prolog that fails drains its node: jobs would pile up because of a meter."""
    slurm.settings(FOLDER="/proc/nowhere", SQUEUE="/bin/false")
    job = slurm.submit("exit 0")
    assert slurm.wait(job) == "COMPLETED"
    assert slurm.node_state() in ("idle", "mixed", "planned")  # what a drained node is not
    assert slurm.reader.record_for(job) is None
    slurm.ask_controller(yes=True)


def test_a_job_whose_time_was_over(slurm: Slurm, history: History) -> None:
    """Near the end, because Slurm looks at limits every half minute."""
    assert slurm.wait(history.timeout) == "TIMEOUT"
    assert end(slurm, history.timeout) == ("timeout", None)


def test_all_of_them_were_believed(slurm: Slurm, history: History) -> None:
    assert len({run.run_id for run in slurm.reader.records()}) >= 5 + len(history.array)
    assert slurm.reader.refused == 0
