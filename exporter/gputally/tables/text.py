"""Cells, lines and objects of typed values. Here alone amounts are rounded, once."""

import csv
import io
from collections.abc import Sequence
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any

from gputally.tables.columns import CURRENCY, Column, Kind, Row, Value

TABLE_DIGITS: dict[Kind, int] = {"count": 0, "kwh": 3, "money": 2, "rate": 4, "hours": 2, "ratio": 1}
# For programs.
DIGITS: dict[Kind, int] = {"count": 0, "kwh": 6, "money": 6, "rate": 9, "hours": 6, "ratio": 6}
NAMES: tuple[Kind, ...] = ("text", "link", "time")
_WIDEST = 40
_FORMULA = ("=", "+", "-", "@", "\t")  # as a cell begins that a spreadsheet computes, and may send away
_WIDE = Context(prec=60, rounding=ROUND_HALF_EVEN)


def rounded(amount: Decimal, digits: int) -> Decimal:
    """To so many decimals, halves to the even one; nothing is below zero that rounds to it."""
    return _WIDE.plus(amount.quantize(Decimal(1).scaleb(-digits), context=_WIDE))


def cell(column: Column, row: Row) -> str:
    """A value as a table shows it."""
    value = row.get(column.name)
    if value is None or value == "":
        return "" if column.name == CURRENCY else "-"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M")
    if isinstance(value, str):
        text = printable(value)
        return text if len(text) <= _WIDEST or column.kind == "link" else f"{text[: _WIDEST - 1]}…"
    if column.kind == "ratio":
        return f"{rounded(value * 100, TABLE_DIGITS['ratio']):f} %"
    digits = TABLE_DIGITS[column.kind] if column.digits is None else column.digits
    return f"{rounded(value, digits):,f}"


def printable(text: str) -> str:
    """Names come from anywhere; none of them may drive a terminal."""
    return "".join(c if c.isprintable() else "?" for c in text)


def aligned(
    columns: Sequence[Column], rows: Sequence[list[str]], totals: Sequence[list[str]] = ()
) -> list[str]:
    """Lines of cells below their titles; totals, if any, below a rule."""
    heads = [column.title for column in columns]
    widths = [max(len(line[at]) for line in (heads, *rows, *totals)) for at in range(len(columns))]
    right = [column.kind not in NAMES for column in columns]
    rule = "  ".join("-" * width for width in widths)
    lines = []
    for line in (heads, *rows, *((None, *totals) if totals else ())):
        cells = [rule] if line is None else _padded(line, widths, right)
        lines.append("  ".join(cells).rstrip())
    return lines


def as_object(columns: Sequence[Column], row: Row, *, missing: bool = True) -> dict[str, Any]:
    """A row for JSON; what it has not is null, or left out."""
    found: dict[str, Any] = {}
    for column in columns:
        value = row.get(column.name)
        if isinstance(value, Decimal):
            exact = rounded(value, DIGITS[column.kind])
            found[column.name] = int(exact) if column.kind == "count" else float(exact)
        elif value is not None:
            found[column.name] = value.isoformat() if isinstance(value, datetime) else value
        elif missing:
            found[column.name] = None
    return found


def csv_of(columns: Sequence[Column], rows: Sequence[Row]) -> str:
    """For a spreadsheet: the rows and nothing else. No name is a formula, whoever has chosen it."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([column.name for column in columns])
    for row in rows:
        writer.writerow([_plain(column, row.get(column.name)) for column in columns])
    return text.getvalue().rstrip("\n")


def _plain(column: Column, value: Value) -> str:
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return f"{rounded(value, DIGITS[column.kind]):f}"
    if isinstance(value, datetime):
        return value.isoformat()
    line = value.replace("\r", " ")  # which the library leaves as it is, and readers take for an end
    return f"'{line}" if line.startswith(_FORMULA) else line


def _padded(line: list[str], widths: list[int], right: list[bool]) -> list[str]:
    return [
        text.rjust(width) if at_right else text.ljust(width)
        for text, width, at_right in zip(line, widths, right, strict=True)
    ]
