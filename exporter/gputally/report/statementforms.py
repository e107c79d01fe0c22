"""A statement as text: a table for people, CSV and JSON for programs, and a page of HTML to be printed."""

import csv
import io
import json
from collections.abc import Sequence
from decimal import Decimal
from html import escape

from gputally.report.statement import Account, Line, Other, Statement
from gputally.tables.columns import Column
from gputally.tables.text import aligned, printable, rounded

_COLUMNS = (
    Column("day", "DATE"),
    Column("kind", "KIND"),
    Column("text", "FOR"),
    Column("quantity", "QUANTITY", "hours"),
    Column("unit", "UNIT"),
    Column("amount", "AMOUNT", "money"),
)
_OTHER_COLUMNS = (
    Column("host", "HOST"),
    Column("team", "TEAM"),
    Column("gpu_hours", "GPU HOURS", "hours"),
    Column("kwh", "KWH", "kwh"),
    Column("cost", "CHARGED", "text"),
)
_OTHERS = "What others had of its GPUs:"
_STYLE = """
body { font: 11pt/1.4 sans-serif; color: #111; margin: 2em auto; max-width: 50em; padding: 0 1em; }
table { border-collapse: collapse; width: 100%; margin: 1em 0 2em; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .2em .6em; border-bottom: 1px solid #ccc; vertical-align: top; }
.n { text-align: right; white-space: nowrap; }
tfoot td { border-top: 2px solid #111; border-bottom: 0; font-weight: bold; }
thead { display: table-header-group; }
tr { break-inside: avoid; }
@media print { body { margin: 0; max-width: none; } @page { margin: 18mm; } }
"""


def as_table(statement: Statement) -> str:
    """For a person."""
    lines = [_title(statement)]
    for account in statement.accounts:
        rows = [[printable(cell) for cell in _cells(line)] for line in account.lines]
        total = ["", "balance", "", "", account.currency, _money(account.balance)]
        lines += ["", *(aligned(_COLUMNS, rows, [total]) if rows else [f"Nothing. {account.currency} 0.00"])]
    if statement.others:
        rows = [[printable(cell) for cell in _other(one)] for one in statement.others]
        lines += ["", _OTHERS, "", *aligned(_OTHER_COLUMNS, rows)]
    lines += ["", *(f"Note: {printable(note)}" for note in statement.notes)] if statement.notes else []
    return "\n".join(lines)


def as_csv(statement: Statement) -> str:
    """For a spreadsheet: the lines of all accounts and nothing else; their sum by currency is its balance."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["team", "period", "date", "kind", "for", "quantity", "unit", "amount", "currency"])
    for account in statement.accounts:
        for line in account.lines:
            quantity = "" if line.quantity is None else f"{rounded(line.quantity, 6):f}"
            writer.writerow(
                [
                    *(statement.team, statement.period.name, line.day or "", line.kind, line.text),
                    *(quantity, line.unit, f"{line.amount:f}", account.currency),
                ]
            )
    return text.getvalue().rstrip("\n")


def as_json(statement: Statement) -> str:
    """For a program. Money to the cent."""
    document = {
        "report": "statement",
        "team": statement.team,
        "period": statement.period.name,
        "from": statement.period.first.isoformat(),
        "to": statement.period.end.isoformat(),
        "accounts": [_account(account) for account in statement.accounts],
        "others": [
            {
                "host": one.host,
                "team": one.team,
                "gpu_hours": float(rounded(one.gpu_hours, 6)),
                "kwh": float(rounded(one.kwh, 6)),
                "charged": {currency: float(rounded(cost, 2)) for currency, cost in one.costs.items()},
            }
            for one in statement.others
        ],
        "notes": list(statement.notes),
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def as_html(statement: Statement) -> str:
    """One page that needs nothing else, for the printer and the file."""
    title = escape(_title(statement))
    parts = [
        "<!doctype html>",
        f'<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style></head>',
        f"<body><h1>{title}</h1>",
    ]
    for account in statement.accounts:
        foot = ["", "balance", "", "", account.currency, _money(account.balance)]
        parts.append(_html(_COLUMNS, [_cells(line) for line in account.lines], foot))
    if statement.others:
        rows = [_other(one) for one in statement.others]
        parts += [f"<h2>{escape(_OTHERS)}</h2>", _html(_OTHER_COLUMNS, rows)]
    parts += [f"<p>{escape(note)}</p>" for note in statement.notes]
    return "\n".join([*parts, "</body></html>"])


FORMS = {"table": as_table, "csv": as_csv, "json": as_json, "html": as_html}


def _title(statement: Statement) -> str:
    return f"Statement of {printable(statement.team)}, {statement.period.name}"


def _cells(line: Line) -> list[str]:
    quantity = "" if line.quantity is None else f"{rounded(line.quantity, 2):,f}"
    day = line.day.isoformat() if line.day is not None else ""
    return [day, line.kind, line.text, quantity, line.unit, _money(line.amount)]


def _other(one: Other) -> list[str]:
    costs = ", ".join(f"{rounded(cost, 2):,f} {currency}" for currency, cost in sorted(one.costs.items()))
    return [one.host, one.team, f"{rounded(one.gpu_hours, 2):,f}", f"{rounded(one.kwh, 3):,f}", costs or "-"]


def _money(amount: Decimal) -> str:
    return f"{amount:,.2f}"


def _account(account: Account) -> dict[str, object]:
    return {
        "currency": account.currency,
        "balance": float(account.balance),
        "lines": [
            {
                "date": line.day.isoformat() if line.day is not None else None,
                "kind": line.kind,
                "for": line.text,
                "quantity": float(rounded(line.quantity, 6)) if line.quantity is not None else None,
                "unit": line.unit or None,
                "amount": float(line.amount),
            }
            for line in account.lines
        ],
    }


def _html(columns: Sequence[Column], rows: Sequence[list[str]], foot: list[str] | None = None) -> str:
    right = [' class="n"' if column.kind != "text" else "" for column in columns]

    def line(cells: list[str], tag: str) -> str:
        inside = "".join(
            f"<{tag}{place}>{escape(printable(cell))}</{tag}>"
            for cell, place in zip(cells, right, strict=True)
        )
        return f"<tr>{inside}</tr>"

    head = line([column.title for column in columns], "th")
    below = f"<tfoot>{line(foot, 'td')}</tfoot>" if foot is not None else ""
    body = "".join(line(row, "td") for row in rows)
    return f"<table><thead>{head}</thead>{below}<tbody>{body}</tbody></table>"
