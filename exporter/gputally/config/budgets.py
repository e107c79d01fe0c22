"""The block `budgets`: what each team may spend in a period, what was paid in, what was put right.

budgets:
  - team: vision
    period: month
    amount: 4000
    currency: EUR
    carry_over: true
    carried: {2026-11: 120.5}
    include: [energy, capital, reservations, bills]
    thresholds: [0.5, 0.8, 1.0]
    deposits: [{date: 2026-11-10, amount: 500, note: grant}]
    corrections: [{date: 2026-11-12, amount: -20, note: cluster was down}]
"""

from decimal import Decimal

from gputally.config.bands import read_date
from gputally.config.checked import CURRENCY, matching
from gputally.config.strict import Section, Value
from gputally.config.teams import LONGEST
from gputally.model.budget import PARTS, PERIODS, Budget, Entry, period_named

MOST = 200  # budgets
MOST_ENTRIES = 500  # deposits of one, and corrections
MOST_THRESHOLDS = 8
LONGEST_NOTE = 200
_MOST_MONEY = Decimal(100_000_000_000)
_LEAST, _MOST_RATIO = Decimal("0.01"), Decimal(10)
_ZERO = Decimal(0)
_THRESHOLDS = (Decimal("0.5"), Decimal("0.8"), Decimal(1))


def read_budgets(root: Section) -> tuple[Budget, ...]:
    """Read the block, in the order of the file. Raises ConfigError with file, line and key."""
    budgets: dict[str, Budget] = {}
    listed = root.list("budgets")
    if len(listed) > MOST:
        raise root.error("budgets", f"expected at most {MOST}, found {len(listed)}")
    for value in listed:
        section = value.mapping()
        budget = _budget(section)
        if budget.team in budgets:
            raise section.error("team", f"team {budget.team} has a budget already")
        budgets[budget.team] = budget
    return tuple(budgets.values())


def _budget(section: Section) -> Budget:
    team, amount, currency = (section.get(key) for key in ("team", "amount", "currency"))
    period = section.choice("period", PERIODS, "month")
    carry_over = section.boolean("carry_over", False)
    carried = _carried(section, period)
    include, thresholds = _include(section), _thresholds(section)
    deposits, corrections = _entries(section, "deposits", _ZERO), _entries(section, "corrections", None)
    section.finish()
    if team is None or amount is None or currency is None:
        raise section.value.error("expected at least team, amount and currency")
    if carried and not carry_over:
        raise section.error("carried", "beside carry_over: false, which says that nothing is carried over")
    return Budget(
        read_team(team),
        period,
        amount.decimal(_ZERO, _MOST_MONEY),
        matching(currency, CURRENCY, "a currency by its three capital letters, such as EUR"),
        carry_over,
        include,
        thresholds,
        deposits,
        corrections,
        carried,
    )


def read_team(value: Value) -> str:
    """Read the name of a team, as jobs have it. Raises ConfigError."""
    name = value.string("the name of a team")
    if len(name) > LONGEST or not name.isprintable():
        raise value.expected(f"the name of a team, of at most {LONGEST} characters")
    return name


def _carried(section: Section, kind: str) -> dict[str, Decimal]:
    carried = {}
    for name, value in section.mapping("carried").items():
        try:
            period = period_named(name)
        except ValueError as error:
            raise value.error(str(error)) from None
        if period.kind != kind:
            raise value.error(f"a {period.kind}, and this budget is by the {kind}")
        carried[period.name] = value.decimal(-_MOST_MONEY, _MOST_MONEY)
    return carried


def _include(section: Section) -> tuple[str, ...]:
    if section.get("include") is None:
        return PARTS
    parts = [value.choice(PARTS) for value in section.list("include")]
    if not parts or len(set(parts)) != len(parts):
        raise section.error("include", f"expected some of {', '.join(PARTS)}, each once")
    return tuple(part for part in PARTS if part in parts)


def _thresholds(section: Section) -> tuple[Decimal, ...]:
    if section.get("thresholds") is None:
        return _THRESHOLDS
    values = [value.decimal(_LEAST, _MOST_RATIO).normalize() for value in section.list("thresholds")]
    if len(values) > MOST_THRESHOLDS or len(set(values)) != len(values):
        raise section.error("thresholds", f"expected at most {MOST_THRESHOLDS}, each once")
    return tuple(sorted(values))


def _entries(section: Section, key: str, minimum: Decimal | None) -> tuple[Entry, ...]:
    listed = section.list(key)
    if len(listed) > MOST_ENTRIES:
        raise section.error(key, f"expected at most {MOST_ENTRIES}, found {len(listed)}")
    return tuple(_entry(value.mapping(), minimum) for value in listed)


def _entry(section: Section, minimum: Decimal | None) -> Entry:
    day, amount = section.get("date"), section.get("amount")
    note = section.string("note", "")
    section.finish()
    if day is None or amount is None:
        raise section.value.error("expected date and amount")
    if len(note) > LONGEST_NOTE or not note.isprintable():
        raise section.error("note", f"expected at most {LONGEST_NOTE} characters")
    least = -_MOST_MONEY if minimum is None else minimum
    return Entry(read_date(day), amount.decimal(least, _MOST_MONEY), note)
