"""The ledger's file: created, brought up to date, shared by writers, refused where it is somebody else's."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from gputally.config.yamltree import fingerprint
from gputally.site.ledger import store
from gputally.site.ledger.bills import charges
from gputally.site.ledger.migrations import MIGRATIONS
from gputally.site.ledger.store import Ledger, LedgerError, LedgerUsage

IMPORT = "INSERT INTO imports (at_ns, kind, file, sha256) VALUES (1, 'plain', 'a.csv', 'aa')"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


def imports(path: Path) -> int:
    with Ledger.open(path) as ledger:
        return ledger.connection.execute("SELECT COUNT(*) FROM imports").fetchone()[0]


def test_a_writer_creates_the_file_with_all_tables(path):
    with Ledger.open(path, write=True) as ledger:
        asked = {name: ledger.connection.execute(f"PRAGMA {name}").fetchone()[0] for name in PRAGMAS}
    assert asked == PRAGMAS | {"user_version": len(MIGRATIONS)}
    assert imports(path) == 0


PRAGMAS = {"journal_mode": "wal", "foreign_keys": 1, "synchronous": 2, "user_version": 0}


def test_a_reader_creates_nothing_and_writes_nothing(path):
    with pytest.raises(LedgerUsage, match="there is no ledger yet"):
        Ledger.open(path)
    assert list(path.parent.iterdir()) == []
    Ledger.open(path, write=True).close()
    with Ledger.open(path) as ledger, pytest.raises(LedgerError, match="readonly"), ledger.transaction():
        ledger.connection.execute(IMPORT)


@pytest.mark.fault("ledger-upgrade")
def test_every_script_leads_to_the_same_tables_as_all_at_once(path, tmp_path, monkeypatch):
    for version in range(1, len(MIGRATIONS) + 1):
        monkeypatch.setattr(store, "MIGRATIONS", MIGRATIONS[:version])
        Ledger.open(path, write=True).close()
    other = tmp_path / "other.sqlite"
    Ledger.open(other, write=True).close()
    assert schema(path) == schema(other)


def schema(path: Path) -> list[tuple]:
    with Ledger.open(path) as ledger:
        return ledger.connection.execute("SELECT name, sql FROM sqlite_schema ORDER BY name").fetchall()


@pytest.mark.fault("ledger-upgrade")
def test_an_older_ledger_keeps_its_rows_when_it_is_brought_up_to_date(path, monkeypatch):
    with Ledger.open(path, write=True) as ledger, ledger.transaction():
        ledger.connection.execute(IMPORT)
    later = (
        *MIGRATIONS,
        "CREATE TABLE more (id INTEGER PRIMARY KEY) STRICT;\nINSERT INTO more VALUES (7);\n",
    )
    monkeypatch.setattr(store, "MIGRATIONS", later)
    with pytest.raises(LedgerUsage, match="written by an older gputally"):
        Ledger.open(path)
    with Ledger.open(path, write=True) as ledger:
        assert ledger.connection.execute("SELECT id FROM more").fetchall() == [(7,)]
    assert imports(path) == 1


@pytest.mark.fault("ledger-upgrade")
def test_a_script_that_fails_leaves_the_old_version(path, monkeypatch):
    Ledger.open(path, write=True).close()
    with monkeypatch.context() as patched:
        patched.setattr(
            store, "MIGRATIONS", (*MIGRATIONS, "CREATE TABLE more (id);\nCREATE TABLE bills (id);\n")
        )
        with pytest.raises(LedgerError, match="bills already exists"):
            Ledger.open(path, write=True)
    assert imports(path) == 0
    assert "more" not in [name for name, _ in schema(path)]


@pytest.mark.fault("ledger-upgrade")
@pytest.mark.parametrize("write", [False, True])
def test_a_ledger_of_a_newer_version_is_refused(path, write):
    Ledger.open(path, write=True).close()
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.close()
    with pytest.raises(LedgerUsage, match="written by a newer gputally"):
        Ledger.open(path, write=write)


@pytest.mark.fault("ledger-damaged")
@pytest.mark.parametrize("write", [False, True])
def test_a_database_of_another_program_is_left_alone(path, write):
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE theirs (id)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(LedgerUsage, match="of another program"):
        Ledger.open(path, write=write)
    assert path.read_bytes() == before


@pytest.mark.fault("ledger-damaged")
@pytest.mark.parametrize("write", [False, True])
def test_what_is_no_database_is_one_line(path, write):
    path.write_bytes(b"date,provider,gpu_type,cost\n" * 100)
    with pytest.raises(LedgerError, match=r"ledger\.sqlite: no ledger: file is not a database"):
        Ledger.open(path, write=write)


@pytest.mark.fault("ledger-damaged")
def test_a_damaged_ledger_is_one_line(path):
    with Ledger.open(path, write=True) as ledger, ledger.transaction():
        ledger.connection.execute(IMPORT)
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    path.write_bytes(data)
    with pytest.raises(LedgerError, match=r"ledger\.sqlite: damaged: database disk image is malformed"):
        read_in_a_snapshot(path)


def read_in_a_snapshot(path: Path) -> None:
    with Ledger.open(path) as ledger, ledger.snapshot():
        ledger.connection.execute("SELECT COUNT(*) FROM imports").fetchone()


def test_a_folder_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(LedgerUsage, match="its folder is not there"):
        Ledger.open(tmp_path / "none" / "ledger.sqlite", write=True)


@contextmanager
def failing(ledger: Ledger) -> Iterator[None]:
    with ledger.transaction():
        yield
        raise sqlite3.OperationalError


def test_a_transaction_that_fails_leaves_nothing(path):
    with Ledger.open(path, write=True) as ledger:
        with pytest.raises(LedgerError), failing(ledger):
            ledger.connection.execute(IMPORT)
        assert not ledger.connection.in_transaction
    assert imports(path) == 0


@pytest.mark.fault("importers-at-once")
def test_a_snapshot_sees_one_state_while_another_writes(path):
    with Ledger.open(path, write=True) as writer, Ledger.open(path) as reader:
        with reader.snapshot():
            assert reader.connection.execute("SELECT COUNT(*) FROM imports").fetchone() == (0,)
            with writer.transaction():
                writer.connection.execute(IMPORT)
            assert reader.connection.execute("SELECT COUNT(*) FROM imports").fetchone() == (0,)
        assert reader.connection.execute("SELECT COUNT(*) FROM imports").fetchone() == (1,)


def test_a_second_writer_waits_for_the_first(path):
    first = Ledger.open(path, write=True)
    done = []

    def second() -> None:
        with Ledger.open(path, write=True) as ledger, ledger.transaction():
            done.append(ledger.connection.execute("SELECT COUNT(*) FROM imports").fetchone()[0])

    with first.transaction():
        first.connection.execute(IMPORT)
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(0.3)
        assert done == []
    thread.join(10)
    first.close()
    assert done == [1]


@pytest.mark.fault("importers-at-once")
def test_a_writer_that_waits_in_vain_is_one_line(path, monkeypatch):
    with Ledger.open(path, write=True) as first, first.transaction():
        monkeypatch.setattr(store, "BUSY_SECONDS", 0.1)
        with (
            Ledger.open(path, write=True) as second,
            pytest.raises(LedgerError) as raised,
            second.transaction(),
        ):
            raise AssertionError("not reached")
    assert "another program has been writing to it" in str(raised.value)


MAKERS = """
import sys
from pathlib import Path
from gputally.site.ledger.store import Ledger
with Ledger.open(Path(sys.argv[1]), write=True) as ledger, ledger.transaction():
    ledger.connection.execute(sys.argv[2])
