"""What is fuzzed: a parser, inputs that it knows well, and what must hold whatever it is given."""

import atexit
import tempfile
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class Target:
    """One parser."""

    name: str
    check: Callable[[bytes], bool]  # whether it was read; raises for what should not be
    seeds: Callable[[], Iterable[bytes]]
    longest: int = 4096  # bytes that an input is let grow to; a seed may be longer


@cache
def folder() -> Path:
    """Where parsers that read files find theirs: in memory, gone at the end."""
    memory = Path("/dev/shm")  # noqa: S108 - a folder of ours is made in it
    there = tempfile.TemporaryDirectory(prefix="gputally-fuzz-", dir=memory if memory.is_dir() else None)
    atexit.register(there.cleanup)
    return Path(there.name)


def file(name: str, data: bytes) -> Path:
    """A file with these bytes."""
    path = folder() / name
    path.write_bytes(data)
    return path


def one_line(message: str, most: int = 2000, without: str = "\n") -> None:
    """What a person is told about a bad input: a line that drives no terminal and shows no secret."""
    assert message, "an error without a word"
    assert message.isprintable(), message
    assert len(message) <= most, len(message)
    assert without not in message, message


def declared(reason: str, reasons: Collection[str], message: str) -> None:
    """A fault is one of those that the parser has words for."""
    assert reason in reasons, reason
    one_line(message)
