"""What was staged becomes the ledger: compared by sums of days, changed where it differs, counted.

Runs inside of one transaction. A bill is replaced as a whole, so rows that a restatement no longer has are
gone; plain rows are written over by their key, and nothing else of their provider is touched.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from gputally.site.ledger.money import amount_of
from gputally.site.ledger.staging import PLAIN, StagedBill

RESULTS = ("inserted", "updated", "unchanged", "removed")
_KEY = "s.day = c.day AND s.gpu_type = c.gpu_type AND s.team = c.team AND s.category = c.category"
_SAME_KEY = f"{_KEY} AND s.currency = c.currency"
_HOURS = "CASE WHEN s.unknown THEN NULL ELSE s.gpu_nanohours END"
_SAME = f"s.nano = c.nano AND s.atto = c.atto AND {_HOURS} IS c.gpu_nanohours"
_OF_BILL = "c.bill_id = :bill AND s.bill = :staged"
_TOUCHED = """
CREATE TEMP TABLE IF NOT EXISTS touched (
    day TEXT NOT NULL, provider TEXT NOT NULL, gpu_type TEXT NOT NULL, team TEXT NOT NULL,
    currency TEXT NOT NULL,
    PRIMARY KEY (day, provider, gpu_type, team, currency)
) STRICT, WITHOUT ROWID
"""
_INSERTED = f"""
SELECT COUNT(*) FROM staged s WHERE s.bill = :staged
AND NOT EXISTS (SELECT 1 FROM charges c WHERE c.bill_id = :bill AND {_SAME_KEY})
"""  # noqa: S608 - made of names that stand in this file
# A plain row is known again by its key, or by what its file calls GPU and team.
_BY_KEY = "p.day = c.day AND p.gpu_type = c.gpu_type AND p.team = c.team"
_BY_TOLD = "p.day = c.day AND p.told = c.told AND c.told <> ''"
_INSERTED_PLAIN = f"""
SELECT COUNT(*) FROM plain_lines p WHERE p.bill = :staged
AND NOT EXISTS (SELECT 1 FROM charges c WHERE c.bill_id = :bill AND {_BY_KEY})
AND NOT EXISTS (SELECT 1 FROM charges c WHERE c.bill_id = :bill AND {_BY_TOLD})
"""  # noqa: S608 - made of names that stand in this file
_DAYS = "c.day IN (SELECT DISTINCT d.day FROM plain_lines d WHERE d.bill = :staged)"
_TOLD = f"""
UPDATE charges AS c SET told = p.told FROM plain_lines p
WHERE p.bill = :staged AND c.bill_id = :bill AND {_DAYS} AND {_BY_KEY} AND c.told <> p.told
"""  # noqa: S608 - made of names that stand in this file
_UNCHANGED = f"SELECT COUNT(*) FROM staged s JOIN charges c ON {_OF_BILL} AND {_SAME_KEY} AND {_SAME}"  # noqa: S608 - made of names that stand in this file
_ROWS = "SELECT COUNT(*) FROM staged s WHERE s.bill = :staged"
# What goes: rows of a bill that is told without them; plain rows that are told in another currency, or whose
# GPU or team is called otherwise now.
_OF_STAGED = "SELECT 1 FROM staged s WHERE s.bill = :staged AND"
_GONE_FOCUS = f"NOT EXISTS ({_OF_STAGED} {_SAME_KEY})"
_OF_PLAIN = "SELECT 1 FROM plain_lines p WHERE p.bill = :staged AND"
_GONE_PLAIN = (
    f"{_DAYS} AND {_GONE_FOCUS} AND (EXISTS ({_OF_PLAIN} {_BY_KEY}) OR EXISTS ({_OF_PLAIN} {_BY_TOLD}))"
)
_TOUCH = (
    "INSERT OR IGNORE INTO touched "
    "SELECT {row}.day, :provider, {row}.gpu_type, {row}.team, {row}.currency FROM "
)
_WRITE = f"""
INSERT INTO charges
SELECT :bill, s.day, s.gpu_type, s.team, s.category, s.currency, s.nano, s.atto, {_HOURS}, :import, ''
FROM staged s WHERE s.bill = :staged
ON CONFLICT DO UPDATE SET nano = excluded.nano, atto = excluded.atto, gpu_nanohours = excluded.gpu_nanohours,
    import_id = excluded.import_id
WHERE nano <> excluded.nano OR atto <> excluded.atto OR gpu_nanohours IS NOT excluded.gpu_nanohours
"""  # noqa: S608 - made of names that stand in this file
# All charges of a day, a GPU, a team and a currency, of which those count that a bill of the provider has.
_SUM = """
SELECT t.day, t.provider, t.gpu_type, t.team, t.currency,
       COALESCE(SUM(IIF(b.id IS NULL, 0, c.nano)), 0)
       + COALESCE(SUM(IIF(b.id IS NULL, 0, c.atto)), 0) / 1000000000 AS nano,
       COALESCE(SUM(IIF(b.id IS NULL, 0, c.atto)), 0) % 1000000000 AS atto,
       IIF(COUNT(b.id) = COUNT(IIF(b.id IS NULL, NULL, c.gpu_nanohours)),
           COALESCE(SUM(IIF(b.id IS NULL, 0, c.gpu_nanohours)), 0), NULL) AS hours
FROM touched t
LEFT JOIN charges c
  ON c.day = t.day AND c.gpu_type = t.gpu_type AND c.team = t.team AND c.currency = t.currency
LEFT JOIN bills b ON b.id = c.bill_id AND b.provider = t.provider
GROUP BY t.day, t.provider, t.gpu_type, t.team, t.currency
"""
_DAY_SUMS = f"""
INSERT INTO day_sums SELECT day, provider, gpu_type, team, currency, nano, atto, hours, 0 FROM ({_SUM})
WHERE true
ON CONFLICT DO UPDATE SET nano = excluded.nano, atto = excluded.atto, gpu_nanohours = excluded.gpu_nanohours,
    revision = revision + 1
