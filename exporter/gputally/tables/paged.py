"""What lists and reports have in common: many rows, of which a page is written."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

from gputally.tables.columns import Row


class _Rows:
    """A field of whoever is paged, at its own place among the others."""

    __slots__ = ()
    rows: Sequence[Row]


@dataclass(frozen=True, slots=True, kw_only=True)
class Paged(_Rows):
    """All rows, best first, and which of them are shown."""

    page: int = 1
    limit: int = 0  # rows of a page; 0 = all

    @property
    def pages(self) -> int:
        """How many there are; of nothing, one that is empty."""
        return max(1, -(-len(self.rows) // self.limit)) if self.limit else 1

    def shown(self) -> Sequence[Row]:
        """The rows of the page."""
        start = (self.page - 1) * self.limit
        return self.rows[start : start + self.limit] if self.limit else self.rows

    def turned(self, page: int, limit: int) -> Self:
        """The same at another page. Raises ValueError with one line where there is none."""
        there = replace(self, page=page, limit=limit)
        if page > there.pages:
            rows = f"{len(self.rows)} row" + "s" * (len(self.rows) != 1)
            raise ValueError(f"--page {page}: there are {there.pages}, of {rows}")
        return there
