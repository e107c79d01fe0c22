"""Every millijoule has one owner in every scrape, whatever happens to agent, driver and GPUs in between."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.agent.jobbing import (
    Programs,
    assert_all_conserved,
    assert_conserved,
    job_mj,
    nobodys_mj,
    programs,
    settled,
    state_of,
    wait_for_jobs,
)
from tests.agent.metering import (
    IDLE,
    add_idle,
    assert_exact,
    counted_mj,
    is_up,
    load,
    true_mj,
    uuid_of,
)
from tests.agent.statefiles import Memory
from tests.fakenvml import Constant, Process, Square

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.agent.running import RunningAgent, Scrape, Watch
    from tests.fakenvml import FakeGpu, FakeNvml

__all__ = ["programs"]

WAVE = Square(100, 500, 0.3)


def occupy(running: RunningAgent, gpu: FakeGpu, programs: Programs, names: str) -> list[str]:
    """Put a process on a GPU for each letter, the later ones computing less; their jobs."""
    children = [programs.start(name) for name in names]
    gpu.set_processes(Process(child, sm=60 // (n + 1)) for n, child in enumerate(children))
    return wait_for_jobs(running, *children)


@pytest.mark.fault("agent-down")
@pytest.mark.parametrize("orderly", [True, False], ids=["SIGTERM", "SIGKILL"])  # three crashes are too many
def test_what_is_used_while_the_agent_is_down_is_nobodys_and_jobs_go_on(
    agent: Callable[..., RunningAgent], fake_nvml: FakeNvml, programs: Programs, orderly: bool
) -> None:
    """Several in a row. One job runs through all of it, one ends while nobody looks."""
    gpu, other = gpus = add_idle(fake_nvml, "full", "full")
    running = agent()
    load(running, gpus, IDLE)
    (through,) = occupy(running, gpu, programs, "a")
    brief = programs.start("brief")
    other.set_processes([Process(brief, sm=50)])
    (ending,) = wait_for_jobs(running, brief)
    down_mj = 0
    last: Scrape | None = None
    with running.watch() as watch:
        for n in range(4 if orderly else 2):
            for one in gpus:
                one.power = WAVE
            time.sleep(0.5)
            before = settled(running, *gpus)
            if last is not None:
                assert job_mj(before, through) > job_mj(last, through)
                assert started(before, through) == started(last, through)
            running.terminate() if orderly else running.kill()
            unseen_mj = true_mj(gpu)
            gpu.power = Constant(300)
            time.sleep(0.2)
            gpu.power = IDLE
            time.sleep(2 * gpu.raw.energy_step_ns / 1e9)  # the counter moves in steps
            down_mj += true_mj(gpu) - unseen_mj
            if n == 1:
                ended_at = time.time()
                programs.end(brief)
                other.set_processes([])
            running.start()
            last = settled(running, *gpus)
            assert job_mj(last, through) == job_mj(before, through)
            assert job_mj(last, ending) == job_mj(before, ending)
            assert nobodys_mj(last, "exporter_down", gpu) == down_mj > 0
            assert state_of(last, through) == "running"
            if n >= 1:
                over = running.wait_until(lambda s: state_of(s, ending) == "ended")
                assert over.value("gpu_job_end_time_seconds", job_id=ending) <= ended_at + 1
    assert_never_lower(watch)
    assert_all_conserved(running, watch)
    assert last is not None
    assert job_mj(last, through) + nobodys_mj(last, "exporter_down", gpu) == true_mj(gpu)


@pytest.mark.fault("driver-crashes")
def test_after_three_crashes_the_driver_is_not_asked_for_processes_and_jobs_are_kept(
    agent: Callable[..., RunningAgent], fake_nvml: FakeNvml, programs: Programs
) -> None:
    """Whose the energy is, nobody can say then; a job that is still there has not ended for that."""
    (gpu,) = add_idle(fake_nvml, "full")
    running = agent()
    load(running, [gpu], IDLE)
    (job_id,) = occupy(running, gpu, programs, "a")
    gpu.power = Constant(300)
    time.sleep(0.5)
    before = settled(running, gpu)
    with running.watch() as watch:
        for _ in range(3):
            running.kill()
            running.start()
            running.wait_until(lambda s: is_up(s, gpu))
        assert running.lines("processes stay off")
        gpu.power = Constant(300)
        running.wait_until(lambda s: nobodys_mj(s, "no_process_data") > 50_000)
        after = settled(running, gpu)
    assert_never_lower(watch)
    assert_all_conserved(running, watch)
    assert job_mj(after, job_id) == job_mj(before, job_id) > 0
    assert state_of(after, job_id) == "running"


def assert_never_lower(watch: Watch) -> None:
    """No counter of GPUs, jobs or teams went back, over restarts of the agent too."""
    memory = Memory()
    for scrape in watch.scrapes:
        memory.check(scrape)
    assert len(memory) > 10


def started(scrape: Scrape, job_id: str) -> float | None:
    """When a job began."""
    return scrape.value("gpu_job_start_time_seconds", job_id=job_id)


def test_faults_of_driver_and_gpus_lose_and_double_nothing(
    agent: Callable[..., RunningAgent], fake_nvml: FakeNvml, programs: Programs
) -> None:
    """A GPU that is lost, one that hangs, a counter that goes back, the driver loaded anew."""
    gpus = add_idle(fake_nvml, "full", "full", "a100")
    running = agent("--nvml.release=1s")
    load(running, gpus, IDLE)
    for gpu, names in zip(gpus, ("ab", "c", "def"), strict=True):
        occupy(running, gpu, programs, names)
        gpu.power = WAVE
    with running.watch(pace=0.1) as watch:
        fake_nvml.fault("*", gpu=0, code=15)
        fake_nvml.fault("nvmlDeviceGetPowerUsage", gpu=2, hang=True)
        running.wait_until(lambda s: not is_up(s, gpus[0]) and not is_up(s, gpus[2]))
        fake_nvml.clear("*", gpu=0)
        fake_nvml.release()
        running.wait_until(lambda s: all(is_up(s, gpu) for gpu in gpus), timeout=15.0)
        fake_nvml.order([2, 0])
        running.wait_until(lambda s: not is_up(s, gpus[1]))
        fake_nvml.order([2, 1, 0])
        running.wait_until(lambda s: all(is_up(s, gpu) for gpu in gpus))
        gpus[0].shift_energy(-1)  # the dip by a little that drivers have
        time.sleep(0.6)
        gpus[0].shift_energy(1)
        settled(running, *gpus)
        running.ask_to_release()  # for the driver to be loaded anew: its counters begin at zero
        running.wait_until(lambda s: not any(is_up(s, gpu) for gpu in gpus))
        for gpu in gpus:
            gpu.reset_energy()
            gpu.power = WAVE
        back = running.wait_until(lambda s: all(is_up(s, gpu) for gpu in gpus), timeout=15.0)
        running.wait_until(
            lambda s: (counted_mj(s, gpus[1]) or 0) > (counted_mj(back, gpus[1]) or 0) + 50_000
        )
    watch.assert_no_decrease()
    assert_all_conserved(running, watch)
    assert len(watch.scrapes) > 5


@pytest.mark.fault("driver-call-hangs")
@pytest.mark.parametrize("watts", [0, 200])
def test_a_job_goes_on_over_a_hang_with_the_same_processes_and_pays_for_it(
    agent: Callable[..., RunningAgent], fake_nvml: FakeNvml, programs: Programs, watts: int
) -> None:
    """But not where somebody came meanwhile. `watts`: drawn when the call began to hang."""
    gpu, other = gpus = add_idle(fake_nvml, "full", "full")
    running = agent()
    load(running, gpus, IDLE)
    (alone,) = occupy(running, gpu, programs, "a")
    (joined,) = occupy(running, other, programs, "b")
    with running.watch() as watch:
        for one in gpus:
            one.power = Constant(watts)
        running.wait_until(lambda s: not watts or job_mj(s, joined) > 10_000)
        for slot in (0, 1):  # in the middle of a read: energy was read before, processes are later
            fake_nvml.fault("nvmlDeviceGetMemoryInfo_v2", gpu=slot, hang=True)
        hung = running.wait_until(lambda s: not is_up(s, gpu) and not is_up(s, other))
        newcomer = programs.start("newcomer")
        other.set_processes([*(Process(pid, sm=60) for pid in listed(other)), Process(newcomer, sm=60)])
        for one in gpus:
            one.power = Constant(300)
        time.sleep(0.5)
        for one in gpus:
            one.power = IDLE
        fake_nvml.release()
        scrape = settled(running, *gpus)
        (new,) = wait_for_jobs(running, newcomer)
    watch.assert_no_decrease()
    assert_all_conserved(running, watch)
    assert job_mj(scrape, alone) == true_mj(gpu) > 0
    assert job_mj(scrape, joined) == job_mj(hung, joined)
    assert job_mj(scrape, new) == 0
    assert nobodys_mj(scrape, "gap", other) == true_mj(other) - job_mj(hung, joined) > 100_000


def listed(gpu: FakeGpu) -> list[int]:
    """PIDs on the fake's list."""
    return [gpu.raw.processes[n].pid for n in range(gpu.raw.process_count)]


