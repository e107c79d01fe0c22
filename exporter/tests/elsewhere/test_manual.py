"""docs/elsewhere.md: its example is what the program says, and it names every flag, column and figure."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gputally.catalogue import BY_NAME
from gputally.cli.jobsimport import import_
from gputally.cli.jobslist import list_
from gputally.site.ledger.figures import figures
from gputally.site.ledger.jobsacct import COLUMNS, NEEDED
from gputally.site.ledger.store import Ledger
from tests.cli.command import gputally

PAGE = Path(__file__).parents[3] / "docs" / "elsewhere.md"
TEXT = PAGE.read_text()
NOW_S = datetime(2026, 3, 6, 12, tzinfo=UTC).timestamp()


def block(first: str) -> str:
    """The block of the page that begins with these words."""
    (found,) = (
        text
        for text in re.findall(r"^```\w*\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
        if text.startswith(first)
    )
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """The files of the example, imported as it says."""
    folder = tmp_path_factory.mktemp("manual")
    (folder / "sacct.txt").write_text(block("JobIDRaw|"))
    (folder / "jobs.csv").write_text(block("job,team,model,gpu_type,provider,start,end,status,gpus"))
    (folder / "bill.csv").write_text(block("date,provider"))
    return folder


def test_the_example_is_what_is_printed(folder):
    said = ""
    for command in re.findall(r"^\$ gputally (.+)$", block("$ gputally jobs import"), re.MULTILINE):
        answer = gputally(*command.split(), folder=folder)
        assert (answer.status, answer.err) == (0, "")
        said += f"$ gputally {command}\n{answer.out}"
    assert said == block("$ gputally jobs import")


def test_the_figures_are_those_of_the_ledger(folder):
    answer = gputally("bills", "import", "bill.csv", "--ledger=ledger.sqlite", folder=folder)
    assert (answer.status, answer.err) == (0, "")
    with Ledger.open(folder / "ledger.sqlite") as ledger:
        families = figures(ledger, NOW_S).families
    lines = block("gpu_cloud_cost_month_to_date").splitlines()
    for line in lines:
        name, labels, value = re.fullmatch(r"(\w+)\{(.*)\} (\S+)", line).groups()
        told = dict(re.findall(r'(\w+)="([^"]*)"', labels))
        assert tuple(told) == BY_NAME[name].labels
        assert families[name][tuple(told.values())] == float(value), line
    shown = {line.partition("{")[0] for line in lines}
    assert {name for name in families if families[name]} - shown == {
        "gpu_cloud_import_timestamp_seconds",
        "gpu_cloud_import_rejected_rows",
    }


def test_every_flag_of_the_two_commands_stands_there():
    for command in (import_, list_):
        for parameter in command.params:
            if parameter.opts[0].startswith("--"):
                assert f"`{parameter.opts[0]}" in TEXT, parameter.opts[0]
                assert parameter.envvar in (None, "GPUTALLY_CONFIG_FILE") or f"`{parameter.envvar}`" in TEXT


def test_the_command_to_type_has_the_columns_that_are_read_without_a_header():
    assert f"--format={','.join(COLUMNS)} " in block("SLURM_TIME_FORMAT")
    assert all(f"`{name}`" in TEXT for name in NEEDED)
