"""The manual of accounts: its configuration is taken, and its worked example is what the code makes of it."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from pathlib import Path

from gputally.config import strict
from gputally.config.budgets import read_budgets
from gputally.config.chargeback import Chargeback, read_chargeback
from gputally.model.account import Charge
from gputally.model.budget import Budget, Entry, period_named
from gputally.report.charging import Booked, Records, Terms, charge
from gputally.report.machines import Measured
from gputally.report.sheet import Amounts
from gputally.report.statement import Ledgers, state
from gputally.report.statementforms import as_table

MANUAL = Path(__file__).parents[3] / "docs" / "accounts.md"
HOURS = 30 * 24
GPU01, GPU02 = ("", "gpu01:9836"), ("", "gpu02:9836")
KWH = Decimal("0.30")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", MANUAL.read_text(), re.DOTALL)


def used(**amounts: str) -> Amounts:
    found = Amounts()
    for column, amount in amounts.items():
        found.add(column, Decimal(amount))
    for kwh, cost in (("kwh", "cost"), ("unused_kwh", "unused_cost")):
        if kwh in amounts:
            found.add(cost, Decimal(amounts[kwh]) * KWH, "EUR")
    return found


def example() -> str:
    """The statement of the text."""
    measured = Measured(
        teams={
            (GPU01, "vision", "ada"): used(kwh="220", gpu_hours="400"),
            (GPU01, "speech", "bob"): used(kwh="90", gpu_hours="200"),
        },
        nobodys={GPU01: used(unused_kwh="60")},
        waiting={
            GPU01: {"NVIDIA H100": Decimal(2 * HOURS - 600)},
            GPU02: {"NVIDIA H100": Decimal(2 * HOURS)},
        },
        kinds={GPU01: {"NVIDIA H100": 2}, GPU02: {"NVIDIA H100": 2}},
    )
    records = Records(
        HOURS * 3600,
        [Booked("cvpr-rush", "vision", Decimal(48), Decimal("57.60"), "EUR")],
        [Charge(date(2026, 11, 9), "aws", "", "h100", "vision", "USD", Decimal("1234.567"), Decimal(320))],
    )
    terms = Terms("EUR", Chargeback("proportional", capital=True), {"NVIDIA H100": Decimal("0.80")})
    postings, notes = charge(measured, records, terms)
    budget = Budget(
        "vision",
        "month",
        Decimal(4000),
        "EUR",
        carry_over=True,
        carried={"2026-11": Decimal("120.50")},
        deposits=(Entry(date(2026, 11, 10), Decimal(500), "grant"),),
        corrections=(Entry(date(2026, 11, 12), Decimal(-20), "cluster was down"),),
    )
    rates = {"EUR": Decimal("1.16")}
    period = period_named("2026-11")
    return as_table(
        state(Ledgers(period, date(2026, 11, 30), postings, rates, "EUR", (*notes,)), "vision", budget)
    )


def test_the_worked_example_is_what_the_code_makes_of_it():
    (shown,) = blocks("text")
    assert shown.strip() == example()


def test_blocks_of_the_manual_are_taken():
    budgets, chargeback = blocks("yaml")
    root = strict.parse(budgets.encode(), "accounts.md")
    (budget,) = read_budgets(root)
    root.finish()
    assert (budget.team, budget.carried, len(budget.deposits)) == (
        "vision",
        {"2026-11": Decimal("120.50")},
        1,
    )
    root = strict.parse(chargeback.encode(), "accounts.md")
    found = read_chargeback(root, {"training"})
    assert (found.idle, found.capital, found.rented) == ("proportional", True, (("gpu07", "training"),))


def test_every_command_of_the_manual_is_one():
    from gputally.cli.report import report  # noqa: PLC0415 - with all its flags

    export, *commands = blocks("sh")[0].splitlines()
    assert export.startswith("export GPUTALLY_CONFIG_FILE=")
    for line in commands:
        words = line.split("#")[0].split(">")[0].split()[1:]
        assert words[0] == "report"
        command = report.commands[words[1]]
        flags = {name for option in command.params for name in option.opts}
        assert {word for word in words if word.startswith("--")} <= flags


if __name__ == "__main__":
    MANUAL.write_text(
        re.sub(
            r"```text\n.*?```", lambda _: f"```text\n{example()}\n```", MANUAL.read_text(), flags=re.DOTALL
        )
    )