def test_attribution_can_be_off_for_a_while(
    agent: Callable[..., RunningAgent],
    new_agent: Callable[..., RunningAgent],
    fake_nvml: FakeNvml,
    programs: Programs,
) -> None:
    """Metering does not notice. What was used meanwhile was never divided; what is known of jobs is kept."""
    (gpu,) = add_idle(fake_nvml, "full")
    running = agent()
    load(running, [gpu], IDLE)
    (job_id,) = occupy(running, gpu, programs, "a")
    gpu.power = WAVE
    time.sleep(0.5)
    before = settled(running, gpu)
    running.terminate()
    off = new_agent("--no-collector.jobs", folder=running.folder).start()
    load(off, [], IDLE)
    gpu.power = WAVE
    bare = off.wait_until(lambda s: (counted_mj(s, gpu) or 0) > (counted_mj(before, gpu) or 0) + 50_000)
    assert not {name for name in bare.families() if name.startswith(("gpu_job", "gpu_team", "gpu_unattr"))}
    assert "gpu_attribution_info" not in bare.families()
    last = settled(off, gpu)
    off.terminate()
    running.start()
    gpu.power = WAVE
    time.sleep(0.5)
    again = settled(running, gpu)
    assert job_mj(again, job_id) > job_mj(before, job_id)
    off_mj = (counted_mj(last, gpu) or 0) - (counted_mj(before, gpu) or 0)
    assert_conserved(again, {uuid_of(gpu): off_mj})
    assert_exact(running, [gpu])


