"""Ctrl-C, Ctrl-Z, fg, bg and the like: each case without the wrapper and with it, to the same effect."""

import time

import pytest

from tests.cli.wrapped import Terminal, records, state, until

COUNTING = """
import os, signal, sys
got = []
signal.signal(signal.SIGINT, lambda *_: got.append("INT"))
signal.signal(signal.SIGTSTP, signal.SIG_IGN)
print(f"pid {os.getpid()}!", flush=True)
line = sys.stdin.readline()
print("line", line.strip(), "got", got, flush=True)
"""

# A wrapper that takes its time between hearing signals and starting the command.
SLOW = """
import sys, time
from gputally.cli import main, wrapping
spawn = wrapping._spawn
def slowly(*arguments):
    print("pid 0!", flush=True)
    time.sleep(0.5)
    return spawn(*arguments)
wrapping._spawn = slowly
main(["run", f"--runs.dir={sys.argv[1]}", "--", "sleep", "60"])
"""


@pytest.fixture
def terminal(tmp_path):
    (tmp_path / "runs").mkdir()
    (tmp_path / "counting.py").write_text(COUNTING)
    (tmp_path / "slow.py").write_text(SLOW)
    with Terminal(tmp_path / "runs", tmp_path) as terminal:
        yield terminal


@pytest.fixture(params=["", "$WRAP "], ids=["bare", "wrapped"])
def wrap(request):
    return request.param


def begin(terminal, line):
    """Start a program that prints its PID; the PID."""
    terminal.type(f"{line}\n")
    terminal.expect("\npid ")
    return int(terminal.expect("!\r\n").rpartition("\npid ")[2].split("!")[0])


SLEEP = """sh -c 'echo pid $$!; exec sleep 60'"""


def state_becomes(pid, letters):
    until(lambda: state(pid) in letters, f"{pid} is in state {state(pid)}, wanted one of {letters}")


def test_ctrl_c_ends_the_command_and_the_shell_knows_by_what(terminal, wrap):
    begin(terminal, f"{wrap}{SLEEP}")
    terminal.type("\x03")
    terminal.expect("ready> ")
    assert terminal.answer("echo $?") == "130"
    assert [(r["state"], r["exit_code"]) for r in records(terminal.folder)] == (
        [("cancelled", 130)] if wrap else []
    )


def test_ctrl_c_ends_a_loop_of_the_shell(terminal, wrap):
    begin(terminal, f"for i in 1 2 3; do {wrap}{SLEEP}; done")
    terminal.type("\x03")
    terminal.expect("ready> ")
    assert len(records(terminal.folder)) == (1 if wrap else 0)


def test_ctrl_c_reaches_a_program_that_handles_it_exactly_once(terminal, wrap):
    begin(terminal, f"{wrap}$PYTHON counting.py")
    terminal.type("\x03")
    terminal.expect("^C")
    time.sleep(0.3)  # a second one would come from the wrapper, which nobody can see doing nothing
    terminal.type("on\n")
    terminal.expect("line on got ['INT']")
    assert terminal.answer("echo $?") == "0"


def test_ctrl_c_just_before_the_command_is_there_is_not_lost(terminal):
    begin(terminal, f"$PYTHON slow.py {terminal.folder}")
    terminal.type("\x03")
    terminal.expect("ready> ")
    assert terminal.answer("echo $?") == "130"


def test_ctrl_backslash_quits(terminal, wrap):
    begin(terminal, f"ulimit -c 0; {wrap}{SLEEP}")
    terminal.type("\x1c")
    terminal.expect("ready> ")
    assert terminal.answer("echo $?") == "131"


def test_ctrl_z_stops_it_fg_and_bg_continue_it(terminal, wrap):
    pid = begin(terminal, f"{wrap}{SLEEP}")
    for resume in ("fg", "bg"):
        terminal.type("\x1a")
        terminal.expect("Stopped")
        state_becomes(pid, "T")
        assert "Stopped" in terminal.answer("jobs")
        terminal.type(f"{resume}\n")
        state_becomes(pid, "S")
    terminal.type("jobs\n")
    terminal.expect("Running")
    terminal.type("kill %1; wait %1; echo status $?\n")
    terminal.expect("status 143")
    until(lambda: not state(pid))


def test_a_program_that_ignores_ctrl_z_goes_on(terminal, wrap):
    begin(terminal, f"{wrap}$PYTHON counting.py")
    terminal.type("\x1a")
    terminal.expect("^Z")
    terminal.type("on\n")
    terminal.expect("line on got []")


def test_a_program_that_stops_itself_gives_the_terminal_back(terminal, wrap):
    terminal.type(f"{wrap}bash -c 'kill -TSTP $$; echo was away'\n")
    terminal.expect("Stopped")
    terminal.type("fg\n")
    terminal.expect("was away\r\n")
    assert terminal.answer("echo $?") == "0"


def test_a_program_that_stops_its_whole_group_as_editors_do(terminal, wrap):
    terminal.type(f"""{wrap}$PYTHON -c 'import os; os.kill(0, 20); print("was", "away")'\n""")
    terminal.expect("Stopped")
    terminal.type("fg\n")
    terminal.expect("was away\r\n")
    assert terminal.answer("echo $?") == "0"


def test_in_the_background_it_may_not_read_until_it_is_fetched(terminal, wrap):
    terminal.type(f"{wrap}cat &\n")
    terminal.expect("ready> ")
    until(lambda: "Stopped" in terminal.answer("jobs"))
    terminal.type("fg\n")
    terminal.expect("cat")
    terminal.type("hello\n")
    terminal.expect("hello\r\nhello")
    terminal.type("\x04")
    terminal.expect("ready> ")
    assert terminal.answer("echo $?") == "0"


def test_it_has_the_terminal_in_the_foreground(terminal, wrap):
    answer = terminal.answer(
        f"{wrap}$PYTHON -c 'import os; print(os.tcgetpgrp(0) == os.getpgrp(), *map(os.isatty, range(3)))'"
    )
    assert answer == "True True True True"


def test_a_shell_inside_has_job_control_of_its_own(terminal, wrap):
    terminal.type(f"{wrap}bash --norc --noprofile -i\n")
    terminal.expect("ready> ")
    pid = begin(terminal, SLEEP)
    terminal.type("\x1a")
    terminal.expect("Stopped")
    state_becomes(pid, "T")
    terminal.type("fg\n")
    state_becomes(pid, "S")
    terminal.type("\x03")
    terminal.expect("ready> ")
    terminal.type("exit 7\n")
    terminal.expect("exit\r\nready> ")
    assert terminal.answer("echo $?") == "7"


@pytest.mark.fault("wrapper-killed")
def test_closing_the_terminal_ends_it(tmp_path):
    folder = tmp_path / "runs"
    folder.mkdir()
    with Terminal(folder, tmp_path) as terminal:
        pid = begin(terminal, f"$WRAP {SLEEP}")
    until(lambda: not state(pid))
    until(lambda: [(r["state"], r.get("exit_code")) for r in records(folder)] == [("failed", 129)])
