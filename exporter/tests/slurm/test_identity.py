"""Whose processes are, as the agent says: from a real Slurm's cgroups, records and allocations to the end."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from gputally.config.teams import TeamRule
from gputally.model.clock import system_clock
from gputally.node.identity.binder import Binder
from gputally.node.identity.cgroups import place
from gputally.node.identity.protocol import End, Sighting
from tests.slurm.cluster import Slurm
from tests.slurm.configuration import GPUS

ME = pwd.getpwuid(os.geteuid()).pw_name
TEAMS = (TeamRule("language", slurm_accounts=("nlp-*",)),)


@pytest.fixture(params=["slurm", "unified_slurm"])
def cluster(request: pytest.FixtureRequest) -> Slurm:
    found: Slurm = request.getfixturevalue(request.param)
    if not found.tracking.startswith("cgroup"):
        pytest.skip(f"Slurm tracks processes by {found.tracking} here: {found.no_cgroups}")
    return found


def sighting(binder: Binder, pids: tuple[int, ...]) -> Sighting:
    """The one job of these processes."""
    seen = binder.sightings(pids, system_clock())
    assert set(seen) == set(pids)
    (found,) = {sighting.job.job_id: sighting for sighting in seen.values()}.values()
    return found


def end_of(binder: Binder, seen: Sighting) -> End | None:
    return binder.end_of(seen.job, seen.evidence, system_clock())


def test_a_job_from_its_processes_to_its_end(cluster: Slurm) -> None:
    binder = Binder(slurm=cluster.reader, teams=TEAMS)
    job = cluster.submit(
        "sleep 300 & sleep 300",
        "--gres=gpu:2",
        "--account=nlp-x",
        "--job-name=train",
        "--comment=model=llama",
    )
    seen = sighting(binder, cluster.wait_for_processes(job))
    said = (
        seen.job.job_id,
        seen.job.scheduler,
        seen.job.user,
        seen.job.team,
        seen.job.job_name,
        seen.job.model,
    )
    assert said == (job, "slurm", ME, "language", "train", "llama")
    assert seen.scheduled
    (allocation,) = binder.allocations(system_clock())
    assert allocation.sighting.job == seen.job
    assert len(set(allocation.minors) & set(GPUS)) == 2
    assert end_of(binder, seen) is None
    cluster.cancel(job)
    cluster.wait(job)
    end = end_of(binder, seen)
    assert end is not None
    assert end.state == "cancelled"
    assert binder.allocations(system_clock()) == []
    assert end_of(Binder(slurm=cluster.reader), seen) == end, "an agent that was started later"


def test_a_requeued_job_is_bound_anew(cluster: Slurm) -> None:
    binder = Binder(slurm=cluster.reader)
    job = cluster.submit("sleep 300", "--requeue", "--gres=gpu:1")
    first = sighting(binder, cluster.wait_for_processes(job))
    cluster.requeue(job)
    second = sighting(binder, cluster.wait_for_processes(job))
    assert (first.job.job_id, second.job.job_id) == (job, f"{job}-r1")
    ended = end_of(binder, first)
    assert ended is not None
    assert (ended.state, end_of(binder, second)) == ("cancelled", None)
    cluster.cancel(job)
    cluster.wait(job)


def test_on_the_unified_hierarchy_current_slurm_names_a_job_by_its_sluid(unified_slurm: Slurm) -> None:
    """Up to 25.11, and with CgroupJobIdPaths, by its id."""
    job = unified_slurm.submit("sleep 300")
    (pid, *_) = unified_slurm.wait_for_processes(job)
    found = place(Path(f"/proc/{pid}/cgroup").read_bytes())
    record = unified_slurm.reader.record_for(job)
    assert record is not None
    assert (found.kind, found.id) == ("slurm", record.sluid or job)
    assert bool(record.sluid) == (unified_slurm.version >= "26")
    if record.sluid:
        assert unified_slurm.reader.record_for_sluid(found.id) is record
