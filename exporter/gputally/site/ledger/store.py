"""The ledger: one SQLite file, which one writer at a time changes in transactions, whole or not at all.

Readers are never held up (WAL). Whoever writes creates the file and brings its tables up to date; whoever
reads changes nothing, and takes a file that a newer version has written for what it is: not readable. A
reader who may not write beside the file, which SQLite wants for WAL, reads it as it lies there, and is told
if it was written meanwhile.
"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from gputally.config.yamltree import fingerprint
from gputally.site.ledger.migrations import MIGRATIONS

BUSY_SECONDS = 60.0  # how long one writer waits for another
_PAUSE_SECONDS = 0.02
_APPLICATION = 0x67707574  # "gput", by which the file is known from any other SQLite file

_NO_PLACE_BESIDE = ("SQLITE_CANTOPEN", "SQLITE_READONLY_")


class LedgerError(Exception):
    """The ledger cannot be used; `str()` is one line with its path."""


class LedgerUsage(LedgerError):
    """Whoever asked has named a file that cannot be the ledger."""


class Ledger:
    """An open ledger, for one thread."""

    def __init__(self, path: Path, connection: sqlite3.Connection, lying: tuple[int, ...] | None) -> None:
        self.path, self.connection = path, connection
        self._lying = lying  # the file as it was when it was opened, where nothing guards it while it is read

    @classmethod
    def open(cls, path: Path, *, write: bool = False) -> "Ledger":
        """Open it; to write, create it and bring it up to date as well.

        Raises:
            LedgerUsage: it or its folder is not there, or it is no ledger, or one of a newer version.
            LedgerError: disk, permissions, or another writer that does not end.
        """
        if not write and not is_there(path):
            raise LedgerUsage(f"{path}: there is no ledger yet: an import makes it")
        if write and not (is_there(path.parent) and path.parent.is_dir()):
            raise LedgerUsage(f"{path}: its folder is not there, and an import does not make it")
        with _said(path):
            try:
                return cls(path, _opened(path, "rwc" if write else "ro"), None)
            except sqlite3.OperationalError as error:
                if write or not error.sqlite_errorname.startswith(_NO_PLACE_BESIDE):
                    raise
            lying = fingerprint(path)
            return cls(path, _opened(path, "ro&immutable=1"), lying)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is written inside is there at the end, or nothing of it. Waits for another writer.

        Raises:
            LedgerError: it could not be written; nothing of it was.
        """
        with _said(self.path), _transaction(self.connection):
            yield

    @contextmanager
    def faults(self) -> Iterator[None]:
        """Faults of SQLite inside become LedgerError."""
        with _said(self.path):
            yield

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Several questions about one state, whatever is written meanwhile. Raises LedgerError."""
        with _said(self.path):
            self.connection.execute("BEGIN DEFERRED")
            try:
                yield
            finally:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")

    def close(self) -> None:
        """Close the file."""
        self.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        if error is None and self._lying is not None and fingerprint(self.path) != self._lying:
            raise LedgerError(f"{self.path}: it was written while it was read: ask again")


def is_there(path: Path) -> bool:
    """Whether there is a ledger, or its folder. Raises LedgerError where one may not even look."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise LedgerError(f"{path}: {error.strerror}") from error
    return True


@contextmanager
def _said(path: Path) -> Iterator[None]:
    """Faults of SQLite as one line."""
    try:
        yield
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", "") or ""
        if name.startswith("SQLITE_NOTADB"):
            raise LedgerUsage(f"{path}: no ledger: {error}") from error
        raise LedgerError(f"{path}: {_why(name, error)}") from error


def _why(name: str, error: sqlite3.Error) -> str:
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return f"another program has been writing to it for {BUSY_SECONDS:.0f} s"
    if name.startswith("SQLITE_CORRUPT"):
        return f"damaged: {error}"
    return f"{error}" if name.startswith("SQLITE_CANTOPEN") else f"{error}; nothing of it was written"


def _opened(path: Path, mode: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}", uri=True, timeout=BUSY_SECONDS, isolation_level=None
    )
    try:
        connection.execute("PRAGMA foreign_keys = ON")
        _prepare(path, connection, write=mode == "rwc")
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(path: Path, connection: sqlite3.Connection, *, write: bool) -> None:
    version = _version(path, connection)
    if version > len(MIGRATIONS):
        raise LedgerUsage(
            f"{path}: written by a newer gputally: its tables are of version {version}, not {len(MIGRATIONS)}"
        )
    if not write:
        if version < len(MIGRATIONS):
            raise LedgerUsage(
                f"{path}: written by an older gputally: its tables are of version {version}, not "
                f"{len(MIGRATIONS)}: the next import brings it up to date"
            )
        return
    _log_ahead(connection)
    connection.execute("PRAGMA synchronous = FULL")
    if version < len(MIGRATIONS):
        with _transaction(connection):
            _migrate(path, connection)


def _log_ahead(connection: sqlite3.Connection) -> None:
    """WAL. SQLite does not wait for another program that is just making the same file: so we do."""
    for _ in range(int(BUSY_SECONDS / _PAUSE_SECONDS)):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if not error.sqlite_errorname.startswith("SQLITE_BUSY"):
                raise
            time.sleep(_PAUSE_SECONDS)
        else:
            return
    connection.execute("PRAGMA journal_mode = WAL")


def _migrate(path: Path, connection: sqlite3.Connection) -> None:
    """Run what is missing; another writer may have done so while this one waited."""
    for script in MIGRATIONS[_version(path, connection) :]:
        for statement in script.split(";\n"):
            connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {_APPLICATION}")
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")


def _version(path: Path, connection: sqlite3.Connection) -> int:
    """How many scripts it has seen. A file that has tables and is not ours is left alone."""
    alone = not connection.in_transaction
    if alone:  # another program may be making it just now
        connection.execute("BEGIN DEFERRED")
    (tables,) = connection.execute("SELECT COUNT(*) FROM sqlite_schema").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if alone:
        connection.execute("ROLLBACK")
    if tables and application != _APPLICATION:
        raise LedgerUsage(f"{path}: a database of another program, not a ledger")
    return int(version)


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
