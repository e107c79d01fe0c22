"""What docs/bills.md says is what the commands take, have and print: its example is played anew."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import click
import pytest

import gputally as package
from gputally.cli.bills import bills
from gputally.cli.billsforget import COLUMNS as IMPORT_COLUMNS
from gputally.cli.billslist import COLUMNS as LIST_COLUMNS
from gputally.site.ledger.focus import CATEGORIES
from gputally.site.ledger.history import COST, HOURS
from tests.bills.making import FILES
from tests.cli.command import gputally

PAGE = (Path(package.__file__).parents[2] / "docs" / "bills.md").read_text()
CONTEXT = click.Context(bills)


def test_the_example_is_what_is_printed(tmp_path):
    for file in FILES.iterdir():
        shutil.copy(file, tmp_path)
    shown = re.findall(r"^```\n\$ gputally (bills .*)\n((?:.*\n)*?)```$", PAGE, re.MULTILINE)
    assert len(shown) == 4
    for command, printed in shown:
        answer = gputally(*command.split(), folder=tmp_path)
        assert (answer.status, answer.out, answer.err) == (0, printed, ""), command


@pytest.mark.parametrize("name", ["gputally.yml", "rows.csv"])
def test_files_of_the_example_are_shown_as_they_are(name):
    assert f"\n{(FILES / name).read_text()}```\n" in PAGE


def test_rows_of_the_bill_are_shown_as_they_are():
    lines = (FILES / "aws-2026-10.csv").read_text().splitlines()[1:]
    costs = re.findall(r"^\| (-?[0-9.]+) \| (\w+) \| (\S+) \|", PAGE, re.MULTILINE)
    assert costs == [(row[1], row[6], row[8]) for row in (line.split(",") for line in lines)]


def test_the_arithmetic_of_the_example():
    assert "98.32 + 49.16 = 147.48" in " ".join(PAGE.split())
    assert round(98.32 + 49.16, 9) == 147.48
    assert "5.92 \u00d7 1.16 + 24.144 = 31.0112" in " ".join(PAGE.split())
    assert round(5.92 * 1.16 + 24.144, 9) == 31.0112


@pytest.mark.parametrize("name", bills.list_commands(CONTEXT))
def test_every_command_flag_and_variable_stands_there(name):
    command = bills.get_command(CONTEXT, name)
    assert f"`gputally bills {name}" in PAGE or f"gputally bills {name} " in PAGE
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert any(f"`{option}" in PAGE or f" {option}=" in PAGE for option in parameter.opts), (
                parameter.opts
            )
        assert parameter.envvar is None or f"`{parameter.envvar}`" in PAGE


def test_every_column_category_and_series_stands_there():
    for column in LIST_COLUMNS:
        assert f"`{column.name}`" in PAGE
    for column in IMPORT_COLUMNS[4:-1]:
        assert f"`{column.name}`" in PAGE
    assert f"--category {'|'.join(CATEGORIES)}" in PAGE
    assert COST in PAGE
    assert HOURS in PAGE


def test_a_command_that_is_not_there_is_one_line(tmp_path):
    answer = gputally("bills", "pay", folder=tmp_path)
    assert (answer.status, answer.out) == (2, "")
    assert answer.err == "gputally: error: No such command 'pay'.\n"
