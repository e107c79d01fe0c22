"""Real processes: families, daemons, names and environments that lie, and PIDs that change hands."""

import contextlib
import os
import pwd
import subprocess
import sys
import textwrap

import pytest

from gputally.model.clock import system_clock
from gputally.node.identity.binder import Binder
from gputally.node.identity.proc import Folder, read_process

ME = pwd.getpwuid(os.getuid()).pw_name
CANARY = "SECRET_CANARY=do-not-show-me"
LAST_PID = "/proc/sys/kernel/ns_last_pid"
NAME = 'import ctypes; ctypes.CDLL(None).prctl(15, b"a) R 1 (")\n'  # PR_SET_NAME
WAIT = "print(flush=True); sys.stdin.read()\n"
FAMILY = """
import os, subprocess, sys
if os.fork():
    sys.stdin.read()
    sys.exit()
os.setsid()
sleep = ["sleep", "60"]
children = [
    subprocess.Popen(sleep),
    subprocess.Popen(sleep, start_new_session=True),
    subprocess.Popen(["sh", "-c", "sleep 60; true"], start_new_session=True),
]
print(os.getpid(), *(child.pid for child in children), flush=True)
sys.stdin.read()
for child in children:
    os.killpg(child.pid, 9) if child is not children[0] else child.kill()
    child.wait()
"""
LIE = """
import ctypes, os, sys
start = int(open("/proc/self/stat", "rb").read().rpartition(b")")[2].split()[47])  # env_start, proc(5)
block = open("/proc/self/environ", "rb").read()
for true, false in ((b"SLURM_JOB_ID=4711", b"SLURM_JOB_ID=4712"), (b"USER=nobody1", b"USER=mallory")):
    at = block.index(true)
    ctypes.memmove(start + at, false, len(false))
"""


@contextlib.contextmanager
def script(code, *arguments, env=None, **options):
    """A Python program that has come to its end but for reading from us; gives it and its first line."""
    child = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", textwrap.dedent(code), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=env or {},
        **options,
    )
    with child:
        try:
            yield child, child.stdout.readline()
        finally:
            child.kill()


def test_a_command_and_all_that_it_starts_is_one_job_whatever_sessions_it_opens():
    with script(FAMILY) as (_, line):
        pids = [int(word) for word in line.split()]
        found = Binder().sightings(pids, system_clock())
        assert sorted(found) == sorted(pids)
        assert len({id(seen) for seen in found.values()}) == 1
        seen = found[pids[0]]
        assert (seen.job.scheduler, seen.job.user) in {("process", ME), ("systemd", ME)}
        assert 0 <= system_clock().wall_seconds - seen.start_seconds < 1e9


def test_a_name_that_imitates_a_stat_line_is_a_name():
    with script("import sys\n" + NAME + WAIT, start_new_session=True) as (child, _):
        process = read_process("/proc", child.pid)
        assert (process.comm, process.parent, process.session) == (b"a) R 1 (", os.getpid(), child.pid)
        assert child.pid in Binder().sightings([child.pid], system_clock())


def in_slurm(monkeypatch, pid):
    """Put a real process into a cgroup of Slurm's, as far as we can see."""
    path = b"0::/system.slice/slurmstepd.scope/job_4711/step_0/user/task_0\n"
    real = Folder.cgroup
    monkeypatch.setattr(Folder, "cgroup", lambda folder: path if folder._pid == pid else real(folder))


@pytest.mark.fault("claims-forged")
def test_a_process_that_rewrites_its_own_environment_stays_in_its_job(monkeypatch):
    env = {"SLURM_JOB_ID": "4711", "USER": "nobody1", "GPUTALLY_MODEL": "llama"}
    with script(LIE + WAIT, env=env) as (child, _):
        with Folder("/proc", child.pid) as folder:
            assert b"SLURM_JOB_ID=4712\0USER=mallory" in folder.environ()
        in_slurm(monkeypatch, child.pid)
        binder = Binder(environment=True)
        seen = binder.sightings([child.pid], system_clock())[child.pid]
        assert (seen.job.job_id, seen.job.user, seen.job.model) == ("4711", ME, "llama")
        assert binder.conflicts()["environment"] == 1


