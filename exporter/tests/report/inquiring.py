"""Reports asked for as the command line does it, at the world's last second."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from gputally.report.access import Access
from gputally.report.answers import Sample
from gputally.report.asking import Inquiry
from gputally.report.prometheus import Prometheus
from gputally.report.sheet import Sheet
from gputally.report.site import find_range
from gputally.tables.columns import Row

if TYPE_CHECKING:
    from tests.report.conftest import Scene


def inquiry(scene: Scene, since: str = "24h", until: str = "", at: int | None = None) -> Inquiry:
    """An inquiry about a range, as if it were asked at the world's end."""
    now = scene.world.end if at is None else at
    server = Prometheus(Access(scene.served.url))
    whole, _ = find_range(server, (since, until), None, now)
    return Inquiry(server, whole, now)


def found(sheet: Sheet, *labels: str) -> dict[tuple[str, ...], Row]:
    """Rows by what they are about."""
    rows = {tuple(str(row[label]) for label in labels): row for row in sheet.rows}
    assert len(rows) == len(sheet.rows)
    return rows


def number(row: Row, column: str) -> float:
    value = row[column]
    assert isinstance(value, Decimal)
    return float(value)


def assert_sums(sheet: Sheet, columns: Iterable[str]) -> None:
    """Totals are the sums of the rows, to the last digit, currency by currency."""
    for column in columns:
        for total in sheet.totals:
            if column not in total:
                continue
            rows = [row for row in sheet.rows if column in row]
            if "cost" in column:
                rows = [row for row in rows if row["currency"] == total["currency"]]
            values = [row[column] for row in rows]
            assert sum(value for value in values if isinstance(value, Decimal)) == total[column], column


class Scripted:
    """A server whose answers are written beside the questions."""

    def __init__(
        self, answer: Callable[[str, int], Sequence[Sample]], rules: Iterable[str] | None = ()
    ) -> None:
        self._answer, self._rules = answer, rules
        self.asked: list[tuple[str, int]] = []

    def query(self, expression: str, at_s: int) -> Sequence[Sample]:
        self.asked.append((expression, at_s))
        return self._answer(expression, at_s)

    def rules(self) -> frozenset[str] | None:
        return None if self._rules is None else frozenset(self._rules)


def sample(value: float | str, labels: Mapping[str, str] | None = None) -> Sample:
    return Sample(dict(labels or {}), Decimal(str(value)))
