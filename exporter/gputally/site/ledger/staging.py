"""What files say, summed up by day, before the ledger is touched. In temporary tables: memory is bounded.

Nothing of it is seen by anybody else, and it is gone when the connection is closed.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from gputally.site.ledger.money import columns

FOCUS, PLAIN = "focus", "plain"
MOST_BILLS = 10_000  # of one import
_BATCH = 20_000  # sums that are kept in memory
_TABLES = """
CREATE TEMP TABLE staged (
    bill INTEGER NOT NULL, day TEXT NOT NULL, gpu_type TEXT NOT NULL, team TEXT NOT NULL,
    category TEXT NOT NULL, currency TEXT NOT NULL,
    nano INTEGER NOT NULL, atto INTEGER NOT NULL, gpu_nanohours INTEGER NOT NULL, unknown INTEGER NOT NULL,
    PRIMARY KEY (bill, day, gpu_type, team, category, currency)
) STRICT, WITHOUT ROWID;
CREATE TEMP TABLE plain_lines (
    bill INTEGER NOT NULL, day TEXT NOT NULL, gpu_type TEXT NOT NULL, team TEXT NOT NULL,
    line INTEGER NOT NULL, told TEXT NOT NULL,
    PRIMARY KEY (bill, day, gpu_type, team)
) STRICT, WITHOUT ROWID;
CREATE INDEX temp.plain_lines_by_told ON plain_lines (bill, day, told);
"""
_ADD = """
INSERT INTO staged VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET
    nano = nano + excluded.nano + (atto + excluded.atto) / 1000000000,
    atto = (atto + excluded.atto) % 1000000000,
    gpu_nanohours = gpu_nanohours + excluded.gpu_nanohours,
    unknown = MAX(unknown, excluded.unknown)
"""

Key = tuple[int, str, str, str, str, str]  # bill, day, gpu_type, team, category, currency


@dataclass(slots=True)
class StagedBill:
    """What is replaced as a whole, or the plain rows of a provider."""

    number: int
    kind: str
    provider: str
    account: str = ""
    period_start: str = ""
    period_end: str = ""
    last_day: str = ""
    rows: int = 0

    @property
    def key(self) -> tuple[str, str, str, str]:
        """By which it is known again."""
        return self.kind, self.provider, self.account, self.period_start

    def __str__(self) -> str:
        if self.kind == PLAIN:
            return f"{self.provider}, rows"
        return f"{self.provider} {self.account} {self.period_start[:7]}"


class Staging:
    """The sums of one import, of one file or of several that are one."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.bills: dict[tuple[str, str, str, str], StagedBill] = {}
        self._numbers = 0
        self._sums: dict[Key, list[int]] = {}
        for table in _TABLES.split(";\n"):
            connection.execute(table)

    def begin(self) -> None:
        """A further import. What was staged for those before stays; their bills are other ones."""
        self.flush()
        self.bills = {}

    def bill(self, found: StagedBill) -> StagedBill:
        """The bill of this import with the same key. Raises ValueError for too many."""
        known = self.bills.get(found.key)
        if known is None:
            if len(self.bills) >= MOST_BILLS:
                raise ValueError(f"more than {MOST_BILLS:,} bills in one import")
            self._numbers += 1
            found.number = self._numbers
            known = self.bills[found.key] = found
        return known

    def add(self, key: Key, amount: int, nanohours: int | None) -> None:
        """Add an amount (1e-18 units) and GPU hours (1e-9); None: not told, which makes the sum so."""
        sums = self._sums.get(key)
        unknown = int(nanohours is None)
        if sums is None:
            if len(self._sums) >= _BATCH:
                self.flush()
            self._sums[key] = [amount, nanohours or 0, unknown]
            return
        sums[0] += amount
        sums[1] += nanohours or 0
        sums[2] |= unknown

    def first_line(self, key: Key, line: int, told: str) -> int:
        """The line in which a plain row with this key has stood first: this one, if there was none.

        `told` is what the file calls GPU and team: by that the row is known again if they are called
        otherwise here some day.
        """
        bill, day, gpu_type, team = key[:4]
        self._connection.execute(
            "INSERT OR IGNORE INTO plain_lines VALUES (?, ?, ?, ?, ?, ?)",
            (bill, day, gpu_type, team, line, told),
        )
        row = self._connection.execute(
            "SELECT line FROM plain_lines WHERE bill = ? AND day = ? AND gpu_type = ? AND team = ?",
            (bill, day, gpu_type, team),
        ).fetchone()
        return int(row[0])

    def flush(self) -> None:
        """Write what is kept in memory. Raises OverflowError where sums are more than the ledger can hold."""
        rows = [
            (*key, *columns(amount), hours, unknown) for key, (amount, hours, unknown) in self._sums.items()
        ]
        try:
            self._connection.executemany(_ADD, rows)
        except (sqlite3.IntegrityError, OverflowError):  # STRICT: the sum has become a float
            raise OverflowError(
                "the amounts are more than the ledger can hold when they are added up"
            ) from None
        self._sums.clear()


@contextmanager
def staging(connection: sqlite3.Connection) -> Iterator[Staging]:
    """Tables for one command, in one go: rows go there without waiting for the disk each."""
    connection.execute("BEGIN DEFERRED")  # of the temporary database; the ledger is not locked
    try:
        found = Staging(connection)
        yield found
        found.flush()
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
