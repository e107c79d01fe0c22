"""Whose team a job is: by the rules of the file as they were when it was first seen, not by its claims."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.agent.jobbing import Programs, assert_all_conserved, job_mj, mj, programs, wait_for_jobs
from tests.agent.metering import IDLE, add_idle, counted_mj, load, true_mj
from tests.fakenvml import Constant, Process

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.agent.running import RunningAgent, Scrape
    from tests.fakenvml import FakeNvml

__all__ = ["programs"]

RELOADED_AT = "gputally_config_last_reload_successful_timestamp_seconds"


def team_of(scrape: Scrape, job_id: str) -> str | None:
    """The team of a job."""
    return scrape.label("gpu_job_info", "team", job_id=job_id)


def teams_mj(scrape: Scrape) -> dict[str, int]:
    """What teams have used."""
    series = scrape.series("gpu_team_energy_joules_total")
    return {dict(labels)["team"]: mj(joules) for labels, joules in series.items()}


def test_rules_that_are_read_again_hold_for_jobs_that_come_later(
    agent: Callable[..., RunningAgent], fake_nvml: FakeNvml, programs: Programs, tmp_path: Path
) -> None:
    """A job that runs stays where it is; both counters go on."""
    me = Path("/proc/self").owner()
    file = tmp_path / "gputally.yml"
    file.write_text(f"teams: [{{name: nlp, users: [{me}]}}]\n")
    first, second = gpus = add_idle(fake_nvml, "full", "full")
    running = agent(f"--config.file={file}")
    load(running, gpus, IDLE)
    early = programs.start("early")
    first.set_processes([Process(early, sm=50)])
    (old,) = wait_for_jobs(running, early)
    loaded_at = running.value(RELOADED_AT, config="main") or 0.0
    file.write_text(f"teams: [{{name: vision, users: ['{me[:-1]}?']}}]\n")
    running.signal(signal.SIGHUP)
    running.wait_until(lambda s: (s.value(RELOADED_AT, config="main") or 0.0) > loaded_at)
    late = programs.start("late")
    second.set_processes([Process(late, sm=50)])
    (new,) = wait_for_jobs(running, late)
    with running.watch() as watch:
        for power in (Constant(300), IDLE):
            for gpu in gpus:
                gpu.power = power
            time.sleep(0.5)
        scrape = running.wait_until(lambda s: all(counted_mj(s, gpu) == true_mj(gpu) for gpu in gpus))
    assert_all_conserved(running, watch)
    assert (team_of(scrape, old), team_of(scrape, new)) == ("nlp", "vision")
    assert teams_mj(scrape) == {"nlp": job_mj(scrape, old), "vision": job_mj(scrape, new)}
    assert min(teams_mj(scrape).values()) > 0


@pytest.mark.fault("claims-forged")
def test_who_claims_a_team_is_believed_only_where_the_file_lets_him(
    agent: Callable[..., RunningAgent], fake_nvml: FakeNvml, programs: Programs, tmp_path: Path
) -> None:
    me = Path("/proc/self").owner()
    file = tmp_path / "gputally.yml"
    whose = {"nlp": me, "vision": me, "board": "chair"}
    teams = [f"{{name: {team}, users: [{user}]}}" for team, user in whose.items()]
    file.write_text(f"teams: [{', '.join(teams)}]\n")
    runs = tmp_path / "runs"
    runs.mkdir(mode=0o1777)
    gpus = add_idle(fake_nvml, "full", "full", "full")
    running = agent(f"--config.file={file}", f"--jobs.runs-dir={runs}")
    load(running, gpus, IDLE)
    claims = {"vision": "vision", "board": "nlp", "unheard-of": "nlp"}
    for gpu, (claim, team) in zip(gpus, claims.items(), strict=True):
        wrapped = programs.run(runs, f"--team={claim}")
        gpu.set_processes([Process(wrapped.pid, sm=50)])
        (job_id,) = wait_for_jobs(running, wrapped.pid)
        assert team_of(running.scrape(), job_id) == team, claim
    assert running.value("gputally_identity_conflicts_total", kind="team") == 2


def test_a_new_team_is_zero_until_prometheus_can_have_seen_it(
    agent: Callable[..., RunningAgent], fake_nvml: FakeNvml, programs: Programs
) -> None:
    (gpu,) = gpus = add_idle(fake_nvml, "full")
    running = agent("--jobs.announce=2s")
    load(running, gpus, IDLE)
    gpu.set_processes([Process(programs.start(), sm=50)])
    gpu.power = Constant(300)
    scrape = running.wait_until(teams_mj, what="a team")
    assert teams_mj(scrape) == {"unassigned": 0}
    scrape = running.wait_until(lambda s: sum(teams_mj(s).values()), what="what it has used")
    (job,) = {dict(labels)["job_id"] for labels in scrape.series("gpu_job_info")}
    assert teams_mj(scrape) == {"unassigned": job_mj(scrape, job)}
    assert job_mj(scrape, job) > 300_000
