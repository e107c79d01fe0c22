"""Doubts about a file that is whole by itself: does it belong where it would go?"""

import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime

from gputally.model.clock import NS_PER_SECOND
from gputally.site.ledger.asked import Ask, Imported
from gputally.site.ledger.reading import BadFile
from gputally.site.ledger.staging import FOCUS, PLAIN, StagedBill

_MOST_NAMED = 5
_BILL = """
SELECT bills.id, bills.last_day, bills.basis, imports.id, imports.sha256, imports.file, imports.at_ns
FROM bills JOIN imports ON imports.id = bills.import_id
WHERE bills.kind = ? AND bills.provider = ? AND bills.account = ? AND bills.period_start = ?
"""
_LATER_ROWS = """
SELECT imports.file, imports.at_ns FROM staged s
JOIN charges c ON c.bill_id = ? AND s.day = c.day AND s.gpu_type = c.gpu_type AND s.team = c.team
JOIN imports ON imports.id = c.import_id
WHERE s.bill = ? AND c.import_id > ? AND NOT (s.nano = c.nano AND s.atto = c.atto AND s.currency = c.currency)
LIMIT 1
"""
_PLAIN_DAYS = """
SELECT COUNT(DISTINCT c.day) FROM bills b JOIN charges c ON c.bill_id = b.id
WHERE b.kind = 'plain' AND b.provider = ? AND c.day >= ? AND c.day < ?
"""
_FOCUS_DAYS = """
SELECT COUNT(DISTINCT s.day) FROM staged s WHERE s.bill = ? AND EXISTS (
    SELECT 1 FROM bills b WHERE b.kind = 'focus' AND b.provider = ?
    AND s.day >= SUBSTR(b.period_start, 1, 10) AND s.day < SUBSTR(b.period_end, 1, 10))
"""


def refuse_bills_twice(found: Sequence[Imported]) -> None:
    """Of two files with the same bill, the same file is skipped. Raises BadFile for any other."""
    seen: dict[tuple[str, ...], Imported] = {}
    for one in found:
        if one.kind != FOCUS:
            continue
        for bill in one.bills:
            other = seen.setdefault(bill.key, one)
            if other is one:
                continue
            if other.sha256 != one.sha256:
                raise BadFile(
                    one.files[0],
                    f"has the bill {bill}, as {other.files[0]} has: are they parts of one export (--parts), "
                    "or is one of them newer? Then import that one alone",
                )
            one.skipped = f"the same file as {other.files[0]}"


def stale(connection: sqlite3.Connection, one: Imported) -> str:
    """Why a file that was imported before is not taken again: something newer has come since."""
    before = connection.execute(
        "SELECT MAX(id) FROM imports WHERE sha256 = ? AND kind = ?", (one.sha256, one.kind)
    ).fetchone()[0]
    if before is None:
        return ""
    for bill in one.bills:
        known = connection.execute(_BILL, bill.key).fetchone()
        if known is None:
            continue
        bill_id, _, _, import_id, sha256, file, at_ns = known
        if bill.kind == PLAIN:
            later = connection.execute(_LATER_ROWS, (bill_id, bill.number, before)).fetchone()
        else:
            later = (file, at_ns) if import_id > before and sha256 != one.sha256 else None
        if later is not None:
            file, at_ns = later
            return (
                f"it was imported before, and {file} has told {bill} anew on {_when(at_ns)}: "
                "--again goes back to it"
            )
    return ""


def refuse_shorter(connection: sqlite3.Connection, one: Imported) -> None:
    """A bill that ends before what the ledger has of it may be half of one. Raises BadFile."""
    for bill in one.bills:
        known = connection.execute(_BILL, bill.key).fetchone()
        if bill.kind == FOCUS and known is not None and bill.last_day < known[1]:
            raise BadFile(
                one.files[0],
                f"its bill {bill} ends on {bill.last_day}, that of the ledger on {known[1]}: is the file "
                "whole? (--shorter takes it)",
            )


def note_what_is_odd(connection: sqlite3.Connection, one: Imported, ask: Ask) -> None:
    """What somebody should look at, though it is taken."""
    for bill in one.bills:
        days = _days_told_twice(connection, bill)
        if days:
            other = "plain rows" if bill.kind == FOCUS else "a FOCUS bill"
            one.notes.append(
                f"{bill.provider} has {other} for {days} of these days, too: is that counted twice?"
            )
        known = connection.execute(_BILL, bill.key).fetchone()
        if bill.kind == FOCUS and known is not None and known[2] != ask.wanted.basis:
            one.notes.append(f"{bill} was by {known[2]} cost before, and is by {ask.wanted.basis} cost now")
    if one.tally.missing:
        named = [f"{name} ({rows} rows)" for name, rows in one.tally.missing.most_common(_MOST_NAMED)]
        more = len(one.tally.missing) - len(named)
        one.notes.append(
            f"machines whose GPUs are not known: {', '.join(named)}{f' and {more} more' if more else ''}: "
            "add them to bills.instances"
        )


def _days_told_twice(connection: sqlite3.Connection, bill: StagedBill) -> int:
    if bill.kind == FOCUS:
        given: tuple[object, ...] = (bill.provider, bill.period_start[:10], bill.period_end[:10])
        return int(connection.execute(_PLAIN_DAYS, given).fetchone()[0])
    return int(connection.execute(_FOCUS_DAYS, (bill.number, bill.provider)).fetchone()[0])


def _when(at_ns: int) -> str:
    return datetime.fromtimestamp(at_ns // NS_PER_SECOND, UTC).strftime("%Y-%m-%d %H:%M UTC")
