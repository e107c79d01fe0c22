"""What `gputally run` writes, and that nothing about it costs anybody a job."""

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gputally.cli.runrecord import Record, clear_old
from gputally.node.identity import runfile
from gputally.node.identity.runs import RunRecords
from tests.cli.command import PROGRAM, environment
from tests.cli.wrapped import children, record_of, records, start, start_ticks, until, wrap

DAY = 86_400


def own_name():
    return runfile.file_name(os.getpid(), start_ticks(os.getpid()))


def test_a_record_is_there_while_the_command_runs_and_is_closed_after_it(folder):
    began = time.time()
    process = start("sh", "-c", "read line; exit 3", folder=folder, stdin=subprocess.PIPE)
    until(lambda: record_of(process, folder) and children(process.pid))
    ticks = start_ticks(process.pid)
    path = folder / f"{process.pid}-{ticks}.json"
    about = path.stat()
    assert stat.S_IMODE(about.st_mode) == 0o644
    assert (about.st_uid, about.st_size < runfile.MOST_BYTES) == (os.geteuid(), True)
    record = record_of(process, folder)
    assert began - 1 <= record.pop("start_seconds") <= time.time()
    assert record == {
        "version": 1,
        "pid": process.pid,
        "start_ticks": ticks,
        "boot_id": Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
        "job_name": "sh",
        "team": "",
        "model": "",
        "command": "sh",
        "state": "running",
    }
    reader = RunRecords(folder)
    running = reader.find(process.pid, ticks, os.geteuid())
    process.communicate(b"\n", timeout=30)
    ended = reader.reread(running.path)
    assert (running.end, running.job_name, reader.conflicts()) == (None, "sh", {"record": 0})
    assert (ended.end.state, ended.end.exit_code) == ("failed", 3)
    assert running.start_seconds <= ended.end.seconds <= time.time()
    assert ended.job_id == running.job_id
    assert list(folder.iterdir()) == [path]


def test_the_record_is_readable_for_the_agent_whatever_the_umask(folder):
    done = subprocess.run(
        ["sh", "-c", f"umask 077; exec {PROGRAM} run --runs.dir={folder} true"], env=environment(), check=True
    )
    assert done.returncode == 0
    (path,) = folder.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


HOSTILE = [
    b"line\nfeed",
    b"\xff\xfe\x80",
    "\u202eevil\x1b[31m".encode(),
    b'"\\' * 3000,
    "😀".encode() * 9000,
    b"a" * 100_000,
]


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_any_text_makes_a_record_that_can_be_read(name, folder, tmp_path):
    program = tmp_path / os.fsdecode(name[:40].replace(b"/", b"_"))
    program.symlink_to("/bin/true")
    options = [b"--%s=%s" % (key, name) for key in (b"job", b"team", b"model")]
    done = wrap(program, folder=folder, options=options)
    assert (done.returncode, done.stderr) == (0, b"")
    (path,) = folder.iterdir()
    assert path.stat().st_size <= runfile.MOST_BYTES
    reader = RunRecords(folder)
    found = reader.reread(str(path))
    assert found.end.state == "completed"
    assert 0 < len(found.team) <= runfile.LONGEST
    assert all(text.isprintable() for text in (found.job_name, found.team, found.model))