"""


@pytest.mark.fault("importers-at-once")
def test_many_processes_that_create_it_at_once_make_one(path):
    started = [subprocess.Popen([sys.executable, "-c", MAKERS, path, IMPORT]) for _ in range(6)]
    assert [process.wait(60) for process in started] == [0] * 6
    assert imports(path) == 6


READER = """
import os, sys
from pathlib import Path
from gputally.site.ledger.store import Ledger
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
with Ledger.open(Path(sys.argv[1])) as ledger:
    assert ledger.connection.execute("SELECT * FROM imports").fetchall() == []
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
@pytest.mark.parametrize("meanwhile", ["", "ledger.sqlite-wal"])
def test_somebody_who_may_only_read_reads_it(meanwhile):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.sqlite"
        path.parent.chmod(0o755)
        writer = Ledger.open(path, write=True)
        if not meanwhile:
            writer.close()
        assert (path.parent / "ledger.sqlite-wal").exists() == bool(meanwhile)
        done = subprocess.run(
            [sys.executable, "-c", READER, path], capture_output=True, text=True, check=False
        )
        writer.close()
    assert (done.returncode, done.stderr) == (0, "")


OUTSIDER = """
import os, sys
from datetime import date
from pathlib import Path
from gputally.cli.sitebudgets import LedgerReader
from gputally.site.ledger import bills
from gputally.site.ledger.store import Ledger, LedgerError
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
path = Path(sys.argv[1])
for write in (False, True):
    try:
        Ledger.open(path, write=write)
    except LedgerError as error:
        print(error)
reader = LedgerReader(path)
print(reader.look(date(2026, 1, 1), ()), reader.is_up)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_who_may_not_look_into_its_folder_is_told_in_a_line(path):
    Ledger.open(path, write=True).close()
    path.parent.chmod(0o700)
    done = subprocess.run([sys.executable, "-c", OUTSIDER, path], capture_output=True, text=True, check=False)
    said = [f"{path}: Permission denied", f"{path.parent}: Permission denied", "() False"]
    assert done.stdout.splitlines() == said, done.stderr


def test_who_reads_an_unguarded_file_is_told_that_it_was_written_meanwhile(path):
    Ledger.open(path, write=True).close()
    reader = Ledger(path, store._opened(path, "ro&immutable=1"), fingerprint(path))
    with Ledger.open(path, write=True) as writer, writer.transaction():
        writer.connection.execute(IMPORT)
    with pytest.raises(LedgerError, match="while it was read"), reader:
        pass


def charge(ledger: Ledger, day: str, team: str, *figures: int | None):
    ledger.connection.execute(
        "INSERT INTO charges VALUES (1, ?, 'h100-sxm5-80gb', ?, ?, 'USD', ?, ?, ?, 1, '')",
        (day, team, f"usage{figures}", *figures),
    )


def test_charges_are_read_by_day_and_team_exactly(path):
    with Ledger.open(path, write=True) as ledger, ledger.transaction():
        ledger.connection.execute(IMPORT)
        ledger.connection.execute("INSERT INTO bills VALUES (1, 'plain', 'aws', '', '', '', '', '', 1)")
        charge(ledger, "2026-11-02", "nlp", 10**9, 999_999_999, 3 * 10**9)
        charge(ledger, "2026-11-02", "nlp", -1, 1, 10**9)
        charge(ledger, "2026-11-01", "vision", 5, 0, None)
        charge(ledger, "2026-12-01", "vision", 7, 0, None)
    with Ledger.open(path) as ledger:
        found = list(charges(ledger, date(2026, 11, 1), date(2026, 12, 1)))
        assert [(one.day.day, one.team, one.amount, one.gpu_hours) for one in found] == [
            (1, "vision", Decimal("5E-9"), None),
            (2, "nlp", Decimal(1), Decimal(4)),
        ]
        assert list(charges(ledger, date(2026, 11, 1), date(2026, 12, 1), ["nlp", "none"])) == found[1:]
        assert list(charges(ledger, date(2026, 11, 3), date(2026, 11, 4))) == []