@pytest.mark.parametrize("policy", ["used", "weighted"])
def test_the_idle_policy_says_who_pays_the_baseline(
    agent: Callable[..., RunningAgent], fake_nvml: FakeNvml, programs: Programs, tmp_path: Path, policy: str
) -> None:
    """A quarter of 300 W, by configuration; nobody's, or that of those who keep the GPU awake."""
    (gpu,) = add_idle(fake_nvml, "full")
    file = tmp_path / "gputally.yml"
    file.write_text(f"node: {{jobs: {{idle_watts: {{{uuid_of(gpu)}: 75}}}}}}\n")
    running = agent(f"--config.file={file}", f"--jobs.idle-policy={policy}")
    load(running, [gpu], IDLE)
    (job_id,) = occupy(running, gpu, programs, "a")
    with running.watch() as watch:
        gpu.power = Constant(300)
        time.sleep(1.5)
        scrape = settled(running, gpu)
    assert_all_conserved(running, watch)
    assert scrape.value("gpu_idle_power_watts", uuid=uuid_of(gpu)) == 75
    assert scrape.label("gpu_attribution_info", "policy", uuid=uuid_of(gpu)) == policy
    idle = scrape.value("gpu_job_energy_joules_total", job_id=job_id, component="idle") or 0.0
    nobodys = nobodys_mj(scrape, "idle") / 1000
    assert (idle > 0, nobodys > 0) == (policy == "weighted", policy == "used")
    # Where power came and went within a tick the baseline is all of the tick's time, and so a little more.
    assert 0.25 <= (idle + nobodys) * 1000 / true_mj(gpu) < 0.4
