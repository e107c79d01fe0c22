"""A sheet as text: a table for people, CSV and JSON for programs. Here alone amounts are rounded, once."""

import csv
import io
import json
from collections.abc import Sequence
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any

from gputally.report.sheet import CURRENCY, Column, Kind, Row, Sheet, Value

TABLE_DIGITS: dict[Kind, int] = {"count": 0, "kwh": 3, "money": 2, "hours": 2, "ratio": 1}
DIGITS: dict[Kind, int] = {"count": 0, "kwh": 6, "money": 6, "hours": 6, "ratio": 6}  # for programs
SUMS = "Totals are sums of unrounded amounts."
_NAMES: tuple[Kind, ...] = ("text", "time")
_WIDEST = 40
_WIDE = Context(prec=60, rounding=ROUND_HALF_EVEN)


def rounded(amount: Decimal, digits: int) -> Decimal:
    """To so many decimals, halves to the even one; nothing is below zero that rounds to it."""
    return _WIDE.plus(amount.quantize(Decimal(1).scaleb(-digits), context=_WIDE))


def as_table(sheet: Sheet) -> str:
    """For a person."""
    rows = [[_cell(column, row) for column in sheet.columns] for row in sheet.shown()]
    totals = [
        [
            "" if column.kind in _NAMES and column.name != CURRENCY else _cell(column, row)
            for column in sheet.columns
        ]
        for row in sheet.totals
    ]
    if totals:
        totals[0][0] = "total"
    lines = [_heading(sheet), ""]
    if rows:
        lines += _aligned(sheet.columns, rows, totals)
        lines += ["", _below(sheet)]
    else:
        lines.append("Nothing.")
    lines += [f"Note: {_printable(note)}" for note in sheet.notes]
    return "\n".join(lines)


def as_csv(sheet: Sheet) -> str:
    """For a spreadsheet: the rows and nothing else."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([column.name for column in sheet.columns])
    for row in sheet.shown():
        writer.writerow([_plain(column, row.get(column.name)) for column in sheet.columns])
    return text.getvalue().rstrip("\n")


def as_json(sheet: Sheet) -> str:
    """For a program: rows, totals, and all that has to be known about them."""
    document = {
        "report": sheet.report,
        "from": _time(sheet, sheet.range.from_s),
        "to": _time(sheet, sheet.range.until_s),
        "timezone": str(sheet.range.zone),
        "rows": [_object(sheet.columns, row) for row in sheet.shown()],
        "totals": [_object(sheet.columns, row, missing=False) for row in sheet.totals],
        "row_count": len(sheet.rows),
        "page": sheet.page,
        "pages": sheet.pages,
        "notes": [SUMS, *sheet.notes],
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def _object(columns: Sequence[Column], row: Row, *, missing: bool = True) -> dict[str, Any]:
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


def _time(sheet: Sheet, second: int) -> str:
    return sheet.range.moment(second).isoformat()


def _plain(column: Column, value: Value) -> str:
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return f"{rounded(value, DIGITS[column.kind]):f}"
    return value.isoformat() if isinstance(value, datetime) else value


def _cell(column: Column, row: Row) -> str:
    value = row.get(column.name)
    if value is None or value == "":
        return "" if column.name == CURRENCY else "-"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M")
    if isinstance(value, str):
        text = _printable(value)
        return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 1]}…"
    if column.kind == "ratio":
        return f"{rounded(value * 100, TABLE_DIGITS['ratio']):f} %"
    digits = TABLE_DIGITS[column.kind] if column.digits is None else column.digits
    return f"{rounded(value, digits):,f}"


def _printable(text: str) -> str:
    """Names come from anywhere; none of them may drive a terminal."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _heading(sheet: Sheet) -> str:
    start, end = (sheet.range.moment(at).strftime("%Y-%m-%d %H:%M") for at in _ends(sheet))
    return f"{sheet.report}: {start} to {end} {sheet.range.zone}"


def _ends(sheet: Sheet) -> tuple[int, int]:
    return sheet.range.from_s, sheet.range.until_s


def _below(sheet: Sheet) -> str:
    if sheet.pages == 1:
        return SUMS
    more = f"; --page {sheet.page + 1} shows more" if sheet.page < sheet.pages else ""
    place = f"Page {sheet.page} of {sheet.pages}, {len(sheet.rows)} rows in all{more}."
    return f"{place} {SUMS} They are of all rows."


def _aligned(columns: Sequence[Column], rows: list[list[str]], totals: list[list[str]]) -> list[str]:
    heads = [column.title for column in columns]
    widths = [max(len(line[at]) for line in (heads, *rows, *totals)) for at in range(len(columns))]
    right = [column.kind not in _NAMES for column in columns]
    rule = "  ".join("-" * width for width in widths)
    lines = []
    for line in (heads, *rows, None, *totals):
        cells = [rule] if line is None else _padded(line, widths, right)
        lines.append("  ".join(cells).rstrip())
    return lines


def _padded(line: list[str], widths: list[int], right: list[bool]) -> list[str]:
    return [
        text.rjust(width) if at_right else text.ljust(width)
        for text, width, at_right in zip(line, widths, right, strict=True)
    ]
