"""Real processes on simulated GPUs: who is listed, and that nothing that is counted moves."""

import os
import pwd
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gputally.model import FastReading, Instant, ProcessReading
from gputally.node.processes import ProcessTable
from gputally.node.sources.simulated import SimulatedSource
from gputally.node.sources.simulated.visitors import MEMORY_BYTES, SM_RATIO, Visitors, beside

NS = 1_000_000_000
MONDAY = 1_790_553_600
PID = os.getpid()


def at(second):
    wall_ns = round((MONDAY + second) * NS)
    return Instant(wall_ns - (MONDAY - 5 * 86_400) * NS, wall_ns)


def machine(folder, second=30 * 3600):
    return SimulatedSource(4, 1, lambda: at(second), visitors=folder)


def fast(source, gpu):
    (reading,) = source.readers()[gpu].read(slow=False).values()
    return reading.fast


def pids(source, gpu):
    return [process.pid for process in fast(source, gpu).processes]


def register(folder, pid=PID, text="3\n"):
    (folder / str(pid)).write_text(text)


@pytest.fixture
def stranger():
    """A process that can be ended."""
    process = subprocess.Popen(["sleep", "600"])
    yield process
    process.kill()
    process.wait()


def test_a_process_is_on_its_gpu_while_it_is_registered_and_lives(tmp_path, stranger):
    source = machine(tmp_path)
    assert PID not in pids(source, 3)
    register(tmp_path)
    register(tmp_path, stranger.pid, "0\n")
    assert PID in pids(source, 3)
    assert stranger.pid in pids(source, 0)
    assert all(PID not in pids(source, gpu) for gpu in (0, 1, 2))
    stranger.kill()
    os.waitid(os.P_PID, stranger.pid, os.WEXITED | os.WNOWAIT)  # dead, and nobody has buried it
    assert stranger.pid not in pids(source, 0)
    stranger.wait()
    assert stranger.pid not in pids(source, 0)
    (tmp_path / str(PID)).unlink()
    assert PID not in pids(source, 3)


def test_nothing_that_is_counted_changes(tmp_path):
    register(tmp_path, text="0\n")
    for second in (0, 30 * 3600, 36 * 3600):
        with_one, without = fast(machine(tmp_path, second), 0), fast(machine(None, second), 0)
        for name in (
            "energy_mj",
            "power_w",
            "power_average_w",
            "utilization_ratio",
            "throttle_ns",
            "new_xids",
        ):
            assert getattr(with_one, name) == getattr(without, name)
        assert len(with_one.processes) == len(without.processes) + 1


@given(
    st.lists(st.floats(0, 1), max_size=5).map(lambda shares: [s / max(1, sum(shares)) for s in shares]),
    st.integers(0, 64),
    st.integers(0, 1 << 38),
)
def test_shares_sum_to_one_at_most_and_memory_to_what_there_is(shares, visitors, free):
    total = 1 << 38
    own = tuple(ProcessReading(k + 1, memory_bytes=5, sm_ratio=share) for k, share in enumerate(shares))
    before = FastReading(
        processes=own, memory_total_bytes=total, memory_used_bytes=total - free, memory_free_bytes=free
    )
    after = beside(before, range(100, 100 + visitors))
    if not visitors:
        assert after == before
        return
    assert sum(process.sm_ratio for process in after.processes) <= 1 + 1e-9
    guests = after.processes[len(own) :]
    assert [guest.pid for guest in guests] == list(range(100, 100 + visitors))
    assert SM_RATIO - 0.001 * visitors <= sum(guest.sm_ratio for guest in guests) <= SM_RATIO + 1e-9
    assert all(guest.memory_bytes <= MEMORY_BYTES for guest in guests)
    assert after.memory_free_bytes >= 0
    assert after.memory_used_bytes + after.memory_free_bytes == total
    unchanged = {"processes": own, "memory_used_bytes": total - free, "memory_free_bytes": free}
    assert replace(after, **unchanged) == before


def test_a_visitor_is_named_as_proc_names_it(tmp_path):
    source = machine(tmp_path)
    assert source.identify(PID) is None
    assert source.visitor(PID) is None
    register(tmp_path)
    name = Path("/proc/self/comm").read_text().rstrip("\n")
    assert source.identify(PID) == source.visitor(PID) == (name, pwd.getpwuid(os.geteuid()).pw_name)
    rows, listed, _ = ProcessTable(identify=source.identify).rows(
        [ProcessReading(os.getppid()), ProcessReading(1)], at(0)
    )
    assert (rows, listed) == ((), 2)


def test_the_process_table_shows_visitors_beside_the_invented(tmp_path, stranger):
    source = machine(tmp_path)
    register(tmp_path, stranger.pid, "0")
    reading = fast(source, 0)
    rows, _, _ = ProcessTable(identify=source.identify).rows(reading.processes, at(0))
    assert {row.pid for row in rows} == {str(process.pid) for process in reading.processes}
    assert ("sleep", pwd.getpwuid(os.geteuid()).pw_name) in {(row.name, row.user) for row in rows}


NOBODY = {
    "another GPU": "30\n",
    "no GPU": "",
    "no number": "three\n",
    "no text": b"\xff",
    "a sign": "+3",
}


@pytest.mark.parametrize("name", NOBODY)
def test_a_file_that_makes_no_sense_is_nobody(name, tmp_path):
    text = NOBODY[name]
    (tmp_path / str(PID)).write_bytes(text if isinstance(text, bytes) else text.encode())
    assert all(PID not in pids(machine(tmp_path), gpu) for gpu in range(4))


def test_names_that_are_no_pid_and_files_that_are_none_are_passed_over(tmp_path):
    for name in ("notes", "-1", "0", "1.5", f"0{PID}", "99999999999999999999", "٣"):
        (tmp_path / name).write_text("3\n")
    os.mkfifo(tmp_path / "1")
    (tmp_path / str(PID)).symlink_to(tmp_path / "notes")
    (tmp_path / str(os.getppid())).mkdir()
    assert Visitors(tmp_path).on("3") == ()


def test_nobody_registers_the_process_of_another(tmp_path, monkeypatch):
    register(tmp_path)
    visitors = Visitors(tmp_path)
    assert visitors.on("3") == (PID,)
    proc = tmp_path / "proc"
    (proc / str(PID)).mkdir(parents=True)
    (proc / str(PID) / "stat").write_text(Path("/proc/self/stat").read_text())
    (proc / str(PID) / "comm").write_text("sleep\n")
    assert Visitors(tmp_path, proc).on("3") == (PID,)
    owner = (proc / str(PID)).stat().st_uid
    monkeypatch.setattr(os, "fstat", lambda file, fstat=os.fstat: _of(fstat(file), owner + 1))
    assert Visitors(tmp_path, proc).on("3") == ()


def _of(about, uid):
    fields = list(about)
    fields[4] = uid
    return os.stat_result(fields)


def test_no_folder_no_visitors(tmp_path):
    assert len(pids(machine(tmp_path / "none"), 0)) == len(pids(machine(None), 0))
    register(tmp_path, text="0")
    assert PID in pids(machine(tmp_path), 0)