WHERE nano <> excluded.nano OR atto <> excluded.atto OR gpu_nanohours IS NOT excluded.gpu_nanohours
"""  # noqa: S608 - made of names that stand in this file


@dataclass(frozen=True, slots=True)
class Posted:
    """What became of one bill, or of the plain rows of one provider."""

    bill: StagedBill
    counts: Mapping[str, int]  # result of RESULTS -> sums of a day, a GPU, a team, a category
    before: Mapping[str, Decimal] = field(default_factory=dict)  # currency -> what it has cost
    after: Mapping[str, Decimal] = field(default_factory=dict)


def make_ready(connection: sqlite3.Connection) -> None:
    """What has to be there before anything is posted."""
    connection.execute(_TOUCHED)


def post(connection: sqlite3.Connection, bill: StagedBill, basis: str, import_id: int) -> Posted:
    """Make one staged bill the ledger's."""
    bill_id = _bill_id(connection, bill, basis, import_id)
    given = {"bill": bill_id, "staged": bill.number, "import": import_id, "provider": bill.provider}
    before = totals(connection, bill_id)
    counts = _counts(connection, bill, given)
    gone = _GONE_PLAIN if bill.kind == PLAIN else _GONE_FOCUS
    for row, rows in (
        ("c", f"charges c WHERE c.bill_id = :bill AND ({gone})"),
        ("s", "staged s WHERE s.bill = :staged"),
    ):
        connection.execute(_TOUCH.format(row=row) + rows, given)
    connection.execute(f"DELETE FROM charges AS c WHERE c.bill_id = :bill AND ({gone})", given)  # noqa: S608 - made of names that stand in this file
    connection.execute(_WRITE, given)
    if bill.kind == PLAIN:
        connection.execute(_TOLD, given)
    return Posted(bill, counts, before, totals(connection, bill_id))


def touch_all(connection: sqlite3.Connection, bill_id: int, import_id: int | None = None) -> None:
    """Say that the days of a bill change; of those charges alone that an import has written."""
    connection.execute(
        "INSERT OR IGNORE INTO touched SELECT c.day, b.provider, c.gpu_type, c.team, c.currency "
        "FROM charges c JOIN bills b ON b.id = c.bill_id "
        "WHERE b.id = ? AND (? IS NULL OR c.import_id = ?)",
        (bill_id, import_id, import_id),
    )


def renew_days(connection: sqlite3.Connection) -> None:
    """Sum up the days that were touched; a day whose sum has changed gets a further revision."""
    connection.execute(_DAY_SUMS)
    connection.execute("DELETE FROM touched")


def totals(connection: sqlite3.Connection, bill_id: int) -> dict[str, Decimal]:
    """What a bill has cost, by currency."""
    found: Counter[str] = Counter()
    rows = connection.execute("SELECT currency, nano, atto FROM charges WHERE bill_id = ?", (bill_id,))
    for currency, nano, atto in rows:
        found[currency] += nano * 10**9 + atto
    return {currency: amount_of(0, amount) for currency, amount in sorted(found.items())}


def record(connection: sqlite3.Connection, at_ns: int, kind: str, file: str, sha256: str) -> int:
    """Write down that something is imported; its number."""
    row = connection.execute(
        "INSERT INTO imports (at_ns, kind, file, sha256) VALUES (?, ?, ?, ?) RETURNING id",
        (at_ns, kind, file, sha256),
    ).fetchone()
    return int(row[0])


def record_counts(
    connection: sqlite3.Connection, import_id: int, posted: Iterable[Posted], rejected: Mapping[str, int]
) -> None:
    """Write down what became of its rows, by provider."""
    counts: Counter[tuple[str, str]] = Counter()
    for one in posted:
        for result, rows in one.counts.items():
            counts[one.bill.provider, result] += rows
    for provider, rows in rejected.items():
        counts[provider, "rejected"] += rows
    connection.executemany(
        "INSERT INTO import_counts VALUES (?, ?, ?, ?)",
        [(import_id, provider, result, rows) for (provider, result), rows in sorted(counts.items())],
    )


def _bill_id(connection: sqlite3.Connection, bill: StagedBill, basis: str, import_id: int) -> int:
    last_day = "MAX(last_day, excluded.last_day)" if bill.kind == PLAIN else "excluded.last_day"
    row = connection.execute(
        "INSERT INTO bills (kind, provider, account, period_start, period_end, basis, last_day, import_id) "  # noqa: S608 - made of names that stand in this file
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET period_end = excluded.period_end, "
        f"basis = excluded.basis, last_day = {last_day}, import_id = excluded.import_id RETURNING id",
        (*bill.key, bill.period_end, basis, bill.last_day, import_id),
    ).fetchone()
    return int(row[0])


def _counts(connection: sqlite3.Connection, bill: StagedBill, given: Mapping[str, object]) -> dict[str, int]:
    """A plain row whose currency has changed is an updated one; a row of a bill is another one then."""

    def count(query: str) -> int:
        return int(connection.execute(query, given).fetchone()[0])

    plain = bill.kind == PLAIN
    inserted = count(_INSERTED_PLAIN if plain else _INSERTED)
    unchanged = count(_UNCHANGED)
    gone = f"SELECT COUNT(*) FROM charges c WHERE c.bill_id = :bill AND ({_GONE_FOCUS})"  # noqa: S608 - made of names that stand in this file
    return {
        "inserted": inserted,
        "updated": count(_ROWS) - inserted - unchanged,
        "unchanged": unchanged,
        "removed": 0 if plain else count(gone),
    }
