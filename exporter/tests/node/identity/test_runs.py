"""Records of `gputally run` in a folder that everybody may write to: what counts, and what does no harm."""

import errno
import fcntl
import json
import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from gputally.node.identity.parts import RunRecord
from gputally.node.identity.protocol import End
from gputally.node.identity.runs import RunRecords

from .runrecords import BOOT, ENDED, PID, RUNNING, TICKS, UID, path

__all__ = ["path"]


@pytest.fixture
def reader(tmp_path):
    return RunRecords(tmp_path, BOOT)


def find(reader):
    return reader.find(PID, TICKS, UID)


def test_a_record_says_who_it_is_and_later_how_it_ended(path, reader):
    path.write_text(json.dumps(RUNNING))
    running = RunRecord(
        job_id="run-4711-815000-5f3a",
        job_name="finetune",
        team="nlp",
        model="llama-70b",
        start_seconds=1_790_000_000.25,
        end=None,
        path=str(path),
    )
    assert find(reader) == running
    assert reader.reread(str(path)) == running
    path.write_text(json.dumps(ENDED))
    assert reader.reread(str(path)).end == End(1_790_000_060.5, "failed", 3)
    path.unlink()
    assert reader.reread(str(path)) is None
    assert reader.conflicts() == {"record": 0}


def test_who_is_not_wrapped_has_no_record_and_that_is_no_conflict(reader, tmp_path):
    for folder in (tmp_path, tmp_path / "none", Path("/dev/null"), Path("/")):
        reader = RunRecords(folder)
        assert find(reader) is None
        assert reader.conflicts() == {"record": 0}


def test_the_agent_after_a_restart_reads_the_end(path, tmp_path):
    path.write_text(json.dumps(ENDED))
    assert RunRecords(tmp_path, BOOT).reread(str(path)).end.exit_code == 3


def test_only_records_of_its_own_folder_are_read_again(path, reader, tmp_path):
    path.write_text(json.dumps(ENDED))
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(path, other / path.name)
    for wrong in (other / path.name, tmp_path / "other" / ".." / path.name, "", "/", tmp_path / "notes.json"):
        assert reader.reread(str(wrong)) is None


def test_a_file_of_another_user_is_refused_also_when_it_comes_later(path, reader):
    path.write_text(json.dumps(RUNNING))
    assert reader.find(PID, TICKS, UID + 1) is None
    assert reader.conflicts() == {"record": 1}
    assert find(reader) is not None
    reader._owners[str(path)] = UID + 1  # it was found as that user's before
    assert reader.reread(str(path)) is None


def with_field(**changes):
    return json.dumps(ENDED | changes)


def without(name):
    return json.dumps({key: value for key, value in ENDED.items() if key != name})


WRONG = {
    "empty": "",
    "no JSON": "{",
    "an array": "[]",
    "a number": "17",
    "null": "null",
    "two objects": json.dumps(ENDED) * 2,
    "no UTF-8": json.dumps(ENDED).encode() + b"\xff",
    "UTF-16": json.dumps(ENDED).encode("utf-16"),
    "byte order mark": b"\xef\xbb\xbf" + json.dumps(ENDED).encode(),
    "nested deeply": "[" * 4000,
    "a huge number": f'{{"pid": {"9" * 4000}}}',
    "too long": json.dumps(ENDED) + " " * 4096,
    "a field twice": json.dumps(ENDED)[:-1] + ', "team": "other"}',
    "a field too many": with_field(argv=["--password"]),
    "ended without end": json.dumps(RUNNING | {"state": "failed"}),
    "running with an end": with_field(state="running"),
    "another version": with_field(version=2),
    "a version as text": with_field(version="1"),
    "a version that is true": with_field(version=True),
    "another process": with_field(pid=PID + 1),
    "another start": with_field(start_ticks=TICKS + 1),
    "ticks with a point": with_field(start_ticks=float(TICKS)),
    "another boot": with_field(boot_id=BOOT.replace("5", "6")),
    "no boot": with_field(boot_id=None),
    "unknown state": with_field(state="ended"),
    "a state that is none": with_field(state=["running"]),
    "a code as text": with_field(exit_code="0"),
    "a code above all": with_field(exit_code=256),
    "a negative code": with_field(exit_code=-9),
    "a long name": with_field(job_name="x" * 129),
    "a name that is a number": with_field(job_name=1),
    "a team that is a list": with_field(team=["nlp"]),
    "a start before the epoch": with_field(start_seconds=-1),
    "no start": with_field(start_seconds=None),
    "a start as text": with_field(start_seconds="now"),
    "a start that is true": with_field(start_seconds=True),
    "an end before the start": with_field(end_seconds=1_789_999_999),
    "an end that never comes": with_field(end_seconds=1e300),
    "not a number": with_field(end_seconds=float("nan")),
    "infinity": with_field(start_seconds=float("inf")),
    **{f"without {name}": without(name) for name in ENDED},
}


