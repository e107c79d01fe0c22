"""The figures of all budgets at one instant. Pure; money is Decimal until it is the value of a series."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from gputally.config.chargeback import Chargeback
from gputally.config.rentals import Rental
from gputally.model.account import Charge
from gputally.model.budget import Budget, BudgetFigures, Period, credit, period_at, rate_between
from gputally.model.clock import NS_PER_SECOND
from gputally.model.reservation import Reservation
from gputally.site.reservations.hours import charged

_MEASURED = ("energy", "capital")  # by Prometheus' rules; all else is known here
_NO_CHARGEBACK = Chargeback()
Cost = tuple[str, str, Decimal]  # part, currency, amount


@dataclass(frozen=True, slots=True)
class Terms:
    """What is declared that has to do with budgets."""

    budgets: tuple[Budget, ...]
    zone: ZoneInfo
    currency: str  # of the tariff
    rates: Mapping[str, Decimal] = field(default_factory=dict)
    rentals: tuple[Rental, ...] = ()
    chargeback: Chargeback = _NO_CHARGEBACK


@dataclass(frozen=True, slots=True)
class Sources:
    """What was read from elsewhere, and whether it could be."""

    charges: Sequence[Charge] = ()  # of all periods that budgets are in
    reservations: Sequence[Reservation] = ()
    up: Mapping[str, bool] = field(default_factory=dict)


def today(terms: Terms, now_ns: int) -> date:
    """The day at the site."""
    return datetime.fromtimestamp(now_ns / NS_PER_SECOND, terms.zone).date()


def first_day(terms: Terms, now_ns: int) -> date:
    """The first day of the longest period that anything is asked about."""
    day = today(terms, now_ns)
    return min((period_at(one.period, day).first for one in terms.budgets), default=day)


def figures(terms: Terms, sources: Sources, now_ns: int) -> BudgetFigures:
    """All families, by name."""
    day = today(terms, now_ns)
    found: dict[str, dict[tuple[str, ...], float]] = {}

    def show(name: str, labels: tuple[str, ...], value: float) -> None:
        found.setdefault(name, {})[labels] = value

    for budget in terms.budgets:
        period = period_at(budget.period, day)
        start_ns, end_ns = period.instants_ns(terms.zone)
        show("site_budget_info", (budget.team, budget.period, period.name, budget.currency), 1)
        show("site_budget_period_start_timestamp_seconds", (budget.team,), start_ns / NS_PER_SECOND)
        show("site_budget_period_end_timestamp_seconds", (budget.team,), end_ns / NS_PER_SECOND)
        for part, amount in credit(budget, period, day).items():
            show("site_budget_credit", (budget.team, budget.currency, part), float(amount))
        for ratio in budget.thresholds:
            show("site_budget_threshold_ratio", (budget.team, f"{(ratio * 100).normalize():f}"), float(ratio))
        for part in _included(budget, terms.chargeback):
            show("site_budget_includes", (budget.team, part), 1)
        for currency, rate in _rates(budget, terms):
            show("site_budget_rate", (budget.team, currency), float(rate))
        if budget.carry_over:
            show("site_budget_carry_over_missing", (budget.team,), period.name not in budget.carried)
        for (family, *labels), amount in _costs(budget, period, terms, sources, now_ns).items():
            show(family, (budget.team, *labels), float(amount))
    for source, is_up in sources.up.items():
        show("site_budget_source_up", (source,), is_up)
    return BudgetFigures(found)


def _included(budget: Budget, chargeback: Chargeback) -> Iterator[str]:
    for part in _MEASURED:
        if part in budget.include and (part != "capital" or chargeback.capital):
            yield part


def _rates(budget: Budget, terms: Terms) -> Iterator[tuple[str, Decimal]]:
    for currency in dict.fromkeys((budget.currency, terms.currency, "USD", *terms.rates)):
        rate = rate_between(currency, budget.currency, terms.rates)
        if rate is not None:
            yield currency, rate


def _costs(
    budget: Budget, period: Period, terms: Terms, sources: Sources, now_ns: int
) -> dict[tuple[str, str, str], Decimal]:
    """Cost of the period so far by family, currency and part."""
    sums: dict[tuple[str, str, str], Decimal] = {}
    for part, currency, amount in _declared(budget, period, terms, sources, now_ns):
        rate = rate_between(currency, budget.currency, terms.rates)
        key = ("site_budget_declared_cost", budget.currency, part)
        if rate is None:
            key = ("site_budget_left_out_cost", currency, part)
        sums[key] = sums.get(key, Decimal(0)) + amount * (rate if rate is not None else 1)
    return sums


def _declared(budget: Budget, period: Period, terms: Terms, sources: Sources, now_ns: int) -> Iterable[Cost]:
    start_ns, end_ns = period.instants_ns(terms.zone)
    until_ns = min(end_ns, now_ns)
    mine = [
        one for one in sources.charges if one.team == budget.team and period.first <= one.day < period.end
    ]
    if "bills" in budget.include:
        yield from (("bills", one.currency, one.amount) for one in mine)
    if "reservations" in budget.include:
        booked = [one for one in sources.reservations if one.team == budget.team]
        for hours in charged(booked, start_ns, until_ns):
            if hours.amount is not None:
                yield "reservations", hours.currency, hours.amount
    if "capital" in budget.include:
        billed = {one.provider.casefold() for one in mine}
        for rental in terms.rentals:
            # A bill that came is better than what was declared of it, and never beside it.
            if rental.team == budget.team and rental.provider.casefold() not in billed:
                yield "rental", "USD", rental.usd((until_ns - start_ns) // NS_PER_SECOND)
