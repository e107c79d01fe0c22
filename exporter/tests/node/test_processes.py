"""Processes are named from /proc: quickly, safely, and never by somebody else's name."""

import contextlib
import logging
import os
import pwd
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gputally.model import Instant, ProcessReading
from gputally.node.identity.owners import OwnerNames
from gputally.node.labels import label_text
from gputally.node.processes import ProcessTable, read_identity

SECOND = 1_000_000_000
ME = pwd.getpwuid(os.getuid()).pw_name
CANARY = "SECRET_CANARY=do-not-show-me"
MOUNT = "22 27 0:21 / {root} rw,nosuid - proc proc rw{options}\n"


def at(seconds: float) -> Instant:
    return Instant(int(seconds * SECOND), 1_700_000_000 * SECOND)


def reading(pid: int, memory_bytes: int | None = 1, **more: float) -> ProcessReading:
    return ProcessReading(pid, memory_bytes=memory_bytes, **more)  # type: ignore[arg-type]  # sm_ratio


def stat_line(pid: int, name: bytes, start_ticks: int = 100) -> bytes:
    return b"%d (%s) S 1 %s %d 0 0\n" % (pid, name, b"0 " * 17, start_ticks)


def table_of(*args: Any, **options: Any) -> ProcessTable:
    """A table that takes none of the PIDs made up below for its own process's."""
    table = ProcessTable(*args, **options)
    table._own_pid = -1
    return table


class Proc:
    """A /proc of our own making, on a host unless said otherwise."""

    def __init__(self, root: Path, *, host: bool = True, options: str = "") -> None:
        self.root = root
        self.add(999_999, b"pytest")
        (root / "self").symlink_to("999999")
        (root / "self/mountinfo").write_text(MOUNT.format(root=root, options=options))
        if host:
            self.add(2, b"kthreadd")

    def add(self, pid: int, name: bytes, start_ticks: int = 100) -> None:
        folder = self.root / str(pid)
        folder.mkdir(exist_ok=True)
        (folder / "stat").write_bytes(stat_line(pid, name, start_ticks))
        (folder / "comm").write_bytes(name + b"\n")
        (folder / "cmdline").write_text(f"train\0--token\0{CANARY}\0")
        (folder / "environ").write_text(f"{CANARY}\0")

    def remove(self, pid: int) -> None:
        for file in (self.root / str(pid)).iterdir():
            file.unlink()
        (self.root / str(pid)).rmdir()


@pytest.fixture
def proc(tmp_path: Path) -> Proc:
    return Proc(tmp_path)


@contextlib.contextmanager
def child_named(name: bytes) -> Iterator[int]:
    code = (
        "import ctypes, sys\n"
        f"ctypes.CDLL(None).prctl(15, {name!r})\n"  # PR_SET_NAME
        "print(flush=True)\n"
        "sys.stdin.read()\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", code, CANARY],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"SECRET": CANARY},
    )
    with child:
        assert child.stdout is not None
        child.stdout.readline()
        yield child.pid
        child.communicate(timeout=10)


def test_a_process_has_its_name_owner_memory_and_share(proc: Proc) -> None:
    proc.add(4711, b"python3")
    table = table_of(proc.root)
    (row,), count, capped = table.rows((reading(4711, 5 << 30, sm_ratio=0.25),), at(1))
    assert (row.pid, row.name, row.user, row.job_id) == ("4711", "python3", ME, "")
    assert (row.memory_bytes, row.sm_ratio) == (5 << 30, 0.25)
    assert (count, capped) == (1, 0)
    identity = table.identity(4711)
    assert identity is not None
    assert identity.start_ticks == 100


@pytest.mark.fault("hostile-names")
def test_a_real_process_with_a_hostile_name_is_read_right() -> None:
    """The kernel writes names raw, so `) R 1 (` and newlines stand in the middle of the line."""
    with child_named(b"a) R 1 (\n\xff\x1b b") as pid:
        found = read_identity("/proc", pid)
        table = table_of()
        (row,), _, _ = table.rows((reading(pid),), at(1))
    assert not isinstance(found, str)
    assert row.name == found.name == "a) R 1 (_\ufffd_ b"
    assert row.user == ME
    uptime_ticks = float(Path("/proc/uptime").read_text().split()[0]) * os.sysconf("SC_CLK_TCK")
    assert 0 < uptime_ticks - found.start_ticks < 60 * os.sysconf("SC_CLK_TCK")


_opened: list[str] = []
_watching = threading.Event()


