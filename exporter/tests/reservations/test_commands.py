"""`gputally reservations` as people meet it: at once, in the way of each other, and killed in the middle."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gputally.cli import bookedit
from gputally.config.reservations import read_reservations
from tests.cli.command import PROGRAM, environment, gputally
from tests.reservations.booking import at, file, row

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = datetime.now(UTC).replace(microsecond=0)
YEAR = NOW.year + 1
HEAD = "# ours\ninventory: {gpu01: 2, gpu02: [GPU-a, GPU-b]}\nprice: {per_gpu_hour: 1.5, currency: EUR}\n"
TIMES = f"start: {YEAR}-01-01T08:00Z, end: {YEAR}-01-01T12:00Z"
BOOKED = f"{HEAD}reservations:\n- {{id: a, team: vision, host: gpu01, gpus: [0], {TIMES}}}\n"
# Holds the lock of a command until a line comes.
HOLD = """
import fcntl, sys
file = open(sys.argv[1], "r+")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
input()
"""


@pytest.fixture
def books(tmp_path: Path) -> Path:
    path = tmp_path / "reservations.yml"
    path.write_text(BOOKED)
    return path


def names(folder):
    return [entry.name for entry in folder.iterdir()]


def run(folder, *arguments, **more):
    return gputally("reservations", *arguments, folder=folder, **more)


def adding(name, *more, host="gpu01", start=f"{YEAR}-01-02T08:00Z", team="nlp"):
    which = more or ("--gpus", "1")
    return ("add", name, "--team", team, "--host", host, "--start", start, "--for", "2h", *which)


def test_a_booking_from_its_start_to_its_end(books):
    folder = books.parent
    made = run(folder, *adding("b", "--gpus", "0,1", "--user", "bob", "--note", "paper: #2"))
    assert (made.status, made.err) == (0, "")
    assert made.out == (
        f"booked b: GPUs 0, 1 of gpu01 for nlp from {YEAR}-01-02T08:00:00Z to {YEAR}-01-02T10:00:00Z, "
        "4.00 GPU hours, 6.00 EUR\n"
    )
    later = run(folder, "extend", "b", "--until", f"{YEAR}-01-02T13:00+01:00")
    assert later.out.startswith("extended b:"), later
    gone = run(folder, "cancel", "b")
    assert gone.out.startswith("cancelled b:"), gone
    added = books.read_text().removeprefix(BOOKED)
    assert re.fullmatch(
        rf'- id: b\n  team: nlp\n  users: \[bob\]\n  host: gpu01\n  gpus: \[0, 1\]\n'
        rf'  start: {YEAR}-01-02T08:00:00Z\n  end: {YEAR}-01-02T12:00:00Z\n'
        rf'  note: "paper: #2"\n  cancelled: {NOW.year}-\S+Z\n',
        added,
    ), added  # fmt: skip
    assert names(folder) == [books.name]


@pytest.mark.fault("bookings-clash")
@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (
            adding("b", "--gpus", "0", start=f"{YEAR}-01-01T11:00Z"),
            1,
            f"b and a (line 5) both want GPU 0 of gpu01 from {YEAR}-01-01T11:00:00Z to {YEAR}-01-01T12",
        ),
        (
            adding("b", "--count", "2", start=f"{YEAR}-01-01T11:00Z"),
            1,
            "both want 3 GPUs together of gpu01, which has 2,",
        ),
        (adding("b", start="2020-01-01T00:00Z"), 1, "b would begin in the past, at 2020-01-01T00:00:00Z"),
        (adding("a", start=f"{YEAR}-03-01T00:00Z"), 2, "a is there twice, first at line 5"),
        (adding("b", host="gpu03"), 2, "gpu03 is not in the inventory"),
        (adding("b", "--gpus", "2"), 2, "gpu01 has no GPU 2 by the inventory, which has 2"),
        (
            adding("b", start=f"{YEAR}-01-02T08:00"),
            2,
            "without an offset from UTC it is another time on every clock",
        ),
        (adding("b", start="tomorrow"), 2, "'tomorrow': expected a time such as 2026-11-20T09:00:00+01:00"),
        (
            ("add", "b", "--team", "t", "--host", "gpu01", "--start", "now", "--count", "1"),
            2,
            "either --end or --for",
        ),
        (
            ("add", "b", "--team", "t", "--host", "gpu01", "--start", "now", "--for", "1h"),
            2,
            "either --gpus or --count",
        ),
        (("extend", "a"), 2, "either --until or --by"),
        (("extend", "a", "--until", f"{YEAR}-01-01T09:00Z"), 1, "ends at"),
        (("extend", "b", "--by", "1h"), 1, "no reservation is called b"),
        (("cancel", "b"), 1, "no reservation is called b"),
        (("free", "--for", "1h", "--host", "gpu09"), 2, "--host gpu09: none of gpu01, gpu02"),
        (("list", "--timezone", "Mars"), 2, "--timezone Mars: no such time zone"),
        (("check", "none.yml"), 2, "none.yml: cannot be read: No such file or directory"),
        (("cancel", "a", "--file", "none.yml"), 1, "none.yml: No such file or directory"),
    ],
)
def test_what_is_refused_is_told_in_a_line_and_leaves_the_file_as_it_was(books, arguments, status, message):
    before = books.stat()
    answer = run(books.parent, *arguments)
    assert (answer.status, answer.out) == (status, ""), answer
    assert answer.err.count("\n") == 1, answer.err
    assert answer.err.startswith("gputally: error: ")
    assert message in answer.err
    after = books.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert names(books.parent) == [books.name]


def test_check_tells_of_every_conflict_and_says_what_is_good(books):
    good = run(books.parent, "check")
    assert (good.status, good.out) == (0, "reservations.yml: 1 reservation: 1 pending\n")
    bad = books.with_name("bad.yml")
    bad.write_text(file(row("a", 0, 2), row("b", 1, 3), row("c", 2.5, 4)))
    answer = run(books.parent, "check", "bad.yml")
    assert answer.status == 2
    head = "gputally: error: bad.yml: "
    assert answer.err.splitlines() == [
        f"{head}b (line 3) and a (line 2) both want GPU 0 of gpu01 from {at(1)} to {at(2)}",
        f"{head}c (line 4) and b (line 3) both want GPU 0 of gpu01 from {at(2.5)} to {at(3)}",
    ]
    far = books.with_name("far.yml")
    far.write_text(BOOKED.replace(str(YEAR), "2199") + "policy: {horizon: 60d}\n")
    answer = run(books.parent, "check", "far.yml")
    assert (answer.status, answer.err) == (
        2,
        "gputally: error: far.yml: a (line 5) begins more than 60d ahead, the policy's horizon\n",
    )


def test_lists_and_free_slots_for_people_and_for_programs(books):
    env = {"GPUTALLY_RESERVATIONS_FILE": str(books), "GPUTALLY_TIMEZONE": "Europe/Berlin"}
    table = run(Path("/"), "list", env=env).out.splitlines()
    assert table[0] == "reservations: 1 of 1, times in Europe/Berlin"
    assert table[2].split() == [
        *("ID", "STATE", "TEAM", "HOST", "GPUS", "START", "END", "GPU-H", "SO", "FAR", "COST", "NOTE")
    ]
    assert (
        table[3].split()
        == f"a pending vision gpu01 0 {YEAR}-01-01 09:00 {YEAR}-01-01 13:00 4.00 0.00 6.00 EUR -".split()
    )
    found = json.loads(run(Path("/"), "list", "--format", "json", "--state", "active", env=env).out)
    assert (found["rows"], found["notes"]) == ([], ["Not among these: 1 (--state all, --team, --host)."])
    csv = run(Path("/"), "list", "--format", "csv", env=env).out.splitlines()
    times = f"{YEAR}-01-01T09:00:00+01:00,{YEAR}-01-01T13:00:00+01:00"
    assert csv[1] == f"a,pending,vision,gpu01,0,{times},4.000000,0.000000,6.000000,EUR,,"
    slots = json.loads(run(Path("/"), "free", "--gpus", "2", "--for", "8h", "--format", "json", env=env).out)
    assert [(slot["host"], slot["gpus"]) for slot in slots["rows"]] == [
        ("gpu01", "0,1"),
        ("gpu02", "0,1"),
        ("gpu01", "0,1"),
    ]
    assert [slot["free_until"] for slot in slots["rows"]] == [f"{YEAR}-01-01T09:00:00+01:00", None, None]
    books.write_text("reservations: []\n")
    answer = run(books.parent, "free", "--for", "8h")
    assert (answer.status, "it has no inventory" in answer.err) == (2, True)


@pytest.mark.fault("bookings-at-once")
def test_two_people_at_once_cannot_book_the_same_gpu(books):
    """Twelve real processes, four for each of three slots: three are booked, and the file is whole."""
    wanted = [(f"p{n}", f"{YEAR}-02-0{1 + n % 3}T08:00Z") for n in range(12)]
    running = [
        subprocess.Popen(
            [PROGRAM, "reservations", *adding(name, "--gpus", "1", start=start)],
            cwd=books.parent,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name, start in wanted
    ]
    answers = [(one.communicate(timeout=120), one.returncode) for one in running]
    won = [answer for answer in answers if answer[1] == 0]
    lost = [answer for answer in answers if answer[1] == 1]
    assert (len(won), len(lost)) == (3, 9), answers
    assert all("both want GPU 1 of gpu01" in err for (_out, err), _ in lost)
    assert books.read_text().startswith(BOOKED)
    assert len({one.start_ns for one in read_reservations(books).reservations}) == 4
    assert names(books.parent) == [books.name]


@pytest.mark.fault("bookings-at-once")
def test_who_waits_for_another_finds_what_that_one_has_booked(books):
    with held(books) as holder:
        waiting = subprocess.Popen(
            [PROGRAM, "reservations", *adding("b", "--gpus", "0", start=f"{YEAR}-01-01T08:00Z")],
            cwd=books.parent,
            env=environment(),
            stderr=subprocess.PIPE,
            text=True,
        )
        time.sleep(1.0)
        assert waiting.poll() is None
        new = books.with_name("new")
        new.write_text(BOOKED.replace("id: a,", "id: other,"))
        new.replace(books)
        holder.communicate("\n", timeout=10)
    assert "other (line 5) and b both want GPU 0" in waiting.communicate(timeout=30)[1]


def held(path):
    """Another process that holds the lock until it is told to let go."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    return holder


