"""`gputally report statement` and `report budgets`: what they print, of whom, and of which period."""

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click

from gputally.cli.accounts import THIS, Books
from gputally.model.budget import PARTS, period_at
from gputally.report import statementforms
from gputally.report.charging import HOUSE, KINDS
from gputally.report.failures import WrongQuestion
from gputally.report.machines import NOTHING
from gputally.report.statement import Account, Statement, state
from gputally.tables.columns import CURRENCY, Column, Row
from gputally.tables.listed import Listed

if TYPE_CHECKING:
    from gputally.model.budget import Budget

_CREDITS = ("budget", "carried over", "deposit", "correction")
COLUMNS = (
    Column("team", "TEAM"),
    Column("period", "PERIOD"),
    Column("credit", "CREDIT", "money"),
    *(Column(part, part.upper(), "money") for part in PARTS),
    Column("spent", "SPENT", "money"),
    Column("balance", "BALANCE", "money"),
    Column(CURRENCY, ""),
    Column("used", "USED", "ratio"),
)


def print_statement(books: Books, flags: Mapping[str, Any]) -> None:
    """One team's. Raises ReportError."""
    team, budget = flags["team"], books.budget_of(flags["team"])
    period = books.period(
        flags["period"] or flags["month"] or _latest(books, budget), month=bool(flags["month"])
    )
    ledgers = books.of(period)
    if budget is None and not any(one.team == team for one in ledgers.postings):
        known = sorted({one.team for one in ledgers.postings if one.team} | _declared(books))
        raise WrongQuestion(
            f"--team {team}: has no budget and no cost in {period.name}; of {', '.join(known)}"
        )
    statement = state(ledgers, team, budget)
    click.echo(statementforms.FORMS[flags["form"]](statement))
    _say_beside_csv(flags["form"], statement.notes)


def list_budgets(books: Books, flags: Mapping[str, Any]) -> Listed:
    """All teams that have a budget or a cost; each by the period of its budget. Raises ReportError."""
    named, declared = flags["period"] or flags["month"], books.settings.budgets
    periods = [period_at(kind, books.today) for kind in dict.fromkeys(one.period for one in declared)]
    if named or not periods:
        periods = [books.period(named or THIS, month=bool(flags["month"]))]
    rows: list[Row] = []
    notes: dict[str, None] = {}
    for at, period in enumerate(periods):
        ledgers = books.of(period)
        teams = {one.team for one in declared if one.period == period.kind}
        if at == 0:  # whoever has no budget, and the house
            teams |= {one.team for one in ledgers.postings} - {one.team for one in declared}
        for team in sorted(teams, key=lambda name: (name == HOUSE, name)):
            statement = state(ledgers, team, books.budget_of(team))
            rows += (_row(statement, account) for account in statement.accounts if account.lines)
        notes |= dict.fromkeys(ledgers.notes)
    notes["The row without a team is what nobody is charged for."] = None
    title = f"Budgets, {', '.join(period.name for period in periods)}"
    return Listed("budgets", title, COLUMNS, rows, tuple(notes))


def _latest(books: Books, budget: "Budget | None") -> str:
    return period_at(budget.period, books.today).name if budget is not None else THIS


def _declared(books: Books) -> set[str]:
    return {one.team for one in books.settings.budgets}


def _row(statement: Statement, account: Account) -> Row:
    """Sums of lines as the statement shows them, so that both say the same."""
    sums = dict.fromkeys(("credit", *PARTS), NOTHING)
    for line in account.lines:
        if line.kind in _CREDITS:
            sums["credit"] += line.amount
        else:
            sums[KINDS[line.kind]] -= line.amount
    spent = sum((sums[part] for part in PARTS), NOTHING)
    used: Decimal | None = spent / sums["credit"] if sums["credit"] > 0 else None
    more: dict[str, str | Decimal | None] = {
        "spent": spent,
        "balance": account.balance,
        CURRENCY: account.currency,
        "used": used,
    }
    return {"team": statement.team, "period": statement.period.name, **sums, **more}


def _say_beside_csv(form: str, notes: tuple[str, ...]) -> None:
    if form == "csv":
        for note in notes:
            click.echo(f"gputally report: note: {note}", err=True)
