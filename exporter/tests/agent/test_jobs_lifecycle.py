"""From a process on a GPU to a finished job: whose it is, when it began and ended, and what it used."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.agent.jobbing import (
    START_S,
    Programs,
    assert_all_conserved,
    job_mj,
    job_of,
    may_choose_pids,
    nobodys_mj,
    programs,
    start_with_pid,
    state_of,
    wait_for_jobs,
)
from tests.agent.metering import IDLE, add_idle, after_ticks, assert_exact, is_up, load, true_mj
from tests.fakenvml import Constant, Process

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.agent.running import RunningAgent, Scrape
    from tests.fakenvml import FakeGpu, FakeNvml

__all__ = ["programs"]

WATTS = 400


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """The folder of the records of `gputally run`."""
    folder = tmp_path / "runs"
    folder.mkdir(mode=0o1777)
    return folder


def ended(running: RunningAgent, job_id: str, state: str = "ended") -> Scrape:
    """The scrape in which a job is over."""
    return running.wait_until(lambda s: state_of(s, job_id) == state, what=f"{job_id} is {state}")


def test_a_process_is_a_job_of_its_user_from_its_start_to_its_end(
    agent: Callable[..., RunningAgent], fake_nvml: FakeNvml, programs: Programs
) -> None:
    """Alone on its GPU it pays for all of it; when it is gone its series stay as they were."""
    (gpu,) = add_idle(fake_nvml, "full")
    user = "nobody" if os.getuid() == 0 else ""
    began = time.time()
    child = programs.start(user=user)
    running = agent()
    load(running, [gpu], IDLE)
    gpu.set_processes([Process(child, sm=80)])
    gpu.set(gpu_percent=80)
    with running.watch() as watch:
        (job_id,) = wait_for_jobs(running, child)
        gpu.power = Constant(WATTS)
        time.sleep(1.0)
        gpu.power = IDLE
        used = running.wait_until(lambda s: job_mj(s, job_id) == true_mj(gpu) > 0)
        programs.end(child)
        gone = time.time()
        gpu.set_processes([])
        after = ended(running, job_id)
        gpu.power = Constant(WATTS)
        later = running.wait_until(lambda s: nobodys_mj(s, "no_process") > 50_000)
    watch.assert_no_decrease()
    assert_all_conserved(running, watch)
    (info,) = used.series("gpu_job_info", job_id=job_id)
    assert dict(info)["user"] == (user or Path("/proc/self").owner())
    assert dict(info)["scheduler"] == "process"
    assert used.value("gpu_job_start_time_seconds", job_id=job_id) == pytest.approx(began, abs=START_S)
    assert used.value("gpu_job_end_time_seconds", job_id=job_id) is None
    assert after.value("gpu_job_end_time_seconds", job_id=job_id) == pytest.approx(gone, abs=START_S)
    assert after.value("gpu_job_exit_code", job_id=job_id) is None  # nobody said
    for name in ("gpu_job_gpu_seconds_total", "gpu_job_busy_seconds_total", "gpu_job_start_time_seconds"):
        assert later.value(name, job_id=job_id) == after.value(name, job_id=job_id) > 0
    assert job_mj(later, job_id) == job_mj(used, job_id)


def test_jobs_that_share_a_gpu_pay_by_their_computing_time(
    agent: Callable[..., RunningAgent], fake_nvml: FakeNvml, programs: Programs
) -> None:
    """Three to one; and a third one on a GPU of its own pays for that."""
    shared, own = gpus = add_idle(fake_nvml, "full", "full")
    children = [programs.start(name) for name in ("one", "two", "three")]
    running = agent()
    load(running, gpus, IDLE)
    shared.set_processes([Process(children[0], sm=60), Process(children[1], sm=20)])
    own.set_processes([Process(children[2], sm=5)])
    first, second, third = wait_for_jobs(running, *children)
    after_ticks(running, 8)  # the driver's samples are of a second
    for gpu in gpus:
        gpu.power = Constant(WATTS)
    with running.watch() as watch:
        time.sleep(2.0)
        assert_exact(running, gpus)
    assert_all_conserved(running, watch)
    scrape = running.scrape()
    assert job_mj(scrape, first) == pytest.approx(3 * job_mj(scrape, second), rel=0.01)
    assert job_mj(scrape, first) + job_mj(scrape, second) == true_mj(shared)
    assert job_mj(scrape, third) == job_mj(scrape, third, own) == true_mj(own)
    assert scrape.label("gpu_attribution_info", "method", gpu="0") == "sm_share"
    assert scrape.label("gpu_attribution_info", "method", gpu="1") == "sole"


@pytest.mark.parametrize("how", [(0, "completed"), (3, "failed")])
def test_a_command_under_gputally_run_has_names_and_an_end_with_its_status(
    agent: Callable[..., RunningAgent],
    fake_nvml: FakeNvml,
    programs: Programs,
    runs: Path,
    how: tuple[int, str],
) -> None:
    code, state = how
    (gpu,) = add_idle(fake_nvml, "full")
    running = agent(f"--jobs.runs-dir={runs}")
    load(running, [gpu], IDLE)
    began = time.time()
    wrapped = programs.run(runs, "--job=train", "--model=llama")
    gpu.set_processes([Process(wrapped.pid, sm=80)])
    (job_id,) = wait_for_jobs(running, wrapped.pid)
    gpu.power = Constant(WATTS)
    with running.watch() as watch:
        time.sleep(0.6)
        assert wrapped.end(code) == code
        gpu.set_processes([])
        gpu.power = IDLE
        over = time.time()
        scrape = ended(running, job_id, state)
        later = after_ticks(running, 4)
    assert_all_conserved(running, watch)
    (info,) = scrape.series("gpu_job_info", job_id=job_id)
    shown = dict(info)
    assert (shown["scheduler"], shown["job_name"], shown["model"]) == ("run", "train", "llama")
    assert later.value("gpu_job_exit_code", job_id=job_id) == code
    assert later.value("gpu_job_start_time_seconds", job_id=job_id) == pytest.approx(began, abs=START_S)
    assert later.value("gpu_job_end_time_seconds", job_id=job_id) == pytest.approx(over, abs=START_S)
    assert job_mj(later, job_id) > 0
    assert sum(later.series("gpu_team_energy_joules_total", model="llama").values()) > 0


@pytest.mark.fault("wrapper-killed")
def test_a_wrapped_command_that_is_asked_to_end_is_cancelled_and_one_whose_wrapper_is_killed_has_ended(
    agent: Callable[..., RunningAgent], fake_nvml: FakeNvml, programs: Programs, runs: Path
) -> None:
    gpus = add_idle(fake_nvml, "full", "full")
    running = agent(f"--jobs.runs-dir={runs}")
    load(running, gpus, IDLE)
    asked, killed = programs.run(runs, "--job=asked"), programs.run(runs, "--job=killed")
    for gpu, wrapped in zip(gpus, (asked, killed), strict=True):
        gpu.set_processes([Process(wrapped.pid, sm=80)])
    jobs = wait_for_jobs(running, asked.pid, killed.pid)
    asked.wrapper.send_signal(signal.SIGTERM)
    asked.wrapper.wait(20)
    gpus[0].set_processes([])
    scrape = ended(running, jobs[0], "cancelled")
    assert scrape.value("gpu_job_exit_code", job_id=jobs[0]) == 128 + signal.SIGTERM
    killed.wrapper.kill()
    killed.wrapper.wait()
    still = after_ticks(running, 4)
    assert state_of(still, jobs[1]) == "running"  # the command goes on without it
    os.kill(killed.pid, signal.SIGKILL)
    gpus[1].set_processes([])
    scrape = ended(running, jobs[1])
    assert scrape.value("gpu_job_exit_code", job_id=jobs[1]) is None


def reuse(fake: FakeNvml, gpu: FakeGpu, running: RunningAgent, programs: Programs, *, same_pid: bool) -> None:
    """One process ends, and another is there at the next tick."""
    first = programs.start("first")
    gpu.set_processes([Process(first, sm=80)])
    (old,) = wait_for_jobs(running, first)
    gpu.power = Constant(WATTS)
    time.sleep(0.6)
    gpu.power = IDLE
    before = running.wait_until(lambda s: job_mj(s, old) == true_mj(gpu) > 0)
    programs.end(first)
    if same_pid:
        start_with_pid(programs, second := first, "second")
    else:
        second = programs.start("second")
    gpu.set_processes([Process(second, sm=80)])
    with running.watch() as watch:
        scrape = running.wait_until(
            lambda s: job_of(s, second) not in (None, old) and state_of(s, old) == "ended"
        )
        new = job_of(scrape, second)
        assert new is not None
        gpu.power = Constant(WATTS)
        time.sleep(0.6)
        gpu.power = IDLE
        total = running.wait_until(lambda s: job_mj(s, old) + job_mj(s, new) == true_mj(gpu))
    watch.assert_no_decrease()
    assert_all_conserved(running, watch)
    assert job_mj(total, old) == job_mj(before, old)
    assert job_mj(total, new) > 0
    assert fake.gpu(gpu.slot).raw.process_count == 1


def test_the_next_process_on_a_gpu_does_not_charge_the_one_before(
    agent: Callable[..., RunningAgent], fake_nvml: FakeNvml, programs: Programs
) -> None:
    (gpu,) = add_idle(fake_nvml, "full")
    running = agent()
    load(running, [gpu], IDLE)
    reuse(fake_nvml, gpu, running, programs, same_pid=False)


@pytest.mark.fault("pid-reused")
@pytest.mark.skipif(not may_choose_pids(), reason="only root of the host may choose a PID (ns_last_pid)")
def test_a_process_with_the_pid_of_one_that_is_gone_is_another_job(
    agent: Callable[..., RunningAgent], fake_nvml: FakeNvml, programs: Programs
) -> None:
    """The driver lists that PID all the while."""
    (gpu,) = add_idle(fake_nvml, "full")
    running = agent()
    load(running, [gpu], IDLE)
    reuse(fake_nvml, gpu, running, programs, same_pid=True)


@pytest.mark.fault("gpu-lost")
def test_a_gpu_that_is_lost_with_its_job_and_returns_without_it_owes_the_job_nothing(
    agent: Callable[..., RunningAgent], fake_nvml: FakeNvml, programs: Programs
) -> None:
    """What was used meanwhile is nobody's if somebody left; the process that is still there pays for it."""
    (gpu,) = add_idle(fake_nvml, "full")
    running = agent()
    child = programs.start()
    gpu.set_processes([Process(child, sm=80)])
    load(running, [gpu], IDLE)
    (job_id,) = wait_for_jobs(running, child)
    for stays in (True, False):
        before = after_ticks(running, 2)
        fake_nvml.fault("*", gpu=0, code=15)
        running.wait_until(lambda s: not is_up(s, gpu))
        gpu.power = Constant(WATTS)
        time.sleep(0.5)
        gpu.power = IDLE
        if not stays:
            programs.end(child)
            gpu.set_processes([])
        with running.watch() as watch:
            fake_nvml.clear("*", gpu=0)
            after = running.wait_until(
                lambda s: is_up(s, gpu) and job_mj(s, job_id) + nobodys_mj(s, "gap") == true_mj(gpu),
                timeout=15.0,
            )
        assert_all_conserved(running, watch)
        assert (job_mj(after, job_id) > job_mj(before, job_id)) is stays
        assert (nobodys_mj(after, "gap") > nobodys_mj(before, "gap")) is not stays
    ended(running, job_id)
