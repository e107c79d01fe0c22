"""`gputally alerts` as a process: what it writes where, and that a mistake leaves everything as it was."""

import os
import stat
from pathlib import Path

import pytest

from gputally.alerts.thresholds import THRESHOLDS
from tests.alerts.promtool import check
from tests.cli.command import assert_refused, gputally

GOOD = """
alerts:
  thresholds: {GpuCostPerDay: 500}
  rules:
    - {name: Hot, metric: gpu_temperature_celsius, comparison: above, threshold: 85, for: 5m, severity: info}
    - {name: Hungry, metric: gpu_power_watts, comparison: above, threshold: 300, for: 5m, severity: info}
"""
BAD = GOOD.replace("threshold: 85", "threshold: hot")
WRONG = (
    'g.yml:5:82 alerts.rules[0].threshold: expected a decimal number, found "hot"',
    "alerts",
    "render",
    "--config.file=g.yml",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "g.yml").write_text(GOOD)
    return tmp_path


def test_the_file_goes_to_standard_output(folder):
    answer = gputally("alerts", "render", "--config.file=g.yml", folder=folder)
    assert (answer.status, answer.err) == (0, "")
    (folder / "user.yml").write_text(answer.out)
    assert "SUCCESS: 2 rules found" in check(folder / "user.yml")


def test_the_variable_names_the_file_too(folder):
    by_flag = gputally("alerts", "render", "--config.file=g.yml", folder=folder)
    by_variable = gputally("alerts", "render", folder=folder, env={"GPUTALLY_CONFIG_FILE": "g.yml"})
    assert by_variable == by_flag


def test_output_is_a_file_that_others_may_read_and_replaces_the_old_one(folder):
    made = folder / "user.yml"
    made.write_text("old")
    before = made.stat().st_ino
    wide = os.umask(0o022)
    try:
        answer = gputally("alerts", "render", "--config.file=g.yml", "--output=user.yml", folder=folder)
    finally:
        os.umask(wide)
    assert (answer.status, answer.out, answer.err) == (0, "", "")
    assert made.read_text() == gputally("alerts", "render", "--config.file=g.yml", folder=folder).out
    assert made.stat().st_ino != before  # put in its place, not written into
    assert stat.S_IMODE(made.stat().st_mode) == 0o644
    assert {entry.name for entry in folder.iterdir()} == {"g.yml", "user.yml"}


def test_a_link_stays_a_link(folder):
    (folder / "real").mkdir()
    (folder / "user.yml").symlink_to("real/user.yml")
    assert gputally("alerts", "render", "--config.file=g.yml", "--output=user.yml", folder=folder).status == 0
    assert (folder / "user.yml").is_symlink()
    assert [entry.name for entry in (folder / "real").iterdir()] == ["user.yml"]


def test_a_mistake_is_one_line_and_nothing_is_written(folder):
    (folder / "g.yml").write_text(BAD)
    line, *arguments = WRONG
    assert assert_refused(gputally(*arguments, "--output=user.yml", folder=folder), folder, {"g.yml"}) == line
    (folder / "user.yml").write_text("old")
    answer = gputally(*arguments, "--output=user.yml", folder=folder)
    assert assert_refused(answer, folder, {"g.yml", "user.yml"}) == line
    assert (folder / "user.yml").read_text() == "old"


def test_a_mistake_elsewhere_in_the_file_counts_as_well(folder):
    (folder / "g.yml").write_text(GOOD + "log: {level: loud}\n")
    line = assert_refused(
        gputally("alerts", "render", "--config.file=g.yml", folder=folder), folder, {"g.yml"}
    )
    assert line.startswith("g.yml:7:14 log.level: expected one of ")


def test_what_cannot_be_written_is_a_failure_that_names_the_file(folder):
    answer = gputally("alerts", "render", "--config.file=g.yml", "--output=none/user.yml", folder=folder)
    assert (answer.status, answer.out) == (1, "")
    assert answer.err == "gputally: error: none/user.yml: cannot be written: No such file or directory\n"


@pytest.mark.parametrize("output", ["g.yml", "./g.yml", "other.yml"])
def test_the_configuration_is_not_written_over(folder, output):
    (folder / "other.yml").symlink_to("g.yml")
    answer = gputally("alerts", "render", "--config.file=g.yml", f"--output={output}", folder=folder)
    assert assert_refused(answer, folder, {"g.yml", "other.yml"}).endswith("this is the configuration itself")
    assert (folder / "g.yml").read_text() == GOOD


def test_without_a_configuration_there_is_nothing_to_render(folder):
    line = assert_refused(gputally("alerts", "render", folder=folder), folder, {"g.yml"})
    assert "Missing option '--config.file'" in line


def test_thresholds_are_told_with_where_they_come_from(folder):
    answer = gputally("alerts", "thresholds", "--config.file=g.yml", folder=folder)
    assert (answer.status, answer.err) == (0, "")
    rows = {line.split()[0]: line.split()[1:5] for line in answer.out.splitlines()}
    assert list(rows) == list(THRESHOLDS)
    assert rows["GpuCostPerDay"] == ["500", "money", "default", "0"]
    assert rows["GpuTooHot"][:3] == ["3", "celsius", "default"]
    defaults = gputally("alerts", "thresholds", folder=folder).out.splitlines()
    row = next(line.split() for line in defaults if line.startswith("GpuCostPerDay"))
    assert row[1:4] == ["0", "money", "default"]


def test_check_counts_the_rules_and_finds_their_mistakes(folder):
    arguments = ("check", "--config.file=g.yml", "--source=simulated")
    assert (
        "alerts         2 rules of one's own, for gputally alerts render\n"
        in gputally(*arguments, folder=folder).out
    )
    (folder / "g.yml").write_text(BAD)
    assert assert_refused(gputally(*arguments, folder=folder), folder, {"g.yml"}) == WRONG[0]