@pytest.mark.fault("bookings-at-once")
def test_who_holds_the_lock_for_ever_is_told_of(books):
    with books.open("r+") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(Exception, match="somebody else is changing it and does not come to an end"):
            bookedit.change(books, lambda data: data, patience_seconds=0.2)


# Stops the command, for its own test, at the one place that the parent names.
STOPPING = """
import os, signal, sys
from gputally.cli import bookedit, main
real = getattr(os, sys.argv[1])
def stop(*arguments, **more):
    os.kill(os.getpid(), signal.SIGSTOP)
    return real(*arguments, **more)
setattr(os, sys.argv[1], stop)
main(sys.argv[2:])
"""


@pytest.mark.fault("booking-killed")
@pytest.mark.parametrize("place", ["fsync", "fchmod", "replace"])
def test_a_kill_in_the_middle_leaves_the_old_file_and_the_next_one_goes_on(books, place):
    victim = subprocess.Popen(
        [sys.executable, "-c", STOPPING, place, "reservations", *adding("b")],
        cwd=books.parent,
        env=environment(),
    )
    pid, status = os.waitpid(victim.pid, os.WUNTRACED)
    assert (pid, os.WIFSTOPPED(status)) == (victim.pid, True)
    assert ".reservations.yml.new" in names(books.parent)
    victim.kill()
    victim.wait()
    assert books.read_text() == BOOKED
    assert run(books.parent, *adding("c")).status == 0
    assert [one.id for one in read_reservations(books).reservations] == ["a", "c"]
    assert names(books.parent) == [books.name]


