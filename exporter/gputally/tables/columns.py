"""What a table is made of before it is written: typed columns and rows of unrounded values."""

from collections.abc import Mapping
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


def exact(value: float | None) -> Decimal | None:
    """A number for a cell."""
    return None if value is None else Decimal(str(value))
