"""The command line as a user meets it: a process, its exit status and what it wrote."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

PROGRAM = Path(sys.executable).parent / "gputally"


@dataclass(frozen=True)
class Answer:
    """What became of a command."""

    status: int
    out: str
    err: str


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without what would configure gputally."""
    return {k: v for k, v in os.environ.items() if not k.startswith("GPUTALLY_")} | dict(more or {})


def gputally(
    *arguments: str | bytes,
    folder: Path,
    env: Mapping[str, str] | None = None,
    program: tuple[str | Path, ...] = (PROGRAM,),
    timeout: float = 30.0,
) -> Answer:
    """Run `gputally` in a folder to its end."""
    done = subprocess.run(
        [*program, *arguments],
        cwd=folder,
        env=environment(env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=timeout,
        check=False,
    )
    return Answer(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))


def assert_refused(answer: Answer, folder: Path, before: set[str]) -> str:
    """One line on standard error, exit status 2, no trace in the folder. Gives the line without its head."""
    assert (answer.status, answer.out) == (2, ""), answer
    assert answer.err.count("\n") == 1, answer.err
    assert answer.err.startswith("gputally: error: ")
    assert {entry.name for entry in folder.iterdir()} == before
    return answer.err.removeprefix("gputally: error: ").rstrip("\n")
