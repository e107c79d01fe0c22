"""Puts the stand-ins on PATH for one test, and says what they are to play."""

from __future__ import annotations

import os
import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

HERE = Path(__file__).parent
CAPTURES = HERE.parent / "captures"


def captures_of(program: str) -> list[str]:
    """The names of a program's captures."""
    return sorted(folder.name for folder in (CAPTURES / program).iterdir() if folder.is_dir())


class StandIn:
    """One program on a PATH of its own, in front of the real one."""

    def __init__(self, program: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.program = program
        self.folder = folder / "bin"
        self.folder.mkdir()
        self._runs = folder / "runs"
        self._monkeypatch = monkeypatch
        # By the Python that runs already: a python3 on PATH may be a slow wrapper.
        start = self.folder / program
        start.write_text(
            f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -IS {shlex.quote(str(HERE / program))} "$@"\n'
        )
        start.chmod(0o755)
        monkeypatch.setenv("PATH", f"{self.folder}{os.pathsep}{os.environ['PATH']}")
        monkeypatch.setenv("STANDIN_RUNS", str(self._runs))
        self.behave("")

    def play(self, capture: str) -> StandIn:
        """Answer out of this capture from now on."""
        self._monkeypatch.setenv("STANDIN_CAPTURE", str(CAPTURES / self.program / capture))
        return self

    def behave(self, words: str) -> StandIn:
        """Misbehave from now on; see behave.py for the words."""
        self._monkeypatch.setenv("STANDIN_BEHAVIOUR", words)
        return self

    def lines(self) -> list[list[str]]:
        """What the runs have left, split at spaces."""
        if not self._runs.exists():
            return []
        return [line.split() for line in self._runs.read_text().splitlines()]

    def runs(self) -> list[str]:
        """The first argument of each run since the last time, without what follows `=`."""
        found = [words[1].partition("=")[0] for words in self.lines() if words[0].isdigit()]
        self._runs.unlink(missing_ok=True)
        return found

    def pids(self) -> list[int]:
        """PIDs of all that ran, grandchildren included."""
        return [
            int(words[1] if words[0] == "grandchild" else words[0])
            for words in self.lines()
            if words != ["ready"]
        ]


def is_gone(pid: int) -> bool:
    """Whether there is neither a process of that PID nor a zombie that we have left."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state[0] == "Z" and int(state[1]) != os.getpid()  # an orphan that whoever inherited it will reap


def eventually(true: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Whether it comes true in time."""
    until = time.monotonic() + seconds
    while not true():
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True
