"""Two importers at once, a full disk, a kill in the middle: real processes, a ledger that stays whole."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest

from tests.bills.making import Books, focus
from tests.cli.command import PROGRAM, environment, gputally

DAYS, TEAMS = 30, 40
ROWS = 1200


def bill(cost: str, account: str = "111122223333") -> str:
    """One sum for each of many days and teams."""
    return focus(
        *(
            {
                "EffectiveCost": cost,
                "BillingAccountId": account,
                "ChargePeriodStart": f"2026-11-{1 + n % DAYS:02}T00:00:00Z",
                "Tags": f'{{"team": "t{n // DAYS}"}}',
            }
            for n in range(DAYS * TEAMS)
        )
    )


def start(folder: Path, *files: str, **more) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [PROGRAM, "bills", "import", "--ledger=ledger.sqlite", *files],
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **more,
    )


def whole(books: Books) -> None:
    """What SQLite and our own sums say of it."""
    assert books.rows("PRAGMA integrity_check") == [("ok",)]
    assert books.rows("PRAGMA foreign_key_check") == []
    assert books.rows(
        "SELECT COUNT(*) FROM day_sums d WHERE d.nano * 1000000000 + d.atto <> "
        "(SELECT COALESCE(SUM(c.nano * 1000000000 + c.atto), 0) FROM charges c JOIN bills b ON b.id = c.bill_id "  # noqa: E501
        "WHERE b.provider = d.provider AND c.day = d.day AND c.gpu_type = d.gpu_type AND c.team = d.team "
        "AND c.currency = d.currency)"
    ) == [(0,)]


@pytest.mark.fault("importers-at-once")
def test_importers_at_once_wait_for_each_other_and_count_once(books):
    for number in range(4):
        books.file(bill("0.001", f"account{number % 2}"), f"bill{number}.csv")
    running = [start(books.folder, f"bill{number}.csv") for number in range(4)]
    for process in running:
        out, err = process.communicate(timeout=120)
        assert (process.returncode, err) == (0, b""), out
    assert books.rows("SELECT COUNT(*), SUM(nano) FROM charges") == [(2 * ROWS, 2 * ROWS * 1_000_000)]
    assert sorted(
        books.rows("SELECT result, SUM(rows) FROM import_counts WHERE rows > 0 GROUP BY result")
    ) == [
        ("inserted", 2 * ROWS),
        ("unchanged", 2 * ROWS),
    ]
    # Of two accounts, one after the other.
    assert books.rows("SELECT DISTINCT revision FROM day_sums") == [(1,)]
    whole(books)


@pytest.mark.fault("importer-killed")
def test_an_importer_that_is_killed_anywhere_leaves_the_old_ledger_or_the_new_one(books):
    books.file(bill("0.001"), "old.csv")
    books.file(bill("0.002"), "new.csv")
    assert gputally("bills", "import", "--ledger=ledger.sqlite", "old.csv", folder=books.folder).status == 0
    seen = set()
    began = time.monotonic()
    process = start(books.folder, "new.csv", "--dry-run")
    process.communicate(timeout=120)
    takes = time.monotonic() - began
    for step in range(12):
        process = start(books.folder, "new.csv")
        time.sleep(takes * (0.4 + step / 16))
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        whole(books)
        (total,) = books.rows("SELECT SUM(nano) FROM charges")[0]
        assert total in (ROWS * 1_000_000, ROWS * 2_000_000)
        seen.add((process.returncode, total))
        if total == ROWS * 2_000_000:
            back = gputally(
                "bills", "import", "--again", "--ledger=ledger.sqlite", "old.csv", folder=books.folder
            )
            assert back.status == 0, back
    assert (-signal.SIGKILL, ROWS * 1_000_000) in seen
    answer = gputally("bills", "import", "--again", "--ledger=ledger.sqlite", "new.csv", folder=books.folder)
    assert answer.status == 0, answer
    assert books.rows("SELECT COUNT(*), SUM(nano) FROM charges") == [(ROWS, ROWS * 2_000_000)]
    whole(books)


@pytest.mark.fault("importer-killed")
def test_a_kill_between_the_first_change_and_the_commit_leaves_the_old_ledger(books):
    """The process is stopped while its transaction is open, by a lock that it waits for, and killed there."""
    books.file(bill("0.001"), "old.csv")
    books.file(bill("0.002"), "new.csv")
    assert gputally("bills", "import", "--ledger=ledger.sqlite", "old.csv", folder=books.folder).status == 0
    script = (
        "import os, signal\n"
        "from gputally.site.ledger import importing\n"
        "importing.record_counts = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "from gputally.cli import main\n"
        "main(['bills', 'import', '--ledger=ledger.sqlite', 'new.csv'])\n"
    )
    done = subprocess.run(
        [Path(PROGRAM).with_name("python"), "-c", script], cwd=books.folder, env=environment(), check=False
    )
    assert done.returncode == -signal.SIGKILL
    assert books.rows("SELECT COUNT(*), SUM(nano) FROM charges") == [(ROWS, ROWS * 1_000_000)]
    assert books.rows("SELECT COUNT(*) FROM imports") == [(1,)]
    whole(books)


def mounted(folder: Path) -> bool:
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=240k", "tmpfs", folder], capture_output=True, check=False
    )
    return done.returncode == 0


@pytest.mark.fault("ledger-disk")
@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("mount"), reason="only root can mount")
def test_a_full_disk_is_one_line_and_leaves_the_old_ledger(tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    if not mounted(small):
        pytest.skip("this container may not mount")
    try:
        full_disk(Books(tmp_path), small)
    finally:
        subprocess.run(["umount", small], check=True)


def full_disk(books: Books, small: Path) -> None:
    books.file(focus({}), "old.csv")
    books.file(bill("0.002", "another"), "new.csv")
    ledger = f"--ledger={small / 'ledger.sqlite'}"
    assert gputally("bills", "import", ledger, "old.csv", folder=books.folder).status == 0
    books.path = small / "ledger.sqlite"
    before = books.dump()
    answer = gputally("bills", "import", ledger, "new.csv", folder=books.folder)
    assert answer.status == 1
    assert answer.err == (
        f"gputally: error: {small / 'ledger.sqlite'}: database or disk is full; nothing of it was written\n"
    )
    assert books.dump() == before
    whole(books)
    subprocess.run(["mount", "-o", "remount,size=20m", small], check=True)
    assert gputally("bills", "import", ledger, "new.csv", folder=books.folder).status == 0
    assert books.rows("SELECT COUNT(*) FROM charges") == [(ROWS + 1,)]


def limited() -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (120_000, 120_000))


@pytest.mark.fault("ledger-disk")
def test_a_file_that_may_not_grow_is_one_line_and_leaves_the_old_ledger(books):
    books.take(focus({}))
    before = books.dump()
    books.file(bill("0.002", "another"), "new.csv")
    process = start(books.folder, "new.csv", preexec_fn=limited)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, b"")
    assert err.decode().count("\n") == 1
    assert "ledger.sqlite: " in err.decode()
    assert err.decode().endswith("nothing of it was written\n")
    assert books.dump() == before
    whole(books)


@pytest.mark.fault("importers-at-once")
def test_a_writer_that_holds_the_ledger_is_waited_for(books):
    books.take(focus({}))
    books.file(bill("0.002", "another"), "new.csv")
    holder = sqlite3.connect(books.path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    process = start(books.folder, "new.csv")
    with pytest.raises(subprocess.TimeoutExpired):
        process.communicate(timeout=2)
    holder.execute("ROLLBACK")
    holder.close()
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, b"")
    assert books.rows("SELECT COUNT(*) FROM charges") == [(ROWS + 1,)]
