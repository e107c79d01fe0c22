"""A statement: what a team had to spend in a period, what it was charged for, line by line, and what is left.

Amounts are exact until the end. Then each account is rounded once: its balance to the cent, halves to the
even one, and every line down to its cent; the cents that are missing to the balance go to the lines of which
most was cut off, the first of them first. So each line is less than a cent from its exact amount, and
together they are the balance.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal, localcontext

from gputally.model.budget import Budget, Period, credit, rate_between
from gputally.report.charging import KINDS, Posting
from gputally.report.machines import DIGITS, NOTHING, Machine

CENT = Decimal("0.01")
_WIDE = Context(prec=DIGITS, rounding=ROUND_HALF_EVEN)
_ORDER = ("budget", "carried over", "deposit", "correction", *KINDS)


@dataclass(frozen=True, slots=True)
class Line:
    """One transaction: what comes in is positive, what was spent negative."""

    kind: str
    text: str
    exact: Decimal
    day: date | None = None
    quantity: Decimal | None = None
    unit: str = ""
    amount: Decimal = NOTHING  # to the cent


@dataclass(frozen=True, slots=True)
class Account:
    """The lines of one currency, and their sum."""

    currency: str
    lines: Sequence[Line]
    balance: Decimal


@dataclass(frozen=True, slots=True)
class Used:
    """What a team had of a machine."""

    gpu_hours: Decimal
    kwh: Decimal


@dataclass(frozen=True, slots=True)
class Other:
    """What somebody else had of a machine that is the team's."""

    host: str
    team: str
    gpu_hours: Decimal
    kwh: Decimal
    costs: Mapping[str, Decimal]  # currency -> energy and capital


@dataclass(frozen=True, slots=True)
class Statement:
    """All that a team is told of a period."""

    team: str
    period: Period
    budget: Budget | None
    accounts: Sequence[Account]  # the budget's first; others are in no balance of it
    others: Sequence[Other] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ledgers:
    """What a statement is made of: every team's postings of the period, until a day of it."""

    period: Period
    until: date  # the last day that is in it
    postings: Sequence[Posting]
    rates: Mapping[str, Decimal]
    currency: str  # of who has no budget
    notes: tuple[str, ...] = ()
    has_ended: bool = True  # else all of it is so far
    owned: Mapping[str, Sequence[Machine]] = field(default_factory=dict)  # team -> machines that are its own
    # Machine, team -> what it had of it.
    used: Mapping[tuple[Machine, str], Used] = field(default_factory=dict)


def state(ledgers: Ledgers, team: str, budget: Budget | None) -> Statement:
    """The statement of one team."""
    with localcontext(_WIDE):
        own = budget.currency if budget is not None else ledgers.currency
        lines: dict[str, list[Line]] = {own: _credits(budget, ledgers)}
        left_out: dict[tuple[str, str], Decimal] = {}
        for one in _merged(ledgers.postings, team):
            part = KINDS[one.kind]
            if budget is not None and part not in budget.include:
                key = (part, one.currency)
                left_out[key] = left_out.get(key, NOTHING) + one.amount
                continue
            rate = rate_between(one.currency, own, ledgers.rates)
            currency = one.currency if rate is None else own
            lines.setdefault(currency, []).append(_line(one, rate, own))
        accounts = [_account(currency, some) for currency, some in lines.items() if some or currency == own]
        notes = (*ledgers.notes, *_about(budget, ledgers, accounts), *_not_counted(left_out))
        return Statement(team, ledgers.period, budget, accounts, _others(ledgers, team), notes)


def rounded_together(exact: Sequence[Decimal]) -> tuple[list[Decimal], Decimal]:
    """Amounts to the cent, and their sum: the exact sum, rounded once."""
    with localcontext(_WIDE):
        total = sum(exact, NOTHING).quantize(CENT)
        floors = [amount.quantize(CENT, rounding=ROUND_FLOOR) for amount in exact]
        missing = int((total - sum(floors, NOTHING)) / CENT)
        by_rest = sorted(range(len(exact)), key=lambda at: (floors[at] - exact[at], at))
        for at in by_rest[:missing]:
            floors[at] += CENT
        return floors, total


