"""What a table is made of before it is written: typed columns and rows of unrounded values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

Value = str | Decimal | datetime | None
Row = Mapping[str, Value]
Kind = Literal["text", "link", "time", "count", "kwh", "money", "rate", "hours", "ratio"]
CURRENCY = "currency"


@dataclass(frozen=True, slots=True)
class Column:
    """One column."""

    name: str  # in CSV and JSON
    title: str  # in a table
    kind: Kind = "text"
    digits: int | None = None  # in a table, where it differs from its kind's


def page_count(rows: int, limit: int) -> int:
    """How many pages there are, of so many rows each (0: one of all); of nothing, one."""
    return max(1, -(-rows // limit)) if limit else 1


def page_of(rows: Sequence[Row], page: int, limit: int) -> Sequence[Row]:
    """The rows of a page."""
    start = (page - 1) * limit
    return rows[start : start + limit] if limit else rows
