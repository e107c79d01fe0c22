"""Signals without a terminal: whatever is sent to the wrapper reaches the command, once."""

import os
import signal
import subprocess
import sys

import pytest

from tests.cli.wrapped import children, record_of, records, start, state, until

HANDED_ON = (
    "TERM",
    "INT",
    "HUP",
    "QUIT",
    "USR1",
    "USR2",
    "ALRM",
    "WINCH",
    "URG",
    "IO",
    "PWR",
    "RTMIN",
    "RTMAX",
)
# Says which signals it gets, one a line, until it is told to end on standard input.
LISTENER = """
import os, signal, sys
names = sys.argv[1].split(",")
for name in names:
    number = getattr(signal, "SIG" + name)
    signal.signal(number, lambda got, _: os.write(1, f"{signal.Signals(got).name}\\n".encode()))
os.write(1, b"ready\\n")
sys.stdin.read()
"""


@pytest.fixture
def listener(folder):
    """A command that hears; its wrapper."""
    process = start(
        *(sys.executable, "-c", LISTENER, ",".join((*HANDED_ON, "CONT"))),
        folder=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout.readline() == "ready\n"
    yield process
    process.stdin.close()
    process.wait(30)
    process.stdout.close()


def rest(process):
    """End the command in good order; what else it has heard."""
    process.stdin.close()
    heard = process.stdout.read().split()
    assert process.wait(30) == 0
    return heard


@pytest.mark.parametrize("name", HANDED_ON)
def test_a_signal_to_the_wrapper_reaches_the_command_once(name, listener):
    number = getattr(signal, f"SIG{name}")
    listener.send_signal(number)
    assert listener.stdout.readline() == f"{number.name}\n"
    assert rest(listener) == []


def test_signals_of_one_kind_one_after_the_other_are_all_handed_on(listener):
    for _ in range(20):
        listener.send_signal(signal.SIGUSR1)
        assert listener.stdout.readline() == "SIGUSR1\n"
    assert rest(listener) == []


def test_the_wrapper_stops_and_continues_with_the_command(listener):
    (child,) = children(listener.pid)
    for pid in (listener.pid, child):  # SIGSTOP stops whom it is sent to, and CONT to the wrapper wakes both
        os.kill(pid, signal.SIGSTOP)
        until(lambda pid=pid: state(pid) == "T")
    listener.send_signal(signal.SIGCONT)
    assert listener.stdout.readline() == "SIGCONT\n"
    assert rest(listener) == []


def test_a_command_that_kills_its_own_group_is_hit_once(folder):
    """`kill 0` of a script means all of the group, and so us too: not once more."""
    hear = "import os, signal, time; got = []; signal.signal(15, lambda *_: got.append(15))"
    count = f"{hear}; os.kill(0, 15); time.sleep(0.5); print(got)"  # time for one that is too many
    process = start(
        *(sys.executable, "-c", count),
        folder=folder,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.communicate(timeout=30) == ("[15]\n", None)
    assert process.returncode == 0


def test_a_script_can_end_the_job_that_it_has_started(folder):
    """The script is in the group of the job: who sends is told from where it is sent to."""
    wrapper = f"{sys.executable} -m gputally run --runs.dir={folder}"
    script = f"{wrapper} -- sh -c 'echo up; exec sleep 60' & read line < fifo; kill $!; wait $!; echo $?"
    process = subprocess.run(
        ["sh", "-c", f"mkfifo fifo; exec 3<>fifo; ({script.replace('& read', '>&3 & read', 1)})"],
        cwd=folder,
        stdout=subprocess.PIPE,
        timeout=60,
        check=True,
    )
    assert process.stdout.split() == [b"143"]
    assert [(r["state"], r["exit_code"]) for r in records(folder)] == [("cancelled", 143)]


def test_a_timer_that_was_set_before_ends_the_command_not_only_the_wrapper(folder):
    """An alarm stays with the process over exec, as in perl -e 'alarm 1; exec @ARGV'."""
    program = "import os, signal, sys; signal.setitimer(0, 3); os.execv(sys.executable, sys.argv[1:])"
    argv = [sys.executable, "-m", "gputally", "run", f"--runs.dir={folder}", "--", "sleep", "60"]
    assert subprocess.run([sys.executable, "-c", program, *argv], check=False, timeout=30).returncode == -14
    assert [(r["state"], r["exit_code"]) for r in records(folder)] == [("failed", 142)]


def test_who_was_asked_to_end_and_ends_in_a_way_of_its_own_was_cancelled(folder):
    script = "trap 'exit 9' TERM; echo up; while :; do sleep 0.05; done"
    process = start("sh", "-c", script, folder=folder, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"up\n"
    process.terminate()
    assert process.wait(30) == 9
    process.stdout.close()
    assert record_of(process, folder)["state"] == "cancelled"


def test_nohup_protects_the_command_too(folder):
    argv = [
        "nohup",
        sys.executable,
        "-m",
        "gputally",
        "run",
        f"--runs.dir={folder}",
        "sh",
        "-c",
        "echo up; read line; exit 5",
    ]
    process = subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout.readline() == "up\n"
    process.send_signal(signal.SIGHUP)
    process.communicate("\n", timeout=30)
    assert process.returncode == 5


def test_a_program_under_nohup_that_wants_the_signal_gets_it(folder):
    """Ignored is what it inherits; what it does with that is its own affair."""
    argv = ["nohup", *(sys.executable, "-m", "gputally", "run", f"--runs.dir={folder}", "--")]
    process = subprocess.Popen(
        [*argv, sys.executable, "-c", LISTENER, "HUP"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGHUP)
    assert process.stdout.readline() == "SIGHUP\n"
    assert rest(process) == []
    process.stdout.close()


def test_a_signal_that_is_ignored_has_cancelled_nothing(folder):
    """As Ctrl-C for what a script has put into the background."""
    script = "trap '' INT; exec \"$@\""
    wrapper = (sys.executable, "-m", "gputally", "run", f"--runs.dir={folder}", "--")
    process = subprocess.Popen(
        ["sh", "-c", script, "sh", *wrapper, "sh", "-c", "echo up; read line; exit 4"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "up\n"
    process.send_signal(signal.SIGINT)
    process.communicate("\n", timeout=30)
    assert process.returncode == 4
    assert record_of(process, folder)["state"] == "failed"


@pytest.mark.fault("wrapper-killed")
def test_a_wrapper_that_is_killed_leaves_the_command_running_and_the_record_open(folder):
    process = start("sleep", "60", folder=folder)
    until(lambda: record_of(process, folder) and children(process.pid))
    (child,) = children(process.pid)
    process.kill()
    process.wait(30)
    record = record_of(process, folder)
    assert (record["state"], "end_seconds" in record) == ("running", False)
    assert state(child) in "SR"
    os.kill(child, signal.SIGKILL)


@pytest.mark.fault("wrapper-killed")
def test_a_signal_at_any_moment_ends_both_and_loses_neither(folder):
    """Before the command is there, while it starts, and after: it never survives its wrapper."""
    for delay in range(40):
        process = start("sleep", "3600.25", folder=folder, start_new_session=True)
        try:
            process.wait(delay * 0.01)
        except subprocess.TimeoutExpired:
            process.terminate()
        assert process.wait(30) == -signal.SIGTERM
        with pytest.raises(ProcessLookupError):  # nobody is left of its group
            os.killpg(process.pid, 0)
    states = [record["state"] for record in records(folder)]
    assert set(states) <= {"running", "cancelled"}  # running: died before there was a command
    assert "cancelled" in states
    assert not list(folder.glob("*.tmp"))
