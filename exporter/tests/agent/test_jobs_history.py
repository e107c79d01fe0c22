"""What a real Prometheus knows of jobs and teams afterwards, restarts of the agent included."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.agent.jobbing import Programs, assert_conserved, job_mj, mj, programs, state_of, wait_for_jobs
from tests.agent.metering import IDLE, add_idle, counted_mj, is_up, load, true_mj
from tests.agent.scraping import Prometheus
from tests.fakenvml import Constant, Process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.agent.running import RunningAgent
    from tests.fakenvml import FakeNvml

__all__ = ["programs"]

RANGE = "[10m]"
COUNTERS = '{__name__=~"gpu_(job|team|unattributed|energy).*_total"}'


@pytest.fixture(scope="module", autouse=True)
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Started before the first test here: it takes it five seconds to look at its targets."""
    made = Prometheus(tmp_path_factory.mktemp("prometheus"))
    yield made
    made.stop()


@pytest.mark.fault("agent-resets")
def test_finished_jobs_are_known_to_the_millijoule_and_no_counter_was_ever_reset(
    agent: Callable[..., RunningAgent], fake_nvml: FakeNvml, programs: Programs, prometheus: Prometheus
) -> None:
    """Jobs one after the other on two GPUs; the agent is restarted between and within them, in any manner."""
    gpus = add_idle(fake_nvml, "full", "full")
    running = agent(f"--web.listen-address={prometheus.target}", "--jobs.announce=2s")
    load(running, gpus, IDLE)
    final: dict[str, int] = {}
    for restart in (running.restart, lambda: None, kill_and_start(running)):
        children = [programs.start(name) for name in ("one", "two")]
        for gpu, child in zip(gpus, children, strict=True):
            gpu.set_processes([Process(child, sm=70)])
        ids = wait_for_jobs(running, *children)
        if not final:
            time.sleep(3.0)  # until the team has been announced: increase() sees all of it
        for power in (Constant(400), IDLE):
            for gpu in gpus:
                gpu.power = power
            time.sleep(0.6)
            restart()
            running.wait_until(lambda s: all(is_up(s, gpu) for gpu in gpus))
        for gpu, child in zip(gpus, children, strict=True):
            programs.end(child)
            gpu.set_processes([])
        scrape = running.wait_until(
            lambda s, ids=ids: (
                all(state_of(s, one) == "ended" for one in ids)
                and all(counted_mj(s, gpu) == true_mj(gpu) for gpu in gpus)
            )
        )
        final |= {job_id: job_mj(scrape, job_id) for job_id in ids}
        restart()
    assert len(final) == 6
    assert min(final.values()) > 0
    last = running.wait_until(lambda s: all(is_up(s, gpu) for gpu in gpus))
    assert_conserved(last)

    def kept() -> dict[str, int]:
        highest = f"max by (job_id, uuid, component) (max_over_time(gpu_job_energy_joules_total{RANGE}))"
        asked = prometheus.query(f"sum by (job_id) ({highest})")
        return {series["job_id"]: mj(float(series["value"])) for series in asked}

    running.until(lambda: kept() == final, 20.0, f"Prometheus knows {final}, not {kept()}")
    reset = [s for s in prometheus.query(f"resets({COUNTERS}{RANGE})") if float(s["value"])]
    assert not reset
    by_team: Counter[tuple[str, str]] = Counter()
    owners = {
        series["job_id"]: (series["team"], series["user"])
        for series in prometheus.query(f"max by (job_id, team, user) (max_over_time(gpu_job_info{RANGE}))")
    }
    for job_id, used in final.items():
        by_team[owners[job_id]] += used
    teams = prometheus.query(f"max_over_time(gpu_team_energy_joules_total{RANGE})")
    assert {(s["team"], s["user"]): mj(float(s["value"])) for s in teams} == by_team
    grown = prometheus.query(f"sum(increase(gpu_team_energy_joules_total{RANGE}))")
    assert 0.6 < mj(float(grown[0]["value"])) / sum(final.values()) < 1.2


def kill_and_start(running: RunningAgent) -> Callable[[], object]:
    """As after the kernel's OOM killer."""

    def again() -> None:
        running.kill()
        running.start()

    return again
