"""What is published of teams after a state folder that failed: goes on, or begins at zero; never a step back.

A small step back is what increase() takes for a reset, so that it adds the whole counter once more.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.agent.jobbing import TEAMS, assert_conserved, job_mj, mj, programs, wait_for_jobs
from tests.agent.metering import IDLE, add_idle, is_up, load
from tests.fakenvml import Constant, Process

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.agent.jobbing import Programs
    from tests.agent.running import RunningAgent, Scrape
    from tests.fakenvml import FakeNvml

__all__ = ["programs"]
NOT_TRUSTED_S = 10  # age of a state after which something else may have been published


def team_mj(scrape: Scrape) -> int:
    return sum(mj(value) for value in scrape.series(TEAMS).values())


def refuse(agent: RunningAgent, *, yes: bool) -> None:
    """Let every write to the state folder fail, or succeed again."""
    for name in ("counters.json.tmp", "counters.json.synced.tmp"):
        (agent.state_dir / name).mkdir() if yes else (agent.state_dir / name).rmdir()


@pytest.fixture
def used(
    agent: Callable[..., RunningAgent], fake_nvml: FakeNvml, programs: Programs
) -> tuple[RunningAgent, str]:
    """An agent whose one job has used something."""
    (gpu,) = add_idle(fake_nvml, "full")
    running = agent()
    gpu.set_processes([Process(pid := programs.start(), sm=80)])
    load(running, [gpu], IDLE)
    (job,) = wait_for_jobs(running, pid)
    gpu.power = Constant(400)
    running.wait_until(lambda s: team_mj(s) > 400_000)
    return running, job


@pytest.mark.fault("state-disk")
@pytest.mark.parametrize("failing_s", [1.0, NOT_TRUSTED_S + 2.0])
def test_killed_while_the_state_could_not_be_written(
    used: tuple[RunningAgent, str], fake_nvml: FakeNvml, failing_s: float
) -> None:
    """For a short time nothing new is published; after a longer one the file is too old to go on from."""
    running, job = used
    refuse(running, yes=True)
    running.wait_until(lambda s: s.value("gputally_state_write_success") == 0)
    time.sleep(failing_s)
    fake_nvml.gpu(0).power = IDLE
    time.sleep(0.6)
    before = running.scrape()
    running.kill()
    refuse(running, yes=False)
    running.start()
    after = running.wait_until(
        lambda s: (
            is_up(s, fake_nvml.gpu(0))
            and s.value(
                "gputally_samples_total",
            )
            > 2
        )
    )
    if failing_s < NOT_TRUSTED_S:
        assert team_mj(after) >= team_mj(before)
        assert_conserved(after)
    else:
        assert team_mj(after) == 0
        assert running.lines("begin at zero")
    assert job_mj(after, job) > 0, "its highest value is read, which no step back hurts"


def test_the_newest_file_is_gone(used: tuple[RunningAgent, str], fake_nvml: FakeNvml) -> None:
    running, _ = used
    fake_nvml.gpu(0).power = IDLE
    time.sleep(0.6)
    before = running.scrape()
    assert team_mj(before) > 0
    running.kill()
    (running.state_dir / "counters.json").unlink()
    running.start()
    after = running.wait_until(lambda s: is_up(s, fake_nvml.gpu(0)))
    assert team_mj(after) == 0
    assert running.lines("begin at zero")


def test_a_stop_and_a_start_much_later_lose_nothing(
    used: tuple[RunningAgent, str], fake_nvml: FakeNvml
) -> None:
    running, job = used
    fake_nvml.gpu(0).power = IDLE
    time.sleep(0.6)
    before = running.scrape()
    running.terminate()
    time.sleep(NOT_TRUSTED_S + 1)
    running.start()
    after = running.wait_until(lambda s: is_up(s, fake_nvml.gpu(0)))
    assert (team_mj(after), job_mj(after, job)) == (team_mj(before), job_mj(before, job))
