"""A list with a title and notes, for whom a range of time means nothing: a page of it, in three forms."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gputally.tables.columns import Column, Row
from gputally.tables.paged import Paged
from gputally.tables.text import aligned, as_object, cell, csv_of, printable


@dataclass(frozen=True, slots=True)
class Listed(Paged):
    """All rows, best first; a page of them is what is written."""

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: Sequence[Row]
    notes: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)  # beside the rows, in JSON
    not_in_table: tuple[str, ...] = ()  # columns that a table has no room for


def as_table(listed: Listed) -> str:
    """For a person."""
    columns = tuple(column for column in listed.columns if column.name not in listed.not_in_table)
    rows = [[cell(column, row) for column in columns] for row in listed.shown()]
    lines = [printable(listed.title), ""]
    lines += aligned(columns, rows) if rows else ["Nothing."]
    below = [f"Note: {printable(note)}" for note in listed.notes]
    if listed.pages > 1:
        more = f"; --page {listed.page + 1} shows more" if listed.page < listed.pages else ""
        below = [f"Page {listed.page} of {listed.pages}, {len(listed.rows)} rows in all{more}.", *below]
    return "\n".join([*lines, *([""] if below else []), *below])


def as_csv(listed: Listed) -> str:
    """For a spreadsheet: the rows and nothing else."""
    return csv_of(listed.columns, listed.shown())


def as_json(listed: Listed) -> str:
    """For a program: rows, and all that has to be known about them."""
    document = {
        "report": listed.name,
        **listed.facts,
        "rows": [as_object(listed.columns, row) for row in listed.shown()],
        "row_count": len(listed.rows),
        "page": listed.page,
        "pages": listed.pages,
        "notes": list(listed.notes),
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


FORMS = {"table": as_table, "csv": as_csv, "json": as_json}