def _watch(event: str, details: tuple[object, ...]) -> None:
    if event == "open" and _watching.is_set():
        _opened.append(str(details[0]))


sys.addaudithook(_watch)


@pytest.mark.parametrize("moment", ["before its folder is looked at", "before its line is read"])
def test_a_process_that_dies_while_it_is_read_is_dropped(
    monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Its folder, once open, leads nowhere then; the PID's next owner is not looked at."""
    real = os.fstat

    def die(descriptor: int) -> os.stat_result:
        found = real(descriptor) if moment == "before its line is read" else None
        child.kill()
        child.wait()
        return found or real(descriptor)

    with subprocess.Popen(["sleep", "60"]) as child:
        monkeypatch.setattr(os, "fstat", die)
        found = read_identity("/proc", child.pid)
        monkeypatch.undo()
    assert found == "unresolved"


def test_command_line_and_environment_are_never_opened_nor_shown(
    proc: Proc, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    proc.add(50, b"python")
    _opened.clear()
    with child_named(b"python") as pid:
        _watching.set()
        shown: list[object] = []
        for table, pids in ((table_of(), (pid, 4_000_001)), (table_of(proc.root), (50, 51, 52))):
            readings = [reading(p) for p in pids]
            shown += [table.rows(readings, at(second)) for second in (1, 2, 20)]
            shown.append((table.dropped, table.reason, table.identity(pid)))
        _watching.clear()
    assert any(path.endswith("stat") for path in _opened)
    assert not [path for path in _opened if path.endswith(("cmdline", "environ"))]
    assert "CANARY" not in repr(shown) + caplog.text


def test_a_process_in_two_lists_is_one_row_with_the_larger_memory(proc: Proc) -> None:
    proc.add(7, b"Xorg")
    table = table_of(proc.root)
    both = (
        ProcessReading(7, "compute", 300, sm_ratio=None),
        ProcessReading(7, "graphics", 500, sm_ratio=0.5),
        ProcessReading(7, "compute", None, sm_ratio=0.25),
    )
    rows, count, _ = table.rows(both, at(1))
    assert [(row.memory_bytes, row.sm_ratio) for row in rows] == [(500, 0.5)]
    assert count == 1


def test_beyond_the_cap_the_smallest_are_summed_as_other(proc: Proc) -> None:
    for pid in range(100, 110):
        proc.add(pid, b"w%d" % pid)
    table = table_of(proc.root, cap=3)
    rows, count, capped = table.rows([reading(pid, pid, sm_ratio=0.125) for pid in range(100, 110)], at(1))
    assert [row.pid for row in rows] == ["109", "108", "107", "other"]
    assert (rows[-1].name, rows[-1].user) == ("other", "other")
    assert rows[-1].memory_bytes == sum(range(100, 107))
    assert rows[-1].sm_ratio == pytest.approx(7 * 0.125)
    assert (count, capped) == (10, 7)


def test_other_has_no_figure_where_none_of_its_processes_has_one(proc: Proc) -> None:
    for pid in (100, 101):
        proc.add(pid, b"w")
    rows, _, _ = table_of(proc.root, cap=1).rows([reading(100, 5), reading(101, None)], at(1))
    assert (rows[-1].pid, rows[-1].memory_bytes, rows[-1].sm_ratio) == ("other", None, None)


@pytest.mark.parametrize("pid", [0, -1, 2**32 - 1, 2**22 + 1])
def test_pids_that_cannot_be_are_ignored(proc: Proc, pid: int) -> None:
    proc.add(10, b"real")
    table = table_of(proc.root)
    rows, count, _ = table.rows((reading(pid), reading(10)), at(1))
    assert ([row.pid for row in rows], count) == (["10"], 1)
    assert table.dropped == {"invalid": 1}


def test_our_own_pid_is_ignored() -> None:
    table = ProcessTable()
    assert table.rows((reading(os.getpid()),), at(1)) == ((), 0, 0)
    assert table.dropped == {"invalid": 1}


def test_a_dead_pid_is_dropped_and_counted_and_the_others_stay(proc: Proc) -> None:
    proc.add(10, b"real")
    table = table_of(proc.root)
    rows, count, _ = table.rows((reading(10), reading(11)), at(1))
    assert ([row.pid for row in rows], count) == (["10"], 2)
    table.rows((reading(10),), at(2))
    assert table.dropped == {"unresolved": 1}
    assert table.reason == ""


@pytest.mark.parametrize("line", [b"", b"10", b"10 (x", b"10 (x) S 1 2", b"10 (x) S" + b" q" * 50])
def test_a_line_that_makes_no_sense_drops_that_process_alone(proc: Proc, line: bytes) -> None:
    proc.add(10, b"odd")
    proc.add(11, b"fine")
    (proc.root / "10/stat").write_bytes(line)
    table = table_of(proc.root)
    rows, _, _ = table.rows((reading(10), reading(11)), at(1))
    assert [row.name for row in rows] == ["fine"]
    assert table.dropped == {"unreadable": 1}


@given(st.binary(max_size=63))
def test_any_name_leaves_the_start_time_readable(
    tmp_path_factory: pytest.TempPathFactory, name: bytes
) -> None:
    root = tmp_path_factory.mktemp("proc")
    (root / "5").mkdir()
    (root / "5/stat").write_bytes(stat_line(5, name, 424_242))
    found = read_identity(str(root), 5)
    assert not isinstance(found, str)
    assert found.start_ticks == 424_242
    assert found.name == label_text(name)


def test_a_reused_pid_gets_its_own_name_within_seconds(proc: Proc) -> None:
    proc.add(10, b"old", start_ticks=100)
    table = table_of(proc.root)
    assert table.rows((reading(10),), at(1))[0][0].name == "old"
    proc.remove(10)
    proc.add(10, b"new", start_ticks=101)
    assert table.rows((reading(10),), at(7))[0][0].name == "new"


def test_a_process_that_renames_itself_keeps_its_first_name(proc: Proc) -> None:
    """Else a process could make a new series every few seconds."""
    proc.add(10, b"first")
    table = table_of(proc.root)
    for second in range(1, 20):
        assert table.rows((reading(10),), at(second))[0][0].name == "first"
        proc.add(10, b"name%d" % second)


def test_a_process_that_ended_is_forgotten_even_if_the_driver_still_lists_it(proc: Proc) -> None:
    proc.add(10, b"gone")
    proc.add(11, b"here")
    table = table_of(proc.root)
    table.rows((reading(10), reading(11)), at(1))
    proc.remove(10)
    rows, count, _ = table.rows((reading(10), reading(11)), at(7))
    assert ([row.name for row in rows], count) == (["here"], 2)


def test_what_left_the_list_does_not_stay_in_memory(proc: Proc) -> None:
    table = table_of(proc.root)
    for pid in range(10, 110):
        proc.add(pid, b"w")
        table.rows((reading(pid),), at(pid))
    assert table.identity(109) is not None
    assert table.identity(10) is None
    assert len(table._entries) < 12


def test_the_processes_of_one_gpu_do_not_push_out_those_of_another(proc: Proc) -> None:
    proc.add(10, b"a")
    proc.add(11, b"b")
    table = table_of(proc.root)
    for second in range(1, 30):
        table.rows((reading(10),), at(second))
        table.rows((reading(11),), at(second))
    assert table.identity(10) is not None
    assert table.identity(11) is not None


def _two_ticks(table: ProcessTable) -> str:
    for second in (1, 2):
        rows, count, _ = table.rows((reading(70_001), reading(70_002)), at(second))
        assert (rows, count) == ((), 2)
    return table.reason


def _hidepid(root: Path) -> ProcessTable:
    return table_of(Proc(root, host=False, options=",hidepid=invisible").root)


def _namespace(root: Path) -> ProcessTable:
    return table_of(Proc(root, host=False).root)


def _garbage(root: Path) -> ProcessTable:
    return table_of(Proc(root, options=",hidepid=0").root)


def _nothing(root: Path) -> ProcessTable:
    return table_of(root / "missing")


@pytest.mark.fault("proc-hidden")
@pytest.mark.parametrize(
    ("build", "reason"),
    [(_hidepid, "hidepid"), (_namespace, "pid_namespace"), (_garbage, "unresolved"), (_nothing, "no_proc")],
)
def test_when_no_process_can_be_named_the_reason_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, build: Callable[[Path], ProcessTable], reason: str
) -> None:
    table = build(tmp_path)
    assert _two_ticks(table) == reason
    for second in range(3, 20):
        table.rows((reading(70_001), reading(70_002)), at(second))
    assert len(caplog.records) == 1
    assert table.dropped["unresolved"] == 38


def test_the_reason_goes_when_processes_can_be_named_again(
    proc: Proc, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    table = table_of(proc.root)
    assert _two_ticks(table) == "unresolved"
    proc.add(70_001, b"back")
    table.rows((reading(70_001),), at(20))
    table.rows((reading(70_001),), at(21))
    assert table.reason == ""
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def test_a_gpu_with_dead_processes_does_not_blame_the_machine(
    proc: Proc, caplog: pytest.LogCaptureFixture
) -> None:
    proc.add(10, b"alive")
    table = table_of(proc.root)
    for second in range(1, 20):
        table.rows((reading(70_001), reading(70_002)), at(second))
        table.rows((reading(10),), at(second))
    assert table.reason == ""
    assert not caplog.records


@pytest.mark.fault("proc-hidden")
def test_namesakes_in_another_pid_namespace_are_not_shown(tmp_path: Path) -> None:
    """In a container the driver may list the host's PIDs; one of them exists here, by chance."""
    proc = Proc(tmp_path, host=False)
    proc.add(300, b"innocent")
    table = table_of(proc.root)
    rows, count, _ = table.rows((reading(300), reading(70_001)), at(1))
    assert (rows, count) == ((), 2)
    assert table.dropped == {"unresolved": 1, "pid_namespace": 1}


def test_a_container_whose_driver_translates_pids_is_named(tmp_path: Path) -> None:
    proc = Proc(tmp_path, host=False)
    proc.add(300, b"python")
    rows, _, _ = table_of(proc.root).rows((reading(300),), at(1))
    assert [row.name for row in rows] == ["python"]


def test_invented_pids_are_named_by_their_source() -> None:
    table = table_of(identify={77: ("trainer\n", "ada"), 78: ("x", "")}.get)
    rows, _, _ = table.rows((reading(77, 9), reading(78), reading(79)), at(1))
    assert [(row.name, row.user) for row in rows] == [("trainer_", "ada"), ("x", "")]


def test_ten_thousand_hostile_processes_cost_little_and_lose_no_memory(proc: Proc) -> None:
    for pid in range(1000, 1100):
        proc.add(pid, os.urandom(15).replace(b"\0", b"x"))
    readings = [reading(pid, pid) for pid in range(1000, 1100)]
    readings += [reading(pid, 1) for pid in range(2000, 12_000)]
    table = table_of(proc.root)
    began = time.process_time()
    rows, count, capped = table.rows(readings, at(1))
    assert time.process_time() - began < 0.5
    assert (len(rows), count, capped) == (65, 10_100, 10_036)
    assert sum(row.memory_bytes or 0 for row in rows) == sum(r.memory_bytes or 0 for r in readings)


def test_a_list_of_nothing_but_garbage_is_searched_only_in_part(proc: Proc) -> None:
    table = table_of(proc.root)
    rows, count, capped = table.rows([reading(pid) for pid in range(20_000, 30_000)], at(1))
    assert (rows, count, capped) == ((), 10_000, 0)
    assert len(table._entries) == 256


def test_thirty_two_processes_are_cheap_once_known() -> None:
    """About 130 us a tick on one core; asserted with room for a loaded machine."""
    table = table_of()
    names = [
        int(p.name) for p in Path("/proc").iterdir() if p.name.isdecimal() and int(p.name) != os.getpid()
    ]
    readings = tuple(reading(pid, pid) for pid in names[:32])
    table.rows(readings, at(1))
    ticks = 50
    began = time.thread_time()
    for second in range(2, 2 + ticks):
        table.rows(readings, at(second))
    assert (time.thread_time() - began) / ticks < 0.001


def test_an_unknown_owner_is_shown_by_number_and_asked_again_later() -> None:
    names: dict[int, str] = {}
    owners = OwnerNames(names.__getitem__)
    assert owners.name(12_345, 0) == "12345"
    names[12_345] = "late"
    assert owners.name(12_345, 500 * SECOND) == "12345"
    assert owners.name(12_345, 601 * SECOND) == "late"


@pytest.mark.fault("directory-hangs")
def test_a_hung_directory_service_holds_up_one_thread_and_no_tick() -> None:
    release = threading.Event()
    calls: list[int] = []

    def lookup(uid: int) -> str:
        calls.append(uid)
        release.wait(30)
        return f"user{uid}"

    owners = OwnerNames(lookup)
    began = time.monotonic()
    names = [owners.name(uid, 0) for uid in range(5000, 5100)]
    assert time.monotonic() - began < 5
    assert names == [str(uid) for uid in range(5000, 5100)]
    assert calls == [5000]
    release.set()
    deadline = time.monotonic() + 10
    while owners.name(5000, 0) != "user5000" and time.monotonic() < deadline:
        time.sleep(0.01)
    assert owners.name(5000, 0) == "user5000"
    assert owners.name(5001, 0) == "user5001"
