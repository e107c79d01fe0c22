"""What a team may spend in a period of the calendar, and how much of that is there on a day. All Decimal."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from gputally.model.clock import NS_PER_SECOND

PERIODS = ("week", "month", "quarter", "year")
PARTS = ("energy", "capital", "reservations", "bills")  # what a budget may pay for
NO_MONEY = Decimal(0)
_NAMES = {
    "week": re.compile(r"(\d{4})-W(\d\d)", re.ASCII),
    "month": re.compile(r"(\d{4})-(\d\d)", re.ASCII),
    "quarter": re.compile(r"(\d{4})-Q([1-4])", re.ASCII),
    "year": re.compile(r"(\d{4})", re.ASCII),
}
_MONTHS = {"month": 1, "quarter": 3, "year": 12}


@dataclass(frozen=True, slots=True)
class Entry:
    """A deposit or a correction: what comes to the balance on a day at the site, or goes from it."""

    day: date
    amount: Decimal
    note: str = ""


@dataclass(frozen=True, slots=True)
class Budget:
    """One team's. All money is in its currency."""

    team: str
    period: str  # one of PERIODS
    amount: Decimal
    currency: str
    carry_over: bool = False
    include: tuple[str, ...] = PARTS
    thresholds: tuple[Decimal, ...] = (Decimal("0.5"), Decimal("0.8"), Decimal(1))
    deposits: tuple[Entry, ...] = ()
    corrections: tuple[Entry, ...] = ()
    carried: Mapping[str, Decimal] = field(default_factory=dict)  # name of a period -> what it began with


@dataclass(frozen=True, slots=True)
class Period:
    """Whole days of the site's calendar, from the first to before the end."""

    kind: str
    name: str  # 2026-11, 2026-Q4, 2026-W48, 2026
    first: date
    end: date

    def instants_ns(self, zone: ZoneInfo) -> tuple[int, int]:
        """When it begins and ends, as Unix time: days of 23 and 25 hours are in it as they are."""
        start, end = (
            int(datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC).timestamp())
            * NS_PER_SECOND
            for day in (self.first, self.end)
        )
        return start, end


def period_at(kind: str, day: date) -> Period:
    """The period of a kind in which a day is. Raises ValueError where the calendar ends."""
    if kind == "week":
        first = day - timedelta(days=day.weekday())
        year, week, _ = first.isocalendar()
        return Period(kind, f"{year}-W{week:02}", first, first + timedelta(days=7))
    months = _MONTHS[kind]
    first = day.replace(month=(day.month - 1) // months * months + 1, day=1)
    after = first.month + months
    end = first.replace(year=first.year + (after > 12), month=(after - 1) % 12 + 1)
    name = {
        "month": f"{first:%Y-%m}",
        "quarter": f"{first:%Y}-Q{first.month // 3 + 1}",
        "year": f"{first:%Y}",
    }
    return Period(kind, name[kind], first, end)


def period_named(name: str) -> Period:
    """The period that a name such as 2026-11, 2026-Q4, 2026-W48 or 2026 means. Raises ValueError."""
    for kind, pattern in _NAMES.items():
        if found := pattern.fullmatch(name):
            year, *rest = (int(part) for part in found.groups())
            if kind == "week":
                return period_at(kind, date.fromisocalendar(year, rest[0], 1))
            month = {"month": rest[0], "quarter": rest[0] * 3 - 2}[kind] if rest else 1
            return period_at(kind, date(year, month, 1))
    raise ValueError(f"expected a period such as 2026-11, 2026-Q4, 2026-W48 or 2026, found {name!r}")


def credit(budget: Budget, period: Period, until: date) -> dict[str, Decimal]:
    """What may be spent in a period, by where it comes from: what is dated until a day, that day included."""

    def dated(entries: tuple[Entry, ...]) -> Decimal:
        return sum((one.amount for one in entries if period.first <= one.day <= until), NO_MONEY)

    until = min(until, period.end - timedelta(days=1))
    return {
        "amount": budget.amount,
        "carried": budget.carried.get(period.name, NO_MONEY) if budget.carry_over else NO_MONEY,
        "deposits": dated(budget.deposits),
        "corrections": dated(budget.corrections),
    }


def rate_between(source: str, wanted: str, usd_per_unit: Mapping[str, Decimal]) -> Decimal | None:
    """Units of one currency for one of another, by declared rates alone; None where they do not say.

    The same currency is 1 whether there are rates or not.
    """
    if source == wanted:
        return Decimal(1)
    rates = {"USD": Decimal(1), **usd_per_unit}
    if source not in rates or wanted not in rates:
        return None
    return rates[source] / rates[wanted]


@dataclass(frozen=True, slots=True, eq=False)
class BudgetFigures:
    """What a scrape shows of budgets: family -> labels -> value. Equal only to itself: texts are kept."""

    families: Mapping[str, Mapping[tuple[str, ...], float]]
