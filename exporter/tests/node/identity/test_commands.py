"""What a person at a terminal takes for one job."""

import pytest

from gputally.node.identity.commands import command_of
from gputally.node.identity.proc import Process

TTY = 34816


def one(comm, pid, group=None, terminal=TTY, uid=1000):
    return comm, pid, pid if group is None else group, terminal, uid


def family(*rows):
    """Processes, each a child of the one before."""
    parent, chain = 1, []
    for start, (comm, pid, group, terminal, uid) in enumerate(rows):
        chain.append(Process(pid, uid, start, comm, "S", parent, group, 10, terminal))
        parent = pid
    return chain


def judged(chain, *others):
    everybody = {one.pid: one for one in (*chain, *others)}
    leader, name = command_of(chain[-1], list(reversed(chain[:-1])), everybody.get)
    return leader.pid, name


SHELL = (one(b"sshd", 8, 8, 0, 0), one(b"sshd-session", 9, 8, 0), one(b"bash", 10))
PYTHON = one(b"python", 20)
WORKERS = (one(b"python", 21, 21, 0), one(b"pt_loader", 22, 21, 0))
TIMER = (one(b"cron", 8, 8, 0, 0), one(b"cron", 9, 8, 0, 0), one(b"sh", 20, 20, 0))

CASES = {
    "a command": ((*SHELL, PYTHON), 20, b"python"),
    "a launcher, workers in sessions of their own": (
        (*SHELL, one(b"torchrun", 20), *WORKERS),
        20,
        b"torchrun",
    ),
    "bash run.sh": ((*SHELL, one(b"bash", 20), one(b"python", 21, 20)), 20, b"python"),
    "./run.sh": ((*SHELL, one(b"run.sh", 20), one(b"python", 21, 20)), 20, b"run.sh"),
    "timeout 1h python": ((*SHELL, one(b"timeout", 20), one(b"python", 21, 20)), 20, b"python"),
    "sudo python": ((*SHELL, one(b"sudo", 20, uid=0), one(b"python", 22, uid=0)), 20, b"python"),
    "in tmux": ((one(b"tmux: server", 9, 9, 0), one(b"zsh", 10), PYTHON), 20, b"python"),
    "nohup, and the shell has gone": ((one(b"python", 20, 10, 0),), 20, b"python"),
    "a daemon of the user's": ((one(b"systemd", 9, 9, 0), PYTHON), 20, b"python"),
    "a daemon of root's starts it": ((one(b"hub", 9, 9, 0, 0), PYTHON), 20, b"python"),
    "a timer's script with a worker": ((*TIMER, one(b"python", 21, 21, 0)), 20, b"python"),
    "a timer's script": ((*TIMER, one(b"nightly", 21, 20, 0), one(b"python", 22, 20, 0)), 20, b"nightly"),
    "ssh host 'a; b'": (
        (one(b"sshd", 9, 9, 0), one(b"bash", 20, 20, 0), one(b"python", 21, 20, 0)),
        20,
        b"python",
    ),
    "a notebook's kernel": ((one(b"jupyter-lab", 10), one(b"python3", 20, 20, 0)), 20, b"python3"),
    "a shell in a shell": ((*SHELL, one(b"bash", 20), one(b"python", 30)), 30, b"python"),
    "a shell itself": ((*SHELL, one(b"bash", 20)), 20, b"bash"),
}


@pytest.mark.parametrize(("rows", "pid", "name"), CASES.values(), ids=CASES)
def test_the_job_is_the_command_as_it_was_started(rows, pid, name):
    assert judged(family(*rows)) == (pid, name)


def test_a_pipeline_is_the_job_of_its_first_program_named_for_the_one_that_computes():
    chain = family(*SHELL, one(b"python", 21, 20))
    first = Process(20, 1000, 3, b"cat", "S", 10, 20, 10, TTY)
    assert judged(chain, first) == (20, b"python")


@pytest.mark.parametrize("other", [{"uid": 1001}, {"parent": 11}, {"session": 11}])
def test_a_namesake_of_a_group_that_has_lost_its_first_program_is_not_it(other):
    values = {
        "pid": 20,
        "uid": 1000,
        "start_ticks": 3,
        "comm": b"x",
        "parent": 10,
        "group": 20,
        "session": 10,
    }
    stranger = Process(**(values | other))
    assert judged(family(*SHELL, one(b"python", 21, 20)), stranger) == (21, b"python")