@pytest.mark.fault("booking-killed")
def test_a_kill_at_any_time_leaves_a_whole_file(books):
    for number in range(8):
        one = subprocess.Popen(
            [PROGRAM, "reservations", *adding(f"k{number}", start=f"{YEAR}-03-{10 + number}T08:00Z")],
            cwd=books.parent,
            env=environment(),
            stdout=subprocess.DEVNULL,
        )
        time.sleep(0.12 + 0.03 * number)
        one.send_signal(signal.SIGKILL)
        one.wait()
        ids = [found.id for found in read_reservations(books).reservations]
        assert ids == sorted(ids)
    assert run(books.parent, *adding("z")).status == 0
    assert names(books.parent) == [books.name]


@pytest.mark.fault("booking-killed")
def test_a_disk_that_is_full_leaves_the_old_file_and_nothing_beside(books):
    limit = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (400, 400)); "
    program = limit + "from gputally.cli import main; main(sys.argv[1:])"
    books.write_text(BOOKED + f"# {'x' * 400}\n")
    before = books.read_text()
    argv = [sys.executable, "-c", program, "reservations", *adding("b")]
    done = subprocess.run(
        argv, cwd=books.parent, env=environment(), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (1, "gputally: error: reservations.yml: File too large\n")
    assert (books.read_text(), names(books.parent)) == (before, [books.name])


@pytest.mark.fault("bookings-at-once")
def test_what_an_editor_saves_meanwhile_is_not_lost(books):
    def edit(data: bytes) -> bytes:
        books.write_text(BOOKED + "# by hand\n")
        return data + b"# by us\n"

    with pytest.raises(Exception, match="changed meanwhile by somebody else, try again"):
        bookedit.change(books, edit)
    assert books.read_text() == BOOKED + "# by hand\n"
    assert names(books.parent) == [books.name]


def test_owner_mode_and_link_stay(books, tmp_path):
    link = tmp_path / "elsewhere" / "link.yml"
    link.parent.mkdir()
    link.symlink_to(books)
    books.chmod(0o664)
    is_root = os.geteuid() == 0
    if is_root:
        os.chown(books, 12345, 23456)
    assert run(link.parent, *adding("b"), "--file", str(link)).status == 0
    found = books.stat()
    assert found.st_mode & 0o7777 == 0o664
    assert link.is_symlink()
    assert "id: b" in books.read_text()
    if is_root:
        assert (found.st_uid, found.st_gid) == (12345, 23456)


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that others may enter, which those of a test run are not."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o775)
        yield folder


@pytest.mark.skipif(os.geteuid() != 0, reason="takes root to be two people")
def test_another_member_of_the_group_may_book_and_is_told_that_the_owner_has_changed(shared):
    there = shared / "reservations.yml"
    there.write_text(BOOKED)
    there.chmod(0o664)
    for path in (shared, there):
        os.chown(path, 12345, 23456)
    note = _as(12346, 23456, lambda: bookedit.change(there, lambda data: data + b"# two\n"))
    found = there.stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (12346, 23456, 0o664)
    assert note.endswith("only root could have kept its owner, 12345")
    there.chmod(0o644)
    with pytest.raises(Exception, match="Permission denied"):
        _as(12347, 23456, lambda: bookedit.change(there, lambda data: data + b"# three\n"))
    assert there.read_text() == BOOKED + "# two\n"


def _as(uid, gid, act):
    """As another person, whose only group is this one."""
    groups = os.getgroups()
    os.setegid(gid)
    os.setgroups([gid])
    os.seteuid(uid)
    try:
        return act()
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)
