"""What may stand in process lists: crowds, strangers, secrets. Sums stay exact, and pages small."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.agent.jobbing import (
    Programs,
    assert_all_conserved,
    job_mj,
    nobodys_mj,
    programs,
    state_of,
    wait_for_jobs,
)
from tests.agent.metering import IDLE, add_idle, assert_exact, counted_mj, load, true_mj
from tests.fakenvml import Constant, Process, Square

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.agent.running import RunningAgent, Scrape
    from tests.fakenvml import FakeNvml

__all__ = ["programs"]

NOBODY = range(4_100_001, 4_110_001)  # PIDs that the kernel gives to nobody on a machine of usual size
MOST_JOBS = 500
MOST_SERIES = 20_000
CROWD = MOST_JOBS + 20
CANARY = "CANARY51c09d"


def jobs(scrape: Scrape) -> set[str]:
    """All that are published."""
    return {dict(labels)["job_id"] for labels in scrape.series("gpu_job_info")}


@pytest.mark.fault("process-crowd")
def test_ten_thousand_strangers_are_one_party_and_cost_nobody_a_scrape(
    agent: Callable[..., RunningAgent], fake_nvml: FakeNvml, programs: Programs
) -> None:
    """PIDs of nobody, of the kernel, of the agent itself; beside them one process that can be named."""
    gpu, quiet = gpus = add_idle(fake_nvml, "full", "full")
    running = agent()
    load(running, gpus, IDLE)
    known, alone = programs.start("known"), programs.start("alone")
    garbage = (*NOBODY[:9_995], 0, running.pid, 0xFFFFFFFF, 1 << 31)
    quiet.set_processes([Process(alone, sm=50)])
    gpu.set_processes([Process(known, sm=50), *(Process(pid, None, sm=1) for pid in garbage)])
    mine, others = wait_for_jobs(running, known, alone)
    for one in gpus:
        one.power = Square(100, 500, 0.4)
    with running.watch() as watch:
        time.sleep(2.0)
        assert_exact(running, gpus)
    watch.assert_served(within=0.3)
    watch.assert_no_decrease()
    assert_all_conserved(running, watch)
    last = running.scrape()
    assert jobs(last) == {mine, others}
    assert len(last.samples) < 1_000
    assert job_mj(last, mine) + nobodys_mj(last, "unresolved", gpu) == true_mj(gpu)
    assert 0 < job_mj(last, mine) < nobodys_mj(last, "unresolved", gpu)
    assert job_mj(last, others) == true_mj(quiet)


@pytest.mark.fault("process-crowd")
def test_more_jobs_than_are_published_stand_together_and_nothing_of_theirs_is_lost(
    agent: Callable[..., RunningAgent], fake_nvml: FakeNvml, programs: Programs
) -> None:
    """Real processes, each a job of its own; half of them end."""
    gpus = add_idle(fake_nvml, "full", "full")
    running = agent()
    load(running, gpus, IDLE)
    crowd = [programs.start(f"job{n % 7}") for n in range(CROWD)]
    for n, gpu in enumerate(gpus):
        gpu.set_processes(Process(child, sm=1) for child in crowd[n::2])
    with running.watch() as watch:
        full = running.wait_until(
            lambda s: s.value("gputally_capped_items", cap="jobs") == CROWD - MOST_JOBS, timeout=20.0
        )
        assert len(jobs(full)) == MOST_JOBS + 1
        for gpu in gpus:
            gpu.power = Constant(300)
        time.sleep(1.0)
        for child in crowd[::2]:
            programs.end(child)
        gpus[0].set_processes([])
        for gpu in gpus:
            gpu.power = IDLE
        running.wait_until(lambda s: all(counted_mj(s, gpu) == true_mj(gpu) for gpu in gpus))
        after = running.wait_until(
            lambda s: len(s.series("gpu_job_state", state="ended")) >= MOST_JOBS // 2 - 20
        )
    watch.assert_no_decrease()
    assert_all_conserved(running, watch)
    assert job_mj(after, "other") > 0
    assert max(len(scrape.samples) for scrape in watch.scrapes) < MOST_SERIES
    assert max(len(scrape.body) for scrape in watch.scrapes) < 4e6


@pytest.mark.fault("process-secrets")
def test_a_secret_of_a_job_is_nowhere_in_what_the_exporter_shows_or_keeps(
    agent: Callable[..., RunningAgent], fake_nvml: FakeNvml, programs: Programs, tmp_path: Path
) -> None:
    """Environment, command line, working folder; of the command that `gputally run` wraps, too."""
    gpu, wrapped_gpu = gpus = add_idle(fake_nvml, "full", "full")
    runs = tmp_path / "runs"
    runs.mkdir()
    (tmp_path / CANARY).mkdir()
    running = agent("--log.level=debug", f"--jobs.runs-dir={runs}", "--jobs.environment")
    load(running, gpus, IDLE)
    environment = {
        "SECRET_" + CANARY: "x",
        "AWS_SECRET_ACCESS_KEY": CANARY,
        "HOME": f"{tmp_path}/{CANARY}",
        "PATH": "/usr/bin:/bin",
    }
    child = programs.spawn(
        [sys.executable, "-c", "input()", "--password", CANARY],
        env=environment,
        cwd=tmp_path / CANARY,
        stdin=subprocess.PIPE,
    )
    wrapped = programs.run(runs, env=environment, arguments=[CANARY])
    gpu.set_processes([Process(child.pid, sm=50)])
    wrapped_gpu.set_processes([Process(wrapped.pid, sm=50)])
    ids = wait_for_jobs(running, child.pid, wrapped.pid)
    assert wrapped.end(0) == 0
    wrapped_gpu.set_processes([])
    scrape = running.wait_until(lambda s: state_of(s, ids[1]) == "completed")
    pages = [scrape.body, *(running.get(path)[1] for path in ("/", "/-/ready"))]
    running.terminate()
    files = [file for folder in (running.state_dir, runs) for file in folder.iterdir()]
    assert len(files) >= 4
    for text in (*pages, *(file.read_text(errors="replace") for file in files), "\n".join(running.log)):
        assert CANARY not in text
