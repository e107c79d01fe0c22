"""What runs elsewhere on our behalf: without permissions or code of others, by targets that exist."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from tests.release.built import REPOSITORY

FOLDER = REPOSITORY / ".github" / "workflows"
WORKFLOWS: dict[str, dict[str, Any]] = {
    path.stem: yaml.safe_load(path.read_text()) for path in FOLDER.glob("*.yml")
}
JOBS = {
    f"{name}.{job}": body for name, workflow in WORKFLOWS.items() for job, body in workflow["jobs"].items()
}
WITH_STEPS = {name: body for name, body in JOBS.items() if "steps" in body}
MAY_WRITE = {"release.release": {"contents": "write"}}
TARGETS = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))


def commands(job: str) -> str:
    """All that a job's steps run."""
    return "\n".join(step["run"] for step in WITH_STEPS[job]["steps"])


@pytest.mark.parametrize("name", WORKFLOWS)
def test_nothing_is_permitted_unless_a_job_asks_for_it(name):
    assert WORKFLOWS[name]["permissions"] == {}


def test_one_job_may_write_and_only_what_it_has_to():
    assert {job: body["permissions"] for job, body in JOBS.items() if "permissions" in body} == MAY_WRITE


@pytest.mark.parametrize("name", WITH_STEPS)
def test_a_job_runs_nobody_elses_actions_in_a_pinned_image_and_not_for_ever(name):
    job = WITH_STEPS[name]
    assert re.fullmatch(r"[a-z]+:\d+\.\d+", job["container"])
    assert not re.search("latest", job["runs-on"])
    assert job["timeout-minutes"] <= 60
    assert all("run" in step and "uses" not in step for step in job["steps"])


def test_jobs_without_steps_are_those_of_our_own_files():
    for body in (JOBS[name] for name in JOBS.keys() - WITH_STEPS.keys()):
        assert (REPOSITORY / body["uses"]).is_file()


@pytest.mark.parametrize("name", WITH_STEPS)
def test_expressions_reach_no_shell_directly(name):
    """A branch's name can be a command."""
    assert "${{" not in commands(name)


def test_jobs_run_targets_of_the_makefile():
    matrix = JOBS["ci.test"]["strategy"]["matrix"]["target"]
    assert {"test", "test-current"} == set(matrix) <= TARGETS
    assert (
        set(re.findall(r"^make ([a-z]+)", commands("release.release"), re.MULTILINE)) == {"dist"} <= TARGETS
    )


def test_a_release_waits_for_the_tests_and_takes_tags_of_versions_alone():
    assert JOBS["release.test"]["uses"] == "./.github/workflows/ci.yml"
    assert "workflow_call" in WORKFLOWS["ci"]["on"]
    assert JOBS["release.release"]["needs"] == "test"
    assert WORKFLOWS["release"]["on"] == {"push": {"tags": ["v[0-9]+.[0-9]+.[0-9]+"]}}


def test_only_the_step_that_publishes_sees_the_token():
    for job in WITH_STEPS.values():
        for step in job["steps"]:
            assert ("github.token" in str(step) or "secrets." in str(step)) == (step["name"] == "Publish")


def test_the_audit_is_asked_at_every_change_and_once_a_week():
    """What is known of a package becomes known when nothing of ours changes."""
    assert set(WORKFLOWS["audit"]["on"]) == {"push", "pull_request", "schedule"}
    assert WORKFLOWS["audit"]["on"]["schedule"] == [{"cron": "17 5 * * 1"}]
    assert re.findall(r"^make ([a-z]+)", commands("audit.audit"), re.MULTILINE) == ["audit"]
    assert "audit" in TARGETS