@pytest.mark.parametrize("name", WRONG)
def test_what_makes_no_sense_is_no_record_and_one_conflict(name, path, reader):
    text = WRONG[name]
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    for _ in range(3):
        assert find(reader) is None
        assert reader.reread(str(path)) is None
    assert reader.conflicts() == {"record": 1}


def occupy(path, how):
    target = path.parent / "target"
    target.write_text(json.dumps(RUNNING))
    if how == "fifo":
        os.mkfifo(path)
    elif how == "symbolic link":
        path.symlink_to(target)
    elif how == "link that goes round":
        path.symlink_to(path)
    elif how == "link to a terminal":
        path.symlink_to("/dev/tty")
    elif how == "folder":
        path.mkdir()
    elif how == "socket":
        import socket  # noqa: PLC0415 - here only

        with socket.socket(socket.AF_UNIX) as listening:
            os.chdir(path.parent)  # the path of a socket may have 107 bytes
            listening.bind(path.name)
    elif how == "sparse":
        with path.open("wb") as file:
            file.truncate(1 << 30)


@pytest.mark.parametrize(
    "how",
    ["fifo", "symbolic link", "link that goes round", "link to a terminal", "folder", "socket", "sparse"],
)
def test_what_is_no_plain_small_file_neither_blocks_nor_is_followed(how, path, reader, monkeypatch):
    monkeypatch.chdir(path.parent)
    occupy(path, how)
    assert find(reader) is None
    assert reader.conflicts() == {"record": 1}


def test_a_fifo_with_a_record_in_it_is_no_record(path, reader):
    os.mkfifo(path)
    with path.open("r+b", buffering=0) as writer:
        writer.write(json.dumps(RUNNING).encode())
        assert find(reader) is None
    assert reader.conflicts() == {"record": 1}


def test_a_hard_link_to_another_record_is_told_by_its_content(path, reader):
    other = path.parent / f"{PID + 1}-{TICKS}.json"
    path.write_text(json.dumps(RUNNING))
    other.hardlink_to(path)
    assert reader.find(PID + 1, TICKS, UID) is None
    assert find(reader) is not None  # and costs its owner nothing
    assert reader.conflicts() == {"record": 1}


@pytest.fixture
def deaf_to_sigio():
    """The kernel asks the holder of a lease by a signal that would end it."""
    before = signal.signal(signal.SIGIO, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGIO, before)


@pytest.mark.usefixtures("deaf_to_sigio")
def test_a_lease_on_the_file_makes_nobody_wait(path, reader):
    """Its holder is asked to give it up first, for which it has 45 seconds (fcntl(2))."""
    path.write_text(json.dumps(RUNNING))
    with path.open("r+b") as file:
        try:
            fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            pytest.skip("this file system has no leases")
        before = time.monotonic()
        assert find(reader) is None
        assert time.monotonic() - before < 20
    assert find(reader) is not None


def test_a_hundred_thousand_files_are_not_looked_at(path, reader, monkeypatch):
    def refuse(*_):
        raise AssertionError("listed")

    for name in ("listdir", "scandir"):
        monkeypatch.setattr(os, name, refuse)
    path.write_text(json.dumps(RUNNING))
    assert find(reader) is not None


def test_what_is_remembered_of_refusals_and_owners_is_bounded(tmp_path):
    reader = RunRecords(tmp_path)
    for pid in range(1, 3001):
        (tmp_path / f"{pid}-1.json").write_text(
            "{" if pid % 2 else json.dumps(RUNNING | {"pid": pid, "start_ticks": 1})
        )
        assert (reader.find(pid, 1, UID) is None) == (pid % 2 == 1)
    assert reader.conflicts() == {"record": 1500}
    assert len(reader._owners) == len(reader._refused) == 1024


def test_no_user_can_choose_the_job_id_of_another(path, tmp_path):
    """It comes from what the kernel says about the process; the boot id is checked, or cut short."""
    for claim in (BOOT, "x" * 36, "\u202e\n" * 18, ""):
        path.write_text(json.dumps(RUNNING | {"boot_id": claim}))
        found = find(RunRecords(tmp_path))
        assert found.job_id.startswith(f"run-{PID}-{TICKS}-")
        assert len(found.job_id) <= len(f"run-{PID}-{TICKS}-5f3a")
        assert found.job_id.isprintable()
