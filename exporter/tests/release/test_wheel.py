"""The release as somebody gets it who has no checkout: built, installed, and run from an empty folder."""

from __future__ import annotations

import os
import tarfile
import zipfile
from email.parser import Parser
from typing import TYPE_CHECKING

import pytest
from scripts.stack.processes import find

from gputally import __version__
from gputally.shipped import INSIDE, shipped_paths
from tests.agent.running import RunningAgent
from tests.cli.command import gputally
from tests.release.built import REPOSITORY, Release, build, committed, run

if TYPE_CHECKING:
    from pathlib import Path

# Top folders and files of the repository that nobody needs who runs gputally.
NOT_SHIPPED = {".ci", ".github", "benchmarks", "docs", "exporter", "scripts"}


@pytest.fixture(scope="module")
def release(tmp_path_factory) -> Release:
    return build(tmp_path_factory.mktemp("release"))


@pytest.fixture(scope="module")
def exported(release, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("exported")
    answer = gputally("export-config", "etc", folder=folder, program=(release.programs / "gputally",))
    assert (answer.status, answer.err) == (0, "")
    return folder / "etc"


def test_everything_beside_the_program_is_shipped_or_known_not_to_be():
    """A new top folder stands in gputally/shipped.py, or here."""
    ours = set(shipped_paths(REPOSITORY))
    left = {
        name
        for name in committed()
        if name not in ours
        and name.partition("/")[0] not in NOT_SHIPPED
        and "/" in name
        and "/tests/" not in name
        and not name.endswith(".py")
    }
    assert left == set()
    assert ours <= set(committed())


def test_the_wheel_holds_program_and_files_and_no_tests(release):
    with zipfile.ZipFile(release.wheel) as wheel:
        names = wheel.namelist()
        metadata = Parser().parsestr(wheel.read(f"gputally-{__version__}.dist-info/METADATA").decode())
    inside = {name.removeprefix(f"gputally/{INSIDE}/") for name in names if f"/{INSIDE}/" in name}
    assert inside == set(shipped_paths(REPOSITORY))
    assert not [name for name in names if "test" in name]
    assert {name.partition("/")[0] for name in names} == {"gputally", f"gputally-{__version__}.dist-info"}
    assert (metadata["Version"], metadata["License-Expression"]) == (__version__, "MIT")


def test_the_sdist_holds_what_wheel_and_image_are_built_of(release):
    with tarfile.open(release.sdist) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert set(shipped_paths(REPOSITORY)) <= names
    assert {
        "setup.py",
        "pyproject.toml",
        "LICENSE",
        "README.md",
        "CHANGELOG.md",
        "exporter/Dockerfile",
    } <= names


def test_the_program_says_its_version_and_runs_from_where_it_is_installed(release, tmp_path):
    assert (
        run([str(release.programs / "gputally"), "--version"], tmp_path)
        == f"gputally, version {__version__}\n"
    )
    where = run(
        [str(release.programs / "python"), "-c", "import gputally; print(gputally.__file__)"], tmp_path
    )
    assert where.startswith(str(release.programs.parent))


def test_check_finds_what_can_be_measured(release, tmp_path):
    text = run([str(release.programs / "gputally"), "check", "--source=simulated"], tmp_path)
    assert "simulated" in text


def test_a_node_measures_and_ends(release, tmp_path):
    agent = RunningAgent(tmp_path, "--source=simulated")
    agent.program = release.programs / "gputally"
    agent.start()
    try:
        agent.until(lambda: agent.scrape().series("gpu_energy_joules_total"), 20.0, "energy is counted")
        assert agent.terminate()[0] == 0
    finally:
        agent.stop()


def test_the_exported_files_are_those_of_the_repository(exported):
    for path in shipped_paths(REPOSITORY):
        assert (exported / path).read_bytes() == (REPOSITORY / path).read_bytes(), path
        assert os.access(exported / path, os.X_OK) == os.access(REPOSITORY / path, os.X_OK), path


def test_prometheus_and_alertmanager_take_the_exported_files(exported):
    run([str(find("promtool")), "check", "config", "prometheus/prometheus.yml"], exported)
    rules = sorted(str(path) for path in exported.glob("prometheus/*s/*.yml") if "targets" not in str(path))
    assert "SUCCESS" in run([str(find("promtool")), "check", "rules", *rules], exported)
    run([str(find("amtool")), "check-config", "alertmanager/alertmanager.yml"], exported)
