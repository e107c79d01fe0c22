"""Shipped files into a folder of the site's, again at every upgrade, without losing what was changed there.

A record in the folder tells the text of each file that was offered last, in the format of sha256sum(1). What
still is as recorded is ours to renew or, when it is shipped no longer, to remove: Prometheus reads every
rule file that it finds. Any other has been changed by hand; it stays, and the new text is put beside it.
"""

import hashlib
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path, PurePosixPath

from gputally.cli.placing import replace_file
from gputally.node.folders import make_folder

RECORD = ".gputally-export.sha256"
BESIDE = ".new"  # no program reads `*.yml.new` for `*.yml`
_PROGRAM, _TEXT = 0o755, 0o644


class Action(Enum):
    """What is done with one file."""

    SAME = "same"
    WRITE = "write"
    KEEP = "keep"  # changed here, and nothing new to offer
    OFFER = "offer"  # changed here: the new text goes beside it
    REMOVE = "remove"  # shipped no longer, and never touched here
    LEAVE = "leave"  # shipped no longer, and changed here


@dataclass(frozen=True, slots=True)
class Step:
    """One file below the folder and what is done with it."""

    path: str
    action: Action


def digest(data: bytes) -> str:
    """What the record says of a text."""
    return hashlib.sha256(data).hexdigest()


def read_record(folder: Path) -> dict[str, str]:
    """Path -> digest, as the last export left them; lines that cannot be ours are ignored. Raises OSError."""
    try:
        lines = (folder / RECORD).read_text("utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return {}
    found = (line.partition("  ") for line in lines)
    return {path: sum_ for sum_, _, path in found if _stays_below(path)}


def _stays_below(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return bool(parts) and parts[0] != "/" and ".." not in parts


def plan(folder: Path, shipped: Mapping[str, bytes], *, force: bool) -> list[Step]:
    """What is to be done, in order of paths; nothing is written. Raises OSError."""
    record = read_record(folder)
    steps = [
        Step(path, _action(folder / path, data, record.get(path), force)) for path, data in shipped.items()
    ]
    for path in sorted(set(record) - set(shipped)):
        found = _content(folder / path)
        if found is not None:
            ours = digest(found) == record[path]
            steps.append(Step(path, Action.REMOVE if ours else Action.LEAVE))
    return steps


def _action(path: Path, data: bytes, recorded: str | None, force: bool) -> Action:
    found = _content(path)
    if found == data and not path.is_symlink():
        return Action.SAME
    if found is None or force or digest(found) == recorded:
        return Action.WRITE
    return Action.KEEP if digest(data) == recorded else Action.OFFER


def _content(path: Path) -> bytes | None:
    """What lies there; None = nothing. A link counts as a changed file: somebody made it. Raises OSError."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return None
    if stat.S_ISLNK(found.st_mode):
        return bytes(path.readlink())
    return path.read_bytes()


def carry_out(folder: Path, shipped: Mapping[str, bytes], steps: list[Step]) -> None:
    """Do what was planned, and record it at the end. Raises OSError."""
    for step in steps:
        path = folder / step.path
        if step.action is Action.WRITE:
            _put(path, shipped[step.path])
        elif step.action is Action.OFFER:
            _put(_beside(path), shipped[step.path])
        elif step.action is Action.REMOVE:
            path.unlink()
        if step.action in (Action.WRITE, Action.SAME, Action.REMOVE):
            with suppress(FileNotFoundError):  # what an earlier export had put there
                _beside(path).unlink()
    make_folder(folder)
    replace_file(folder / RECORD, "".join(_record_lines(shipped)).encode())


def _beside(path: Path) -> Path:
    return path.with_name(path.name + BESIDE)


def _put(path: Path, data: bytes) -> None:
    make_folder(path.parent)
    replace_file(path, data, _PROGRAM if data.startswith(b"#!") else _TEXT)


def _record_lines(shipped: Mapping[str, bytes]) -> Iterator[str]:
    for path, data in shipped.items():
        yield f"{digest(data)}  {path}\n"