@pytest.mark.fault("records-damaged")
@pytest.mark.parametrize(
    "unusable", ["missing", "file", "fifo", "/proc", "/sys/kernel", "", "a\udcff", "/dev/null/x", "loop"]
)
def test_a_folder_that_cannot_be_used_is_one_line_and_the_command_runs(unusable, tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "fifo")
    done = wrap("sh", "-c", "echo out; exit 4", folder=unusable, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (4, b"out\n")
    assert done.stderr.startswith(b"gputally run: not recorded: ")
    assert done.stderr.count(b"\n") == 1


def test_a_folder_without_permission_is_one_line_and_the_command_runs(tmp_path):
    """As an ordinary user: root may write anywhere."""
    folder = tmp_path / "runs"
    folder.mkdir(mode=0o555)
    command = [PROGRAM, "run", f"--runs.dir={folder}", "sh", "-c", "echo out; exit 4"]
    if os.geteuid() == 0:
        drop = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all"]
        command = [*drop, *command]
    done = subprocess.run(command, capture_output=True, env=environment(), check=False)
    assert (done.returncode, done.stdout) == (4, b"out\n")
    assert done.stderr == f"gputally run: not recorded: {folder}: Permission denied\n".encode()


@pytest.mark.fault("records-damaged")
def test_a_full_disk_is_one_line_and_nothing_is_left_of_the_attempt(folder):
    """A limit of no byte a file fails like a full disk, in the middle of writing."""
    script = f"ulimit -f 0; exec {PROGRAM} run --runs.dir={folder} true"
    done = subprocess.run(["sh", "-c", script], env=environment(), capture_output=True, check=True)
    assert done.stderr == f"gputally run: not recorded: {folder}: File too large\n".encode()
    assert list(folder.iterdir()) == []


def test_a_folder_that_goes_away_meanwhile_is_one_line_and_the_status_stays(folder):
    done = wrap("sh", "-c", f"rm -r {folder}; exit 6", folder=folder)
    assert done.returncode == 6
    assert done.stderr.startswith(b"gputally run: end not recorded: ")
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize("without", ["2>&-", "2>/dev/full", ">&- 2>&- <&-"])
def test_no_standard_streams_are_no_reason_to_fail(without, tmp_path):
    for script, status in (("exit 5", 5), ("kill -TERM $$", 143)):
        line = f"{PROGRAM} run --runs.dir={tmp_path / 'none'} sh -c '{script}' {without}; exit $?"
        assert subprocess.run(["sh", "-c", line], env=environment(), check=False).returncode == status


def test_a_name_that_somebody_has_taken_is_not_written_into(folder):
    taken = folder / own_name()
    taken.mkdir()
    with pytest.raises(OSError, match="directory"):
        Record(str(folder), "true", {})
    assert list(folder.iterdir()) == [taken]
    taken.rmdir()
    target = folder / "target"
    target.write_text("untouched")
    taken.symlink_to(target)
    Record(str(folder), "true", {})
    assert not taken.is_symlink()  # replaced, not followed
    assert target.read_text() == "untouched"


def test_an_end_is_never_before_the_start(folder, monkeypatch):
    record = Record(str(folder), "true", {})
    monkeypatch.setattr("time.time", lambda: 1000.0)
    record.end("completed", 0)
    (written,) = records(folder)
    assert written["end_seconds"] == written["start_seconds"] > 1000


def aged(path, seconds, text="{}"):
    path.write_text(text)
    os.utime(path, (time.time() - seconds,) * 2)
    return path.name


def test_old_records_of_ended_runs_are_removed_and_nothing_else(folder):
    running = subprocess.Popen(["sleep", "60"])
    try:
        stays = {
            aged(folder / runfile.file_name(running.pid, start_ticks(running.pid)), 3 * DAY),
            aged(folder / "4194304-5.json", DAY - 60),
            aged(folder / "notes.json", 3 * DAY),
            aged(folder / "4194304-5.json.bak", 3 * DAY),
            aged(folder / "04-5.json", 3 * DAY),
        }
        aged(folder / "4194304-7.json", DAY + 60)
        aged(folder / runfile.file_name(running.pid, start_ticks(running.pid) + 1), 3 * DAY)
        aged(folder / f".{'a' * 16}.tmp", 3 * DAY)
        clear_old(str(folder))
        assert {path.name for path in folder.iterdir()} == stays
    finally:
        running.kill()
        running.wait()


def test_records_of_others_and_what_is_no_file_stay(folder, monkeypatch):
    aged(folder / "4194304-7.json", 3 * DAY)
    (folder / "4194304-8.json").mkdir()
    os.mkfifo(folder / "4194304-9.json")
    for path in folder.iterdir():
        os.utime(path, (0, 0))
    others = os.geteuid() + 1
    with monkeypatch.context() as patch:
        patch.setattr("os.geteuid", lambda: others)
        clear_old(str(folder))
    assert len(list(folder.iterdir())) == 3
    clear_old(str(folder))
    assert {path.name for path in folder.iterdir()} == {"4194304-8.json", "4194304-9.json"}


def test_a_run_clears_up_after_those_before(folder):
    aged(folder / "4194304-7.json", 3 * DAY)
    assert wrap("true", folder=folder).returncode == 0
    assert [record["state"] for record in records(folder)] == ["completed"]


def test_a_crowded_folder_delays_nothing(folder):
    """Anybody may fill it. The command is under way before anybody looks at the rest."""
    for number in range(20_000):
        (folder / f"4194304-{number}.json").touch()
    process = start(sys.executable, "-c", "print('up')", folder=folder, stdout=subprocess.PIPE)
    assert process.communicate(timeout=30) == (b"up\n", None)
    assert process.returncode == 0
    assert record_of_quickly(process, folder)["state"] == "completed"


def record_of_quickly(process, folder):
    (path,) = folder.glob(f"{process.pid}-*.json")
    uid = os.geteuid()
    found = RunRecords(folder).find(*runfile.process_of(path.name), uid)
    return {"state": found.end.state}


def test_the_signal_that_ended_it_stands_in_the_record(folder):
    done = wrap("sh", "-c", "kill -USR1 $$", folder=folder)
    assert done.returncode == -signal.SIGUSR1
    assert [record["exit_code"] for record in records(folder)] == [128 + signal.SIGUSR1]