def _account(currency: str, lines: list[Line]) -> Account:
    lines.sort(key=lambda line: (_ORDER.index(line.kind), line.day or date.min, line.text))
    amounts, balance = rounded_together([line.exact for line in lines])
    shown = [
        Line(line.kind, line.text, line.exact, line.day, line.quantity, line.unit, amount)
        for line, amount in zip(lines, amounts, strict=True)
    ]
    return Account(currency, shown, balance)


def _credits(budget: Budget | None, ledgers: Ledgers) -> list[Line]:
    """What there is to spend. Of a period that is not the budget's there is none: it has no part in it."""
    period = ledgers.period
    if budget is None or budget.period != period.kind:
        return []
    sums = credit(budget, period, ledgers.until)
    lines = [Line("budget", period.name, sums["amount"], period.first)]
    if period.name in budget.carried and budget.carry_over:
        lines.append(Line("carried over", "from the period before", sums["carried"], period.first))
    for kind, entries in (("deposit", budget.deposits), ("correction", budget.corrections)):
        lines += [
            Line(kind, one.note, one.amount, one.day)
            for one in entries
            if period.first <= one.day <= min(ledgers.until, period.end)
        ]
    return lines


def _merged(postings: Iterable[Posting], team: str) -> list[Posting]:
    """A team's, machines folded away where the line does not name one."""
    found: dict[tuple[str, str, str], Posting] = {}
    for one in postings:
        if one.team == team:
            key = (one.kind, one.text, one.currency)
            before = found.get(key)
            amount, quantity = one.amount, one.quantity
            if before is not None:
                amount += before.amount
                if before.quantity is not None:
                    quantity = before.quantity + (quantity or NOTHING)
            found[key] = Posting(one.kind, team, one.text, amount, one.currency, quantity, one.unit)
    return [one for one in found.values() if one.amount]


def _line(one: Posting, rate: Decimal | None, own: str) -> Line:
    text = one.text
    if rate is not None and one.currency != own:
        text = f"{text} ({one.amount.quantize(CENT)} {one.currency} at {_short(rate)})"
    amount = one.amount * (rate if rate is not None else 1)
    return Line(one.kind, text, -amount, None, one.quantity, one.unit)


def _short(rate: Decimal) -> str:
    return f"{round(rate, 6).normalize():f}"


def _others(ledgers: Ledgers, team: str) -> list[Other]:
    """Who else had something of the team's machines, and what it was charged for energy and capital."""
    mine = set(ledgers.owned.get(team, ()))
    costs: dict[tuple[Machine, str], dict[str, Decimal]] = {}
    for one in ledgers.postings:
        if one.machine in mine and one.kind in ("energy", "capital"):
            assert one.machine is not None  # noqa: S101 - it is one of mine
            sums = costs.setdefault((one.machine, one.team), {})
            sums[one.currency] = sums.get(one.currency, NOTHING) + one.amount
    return [
        Other(machine[1], name, used.gpu_hours, used.kwh, costs.get((machine, name), {}))
        for (machine, name), used in sorted(ledgers.used.items(), key=lambda item: item[0])
        if machine in mine and name != team
    ]


def _about(budget: Budget | None, ledgers: Ledgers, accounts: Sequence[Account]) -> list[str]:
    notes = []
    own = accounts[0].currency
    if budget is None:
        notes.append("No budget is declared for this team: the balance is what it has cost.")
    elif budget.period != ledgers.period.kind:
        notes.append(f"Its budget is by the {budget.period}: this is no balance of it; --period names one.")
    elif budget.carry_over:
        if ledgers.period.name not in budget.carried:
            notes.append(
                f"What {ledgers.period.name} began with is not declared (carried): it counts as nothing."
            )
        if ledgers.has_ended:
            notes.append(f"To carry over: declare {accounts[0].balance} for the next period, under carried.")
    if accounts[0].balance < 0 and budget is not None and budget.period == ledgers.period.kind:
        notes.append(f"Overspent by {-accounts[0].balance} {own}. Nobody is stopped by it.")
    apart = [one.currency for one in accounts[1:]]
    if apart:
        notes.append(f"No rate to {own} is declared for {', '.join(apart)} (market.rates): shown apart.")
    return notes


def _not_counted(left_out: Mapping[tuple[str, str], Decimal]) -> list[str]:
    return [
        f"Not paid by this budget: {part}, {amount.quantize(CENT)} {currency}."
        for (part, currency), amount in sorted(left_out.items())
        if amount
    ]