def test_an_environment_that_may_not_be_read_adds_nothing(monkeypatch):
    def denied(_):
        raise PermissionError

    monkeypatch.setattr(Folder, "environ", denied)
    with script("import sys\n" + WAIT, env={"GPUTALLY_MODEL": "llama"}) as (child, _):
        seen = Binder(environment=True).sightings([child.pid], system_clock())[child.pid]
        assert seen.job.model == ""


@pytest.mark.fault("process-secrets")
def test_secrets_in_arguments_and_environment_come_out_nowhere(caplog):
    caplog.set_level(0)
    env = {"SECRET_CANARY": "do-not-show-me", "GPUTALLY_JOB": "fine", "AWS_SECRET_ACCESS_KEY": CANARY}
    with script("import sys\n" + WAIT, CANARY, env=env) as (child, _):
        binder = Binder(environment=True)
        found = binder.sightings([child.pid], system_clock())
        assert found[child.pid].job.job_name == "fine"
        assert "do-not-show-me" not in repr((found, binder.conflicts(), vars(binder))) + caplog.text


def test_a_process_that_ends_while_it_is_looked_at_is_not_bound(monkeypatch):
    with script("import sys\n" + WAIT) as (child, _):
        binder = Binder()
        resolve = binder._resolver.resolve

        def slow(folder, now):
            found = resolve(folder, now)
            child.kill()
            child.wait()
            return found

        monkeypatch.setattr(binder._resolver, "resolve", slow)
        before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - as the kernel lists them
        assert binder.sightings([child.pid], system_clock()) == {}
        assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


@pytest.mark.parametrize("reaped", [True, False])
def test_what_ends_is_noticed_at_once_and_lingers_shortly(reaped):
    with script("import sys\n" + WAIT) as (child, _):
        binder, now = Binder(), system_clock()
        first = binder.sightings([child.pid], now)[child.pid]
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        if reaped:
            child.wait()
        assert binder._watch.ended() == [child.pid]
        binder._end(binder._bound[child.pid], now.boot_ns)
        assert binder.sightings([child.pid], now)[child.pid] is first
        later = type(now)(now.boot_ns + 3_000_000_000, now.wall_ns)
        assert binder.sightings([child.pid], later) == {}


@contextlib.contextmanager
def heir(pid):
    """A new process with the PID of one that has ended, of another user where we may. None = did not work."""
    options = {"user": 65534, "group": 65534, "extra_groups": []} if os.getuid() == 0 else {}
    with open(LAST_PID, "w") as file:  # noqa: PTH123 - one write() of one number is what the kernel wants
        file.write(str(pid - 1))
    with subprocess.Popen(["sleep", "60"], **options) as child:
        try:
            yield child if child.pid == pid else None
        finally:
            child.kill()


def may_choose_pids():
    try:
        with open(LAST_PID, "r+") as file:  # noqa: PTH123 - as above
            file.write(file.read())
    except OSError:
        return False
    return True


def inherited(monkeypatch):
    """Let a PID change hands; False if somebody else was quicker to take it."""
    binder, now = Binder(), system_clock()
    with subprocess.Popen(["sleep", "60"]) as first, monkeypatch.context() as patch:
        in_slurm(patch, first.pid)
        old = binder.sightings([first.pid], now)[first.pid]
        first.kill()
    assert old.job.job_id == "4711"
    with heir(first.pid) as second:
        if second is None:
            return False
        process = read_process("/proc", second.pid)
        binder._bound[first.pid].start_ticks = process.start_ticks  # as if it were the same tick
        new = binder.sightings([second.pid], now)[second.pid]
        assert new.job.job_id != "4711"
        assert new.job.user == pwd.getpwuid(process.uid).pw_name
        assert os.getuid() != 0 or process.uid == 65534
        assert binder.end_of(old.job, old.evidence, now) is not None
    return True


@pytest.mark.fault("pid-reused")
@pytest.mark.skipif(not may_choose_pids(), reason="choosing a PID takes CAP_CHECKPOINT_RESTORE")
def test_a_pid_given_away_takes_neither_the_job_nor_its_last_moment_along(monkeypatch):
    """The same PID in the same tick of the clock: only the descriptor of the process tells."""
    assert any(inherited(monkeypatch) for _ in range(50))


def test_hundreds_of_binders_leave_no_descriptors():
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - as the kernel lists them
    for _ in range(300):
        binder = Binder()
        binder.sightings([os.getpid()], system_clock())
        binder._watch.drop(os.getpid())
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
