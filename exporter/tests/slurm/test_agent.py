"""From sbatch to /metrics: real Slurm jobs on fake GPUs, metered by the real agent."""

from __future__ import annotations

import os
import pwd
from typing import TYPE_CHECKING

import pytest

from tests.agent.conftest import agent, new_agent
from tests.agent.metering import uuid_of
from tests.fakenvml import Constant, Process

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.agent.running import RunningAgent, Scrape
    from tests.fakenvml import FakeGpu, FakeNvml
    from tests.slurm.cluster import Slurm

__all__ = ["agent", "new_agent"]
ME = pwd.getpwuid(os.geteuid()).pw_name
ENERGY = "gpu_job_energy_joules_total"
NOBODYS = "gpu_unattributed_energy_joules_total"
IDLE_W, LOAD_W = 60, 460
CONFIG = f"""
node:
  jobs:
    idle_watts: {{"*": {IDLE_W}}}
teams:
  - name: language
    slurm_accounts: ["nlp-*"]
"""


@pytest.fixture
def cluster(slurm: Slurm) -> Slurm:
    if not slurm.tracking.startswith("cgroup"):
        pytest.skip(f"Slurm tracks processes by {slurm.tracking} here: {slurm.no_cgroups}")
    return slurm


@pytest.fixture
def gpus(fake_nvml: FakeNvml) -> list[FakeGpu]:
    """Four, named by Slurm as /dev/nvidia4 to 7, which are not their places in any list."""
    made = [fake_nvml.add_gpu("h100", power=Constant(IDLE_W)) for _ in range(4)]
    for number, gpu in enumerate(made):
        gpu.set(minor=4 + number, gpu_percent=0)
    return made


@pytest.fixture
def metered(
    agent: Callable[..., RunningAgent], cluster: Slurm, gpus: list[FakeGpu], tmp_path: Path
) -> RunningAgent:
    (tmp_path / "gputally.yml").write_text(CONFIG)
    started = agent(
        f"--config.file={tmp_path / 'gputally.yml'}", f"--jobs.slurm-dir={cluster.records_folder}"
    )
    started.wait_until(lambda s: len(s.series("gpu_up")) == len(gpus))
    return started


def info(scrape: Scrape, job: str) -> dict[str, str] | None:
    found = [dict(labels) for labels in scrape.series("gpu_job_info", job_id=job)]
    return found[0] if found else None


def state(scrape: Scrape, job: str) -> str | None:
    return scrape.label("gpu_job_state", "state", job_id=job)


def conserved(scrape: Scrape, gpu: FakeGpu) -> bool:
    uuid = uuid_of(gpu)
    parts = [*scrape.series(ENERGY, uuid=uuid).values(), *scrape.series(NOBODYS, uuid=uuid).values()]
    return round(sum(parts) * 1000) == round((scrape.value("gpu_energy_joules_total", uuid=uuid) or 0) * 1000)


def test_a_job_pays_for_the_gpu_that_it_holds_from_prolog_to_epilog(
    cluster: Slurm, metered: RunningAgent, fake_nvml: FakeNvml, gpus: list[FakeGpu]
) -> None:
    job = cluster.submit(
        "sleep 300", "--gres=gpu:1", "--account=nlp-x", "--job-name=train", "--comment=model=llama"
    )
    pids = cluster.wait_for_processes(job)
    scrape = metered.wait_until(
        lambda s: s.value(ENERGY, job_id=job, component="idle"), what="a GPU that is held and not used"
    )
    assert info(scrape, job) == {
        "job_id": job,
        "user": ME,
        "team": "language",
        "job_name": "train",
        "model": "llama",
        "scheduler": "slurm",
        "identity": "record",
    }
    (held,) = {dict(labels)["uuid"] for labels in scrape.series(ENERGY, job_id=job)}
    record = cluster.reader.record_for(job)
    assert record is not None
    gpu = gpus[record.gpus[0] - 4]
    assert held == uuid_of(gpu)
    gpu.power = Constant(LOAD_W)
    gpu.set(gpu_percent=100)
    fake_nvml.set_processes(gpus.index(gpu), [Process(pids[0], 2**30, sm=100)])
    scrape = metered.wait_until(lambda s: (s.value(ENERGY, job_id=job, component="active") or 0) > LOAD_W)
    assert scrape.label("gpu_attribution_info", "method", uuid=held) == "sole"
    assert scrape.series("gpu_process_memory_bytes", pid=str(pids[0]), job_id=job)
    gpu.power = Constant(IDLE_W)
    fake_nvml.set_processes(gpus.index(gpu), [])
    cluster.cancel(job)
    cluster.wait(job)
    scrape = metered.wait_until(lambda s: state(s, job) == "cancelled")
    assert scrape.value("gpu_job_end_time_seconds", job_id=job) is not None
    final = scrape.series(ENERGY, job_id=job)
    later = metered.wait_until(lambda s: s.at > scrape.at + 1)
    assert later.series(ENERGY, job_id=job) == final, "nothing is booked after the end"
    assert all(conserved(later, one) for one in gpus)


def test_tasks_of_an_array_and_a_requeued_job_are_jobs_of_their_own(
    cluster: Slurm, metered: RunningAgent, fake_nvml: FakeNvml, gpus: list[FakeGpu]
) -> None:
    array = cluster.submit("sleep 300", "--array=1-3", "--gres=gpu:1", "--job-name=sweep", "--requeue")
    metered.until(lambda: len(cluster.tasks(array)) == 3, 60, "tasks")
    tasks = cluster.tasks(array)
    for job in tasks.values():
        pids = cluster.wait_for_processes(job)
        record = cluster.reader.record_for(job)
        assert record is not None
        slot = record.gpus[0] - 4
        gpus[slot].power = Constant(LOAD_W)
        fake_nvml.set_processes(slot, [Process(pids[0], 2**30, sm=90)])
    scrape = metered.wait_until(
        lambda s: all(s.value(ENERGY, job_id=job, component="active") for job in tasks.values())
    )
    assert {info(scrape, job)["job_name"] for job in tasks.values()} == {"sweep"}
    first = tasks[1]
    cluster.requeue(first)
    pids = cluster.wait_for_processes(first)
    again = f"{first}-r1"
    record = cluster.reader.record_for(first)
    assert record is not None
    fake_nvml.set_processes(record.gpus[0] - 4, [Process(pids[0], 2**30, sm=90)])
    gpus[record.gpus[0] - 4].power = Constant(LOAD_W)
    scrape = metered.wait_until(lambda s: s.value(ENERGY, job_id=again, component="active"))
    assert (state(scrape, first), state(scrape, again)) == ("cancelled", "running")
    metered.restart()  # and an agent that is started in the middle knows both
    scrape = metered.wait_until(lambda s: state(s, again) == "running" and state(s, first) is not None)
    assert all(conserved(scrape, gpu) for gpu in gpus)
    for job in tasks.values():
        cluster.cancel(job)
    for job in tasks.values():
        cluster.wait(job)
    scrape = metered.wait_until(lambda s: all(state(s, job) == "cancelled" for job in tasks.values()))
    assert scrape.value(
        "gpu_team_energy_joules_total", team="unassigned", user=ME, model=""
    ) == pytest.approx(sum(scrape.series(ENERGY).values()), abs=0.001)
