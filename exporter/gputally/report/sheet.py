"""A report before it is written: a range, rows and totals, nothing rounded."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TypeVar

from gputally.report.ranges import Range
from gputally.tables.columns import CURRENCY, Column, Row
from gputally.tables.paged import Paged

_ENERGY = ("kwh", "unused_kwh", "kwh_today")


@dataclass(frozen=True, slots=True)
class Sheet(Paged):
    """All rows of a report, best first; a page of them is what is written."""

    report: str
    range: Range
    columns: tuple[Column, ...]
    rows: Sequence[Row]
    totals: Sequence[Row]  # one for each currency; sums of unrounded values of all rows
    notes: tuple[str, ...] = ()

    def noted(self, note: str) -> "Sheet":
        """The same with one more note."""
        return replace(self, notes=(*self.notes, note))


@dataclass(slots=True)
class Amounts:
    """What one group has used. Money by currency: currencies are never added."""

    numbers: dict[str, Decimal] = field(default_factory=dict)
    money: dict[str, dict[str, Decimal]] = field(default_factory=dict)  # currency -> column -> amount

    def add(self, column: str, amount: Decimal, currency: str | None = None) -> None:
        """Add to a column; None stands for what is no money."""
        into = self.numbers if currency is None else self.money.setdefault(currency, {})
        into[column] = into.get(column, Decimal(0)) + amount

    def raise_to(self, column: str, amount: Decimal, currency: str | None = None) -> None:
        """Keep the greatest value seen."""
        into = self.numbers if currency is None else self.money.setdefault(currency, {})
        into[column] = max(into.get(column, amount), amount)

    def merge(self, other: "Amounts") -> None:
        """Add all of another group."""
        for column, amount in other.numbers.items():
            self.add(column, amount)
        for currency, columns in other.money.items():
            for column, amount in columns.items():
                self.add(column, amount, currency)

    def settle(self) -> None:
        """Add the hours that were held and not busy: once, when all is gathered, before groups are summed."""
        held, busy = self.numbers.get("gpu_hours"), self.numbers.get("busy_hours")
        if held is not None and busy is not None:
            # Two counters read a moment apart: never less than nothing.
            self.numbers["unused_hours"] = max(Decimal(0), held - busy)

    def with_ratio(self) -> dict[str, Decimal]:
        """Numbers, and which part of the time was busy: of sums, never a mean of means."""
        # Of jobs that ran elsewhere nobody knows how busy they were.
        held = self.numbers.get("gpu_hours", Decimal(0)) - self.numbers.get("unmetered_hours", Decimal(0))
        busy = self.numbers.get("busy_hours")
        if not held or busy is None:
            return dict(self.numbers)
        return self.numbers | {"utilization": min(Decimal(1), busy / held)}

    def rows(self, names: Row) -> list[Row]:
        """A row for each currency; the first one has all that is not money, so that columns can be summed."""
        currencies = sorted(c for c, columns in self.money.items() if any(columns.values()))
        if not currencies:
            currencies = sorted(self.money)[:1]
        numbers = self.with_ratio()
        if not currencies:
            return [{**names, **numbers}]
        return [
            {**names, **(numbers if at == 0 else {}), CURRENCY: currency, **self.money[currency]}
            for at, currency in enumerate(currencies)
        ]

    def nothing(self) -> bool:
        """Whether all amounts are zero: counters never vanish, who has used them may be long gone."""
        return not any(self.numbers.values()) and not any(any(of.values()) for of in self.money.values())

    def greatest(self, column: str) -> Decimal:
        """What groups are ordered by."""
        return max((columns.get(column, Decimal(0)) for columns in self.money.values()), default=Decimal(0))


def together(groups: Iterable[Amounts]) -> Amounts:
    """All groups in one."""
    total = Amounts()
    for group in groups:
        total.merge(group)
    return total


K = TypeVar("K", bound=tuple[str, ...])


def best_first(groups: Mapping[K, Amounts], column: str, *, days: bool) -> list[K]:
    """Keys by cost, then energy, then name; by day first where the first part of a key is one."""

    def place(key: K) -> tuple[str, Decimal, Decimal, K]:
        amounts = groups[key]
        energy = next((amounts.numbers[name] for name in _ENERGY if name in amounts.numbers), Decimal(0))
        return (key[0] if days else "", -amounts.greatest(column), -energy, key)

    return sorted(groups, key=place)
