"""Commands under a real `gputally run`, with and without a terminal, and what became of them."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tests.cli.command import PROGRAM, environment

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE_SECONDS = 30.0
# Who runs the tests under nohup or behind a script ignores these, and so would all that is started here.
AS_USUAL = ("env", "--default-signal=INT,QUIT,HUP")


def until(condition: Callable[[], object], what: str = "") -> None:
    """Poll under a deadline."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def start(
    *command: str | bytes, folder: Path, options: tuple[str, ...] = (), **more: Any
) -> subprocess.Popen:
    """Start a command under `gputally run` with its records in a folder."""
    return subprocess.Popen(
        [*AS_USUAL, PROGRAM, "run", f"--runs.dir={folder}", *options, "--", *command],
        **{"env": environment(), "stdin": subprocess.DEVNULL} | more,
    )


def wrap(
    *command: str | bytes, folder: Path, options: tuple[str, ...] = (), **more: Any
) -> subprocess.CompletedProcess:
    """Run it to its end. Standard output and error are bytes."""
    process = start(
        *command, folder=folder, options=options, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more
    )
    out, err = process.communicate(timeout=PATIENCE_SECONDS)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def records(folder: Path) -> list[dict[str, Any]]:
    """Every record of a folder; fails for one that is half written."""
    return [json.loads(path.read_text()) for path in sorted(folder.glob("[0-9]*.json"))]


def record_of(process: subprocess.Popen, folder: Path) -> dict[str, Any] | None:
    """The record of one wrapper."""
    return next((record for record in records(folder) if record["pid"] == process.pid), None)


def stat(pid: int) -> list[str]:
    """State, parent, group and so on of a process, from behind its name; empty when it has gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def state(pid: int) -> str:
    """R, S, T, Z ...; empty when it has gone."""
    return next(iter(stat(pid)), "")


def start_ticks(pid: int) -> int:
    """When a process started, in clock ticks since boot."""
    return int(stat(pid)[19])


def children(pid: int) -> list[int]:
    """Direct children of a process, zombies too."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


class Terminal:
    """An interactive shell on a terminal of its own, as a person has it."""

    def __init__(self, folder: Path, home: Path) -> None:
        self._ours, theirs = os.openpty()
        self.text = ""
        self.folder = folder
        self._shell = subprocess.Popen(
            ["setsid", "--ctty", *AS_USUAL, "bash", "--norc", "--noprofile", "-i"],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=home,
            env=environment(
                {
                    "PS1": "ready> ",
                    "WRAP": f"{PROGRAM} run --runs.dir={folder} --",
                    "PYTHON": sys.executable,
                    "TERM": "dumb",
                }
            ),
        )
        os.close(theirs)
        self.expect("ready> ")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._shell.kill()
        self._shell.wait()
        os.close(self._ours)  # hangs up on whoever is left

    def type(self, keys: str) -> None:
        """Press keys; what was printed before does not count for `expect`."""
        self.text = ""
        os.write(self._ours, keys.encode())

    def expect(self, words: str) -> str:
        """Wait until words are on the screen; everything since the latest key."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while words not in self.text:
            readable, _, _ = select.select([self._ours], [], [], max(0.0, deadline - time.monotonic()))
            assert readable, f"{words!r} is not in {self.text!r}"
            self.text += os.read(self._ours, 65536).decode(errors="replace")
        return self.text

    def answer(self, command: str) -> str:
        """Run a short command; what it printed."""
        self.type(f"{command}; echo ==\n")
        printed = self.expect("\n==")
        # A line is echoed once or twice.
        return printed.rpartition("\n==")[0].rpartition("echo ==")[2].strip()
