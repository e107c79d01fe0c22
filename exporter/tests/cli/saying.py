"""What a command says in this process: as rows, or as the one line by which it refuses."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable

Say = Callable[..., tuple[int, str, str]]  # arguments -> exit status, standard output, standard error


def rows(say: Say, *arguments: str) -> list[dict[str, str]]:
    """Of its CSV."""
    status, out, _ = say(*arguments, "--format=csv")
    assert status == 0
    return list(csv.DictReader(io.StringIO(out)))


def assert_refused(say: Say, arguments: list[str], words: str) -> None:
    """In one line, with exit status 2."""
    status, out, err = say(*arguments)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("gputally: error: ")
    assert words in err
