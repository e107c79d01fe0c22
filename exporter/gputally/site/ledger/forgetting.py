"""Taking back what should not have been imported, with a record of it."""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from gputally.site.ledger.posting import (
    Posted,
    make_ready,
    record,
    record_counts,
    renew_days,
    totals,
    touch_all,
)
from gputally.site.ledger.staging import PLAIN, StagedBill
from gputally.site.ledger.store import Ledger

FORGET = "forget"  # the kind of the import that takes back
_BILLS = """
SELECT b.id, b.kind, b.provider, b.account, b.period_start FROM bills b
WHERE (b.kind = 'focus' AND b.import_id = :import)
   OR (b.kind = 'plain' AND EXISTS (SELECT 1 FROM charges c WHERE c.bill_id = b.id AND c.import_id = :import))
ORDER BY b.provider, b.account, b.period_start
"""
_IMPORTS = """
SELECT i.id, i.at_ns, i.kind, i.file, i.sha256, c.result, SUM(c.rows)
FROM imports i LEFT JOIN import_counts c ON c.import_id = i.id
WHERE i.kind IN ('focus', 'plain', 'forget')
GROUP BY i.id, c.result ORDER BY i.id DESC
"""


class NothingToForget(Exception):
    """An import that the ledger has nothing of; `str()` is one line."""


@dataclass(frozen=True, slots=True)
class PastImport:
    """One import, as the ledger has it."""

    number: int
    at_ns: int
    kind: str
    file: str
    sha256: str
    counts: dict[str, int]


def imports(ledger: Ledger) -> Iterator[PastImport]:
    """All imports of bills, the newest first. Raises sqlite3.Error."""
    last: PastImport | None = None
    for number, at_ns, kind, file, sha256, result, rows in ledger.connection.execute(_IMPORTS):
        if last is None or last.number != number:
            if last is not None:
                yield last
            last = PastImport(number, at_ns, kind, file, sha256, {})
        if result is not None:
            last.counts[result] = rows
    if last is not None:
        yield last


def forget(ledger: Ledger, number: int, now_ns: int) -> list[Posted]:
    """Take back what an import was the last to write. Figures that it has replaced do not come back.

    Raises NothingToForget, LedgerError.
    """
    with ledger.transaction():
        connection = ledger.connection
        make_ready(connection)
        known = connection.execute("SELECT file, sha256 FROM imports WHERE id = ?", (number,)).fetchone()
        bills = connection.execute(_BILLS, {"import": number}).fetchall()
        if known is None:
            raise NothingToForget(f"there is no import {number}")
        if not bills:
            raise NothingToForget(
                f"the ledger has nothing of import {number}: other imports have replaced it"
            )
        file, sha256 = known
        own = record(connection, now_ns, FORGET, file, sha256)
        posted = [_forget_bill(connection, row, number, own) for row in bills]
        record_counts(connection, own, posted, {})
        renew_days(connection)
    return posted


def _forget_bill(
    connection: sqlite3.Connection, row: tuple[int, str, str, str, str], number: int, own: int
) -> Posted:
    bill_id, kind, provider, account, period = row
    bill = StagedBill(0, kind, provider, account, period)
    before = totals(connection, bill_id)
    only = number if kind == PLAIN else None
    touch_all(connection, bill_id, only)
    removed = connection.execute(
        "DELETE FROM charges WHERE bill_id = ? AND (? IS NULL OR import_id = ?)", (bill_id, only, only)
    ).rowcount
    left: dict[str, Decimal] = totals(connection, bill_id)
    if kind != PLAIN:
        connection.execute("DELETE FROM bills WHERE id = ?", (bill_id,))
    else:
        connection.execute("UPDATE bills SET import_id = ? WHERE id = ?", (own, bill_id))
    return Posted(bill, {"removed": removed}, before, left)
