"""A sheet as text: a table for people, CSV and JSON for programs."""

import json

from gputally.report.sheet import Sheet
from gputally.tables.columns import CURRENCY
from gputally.tables.text import NAMES, aligned, as_object, cell, csv_of, printable

SUMS = "Totals are sums of unrounded amounts."


def as_table(sheet: Sheet) -> str:
    """For a person."""
    rows = [[cell(column, row) for column in sheet.columns] for row in sheet.shown()]
    totals = [
        [
            "" if column.kind in NAMES and column.name != CURRENCY else cell(column, row)
            for column in sheet.columns
        ]
        for row in sheet.totals
    ]
    if totals:
        totals[0][0] = "total"
    lines = [_heading(sheet), ""]
    if rows:
        lines += aligned(sheet.columns, rows, totals)
        lines += ["", _below(sheet)]
    else:
        lines.append("Nothing.")
    lines += [f"Note: {printable(note)}" for note in sheet.notes]
    return "\n".join(lines)


def as_csv(sheet: Sheet) -> str:
    """For a spreadsheet: the rows and nothing else."""
    return csv_of(sheet.columns, sheet.shown())


def as_json(sheet: Sheet) -> str:
    """For a program: rows, totals, and all that has to be known about them."""
    document = {
        "report": sheet.report,
        "from": _time(sheet, sheet.range.from_s),
        "to": _time(sheet, sheet.range.until_s),
        "timezone": str(sheet.range.zone),
        "rows": [as_object(sheet.columns, row) for row in sheet.shown()],
        "totals": [as_object(sheet.columns, row, missing=False) for row in sheet.totals],
        "row_count": len(sheet.rows),
        "page": sheet.page,
        "pages": sheet.pages,
        "notes": [SUMS, *sheet.notes],
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def _time(sheet: Sheet, second: int) -> str:
    return sheet.range.moment(second).isoformat()


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


FORMS = {"table": as_table, "csv": as_csv, "json": as_json}
