"""A file to import, read once from beginning to end: unpacked, in bounded memory, and known by its sum.

Whatever shows that it is not whole (a packed stream that breaks off, a last line without its end, a file that
grows while it is read) makes it unusable as a whole: half a bill would replace a whole one.
"""

import gzip
import hashlib
import io
import os
import stat
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from gputally.config.yamltree import fingerprint

LONGEST_LINE = 1 << 20  # characters
_CHUNK = 1 << 18
_GZIP = b"\x1f\x8b"
_OTHERS = {
    b"PAR1": "Parquet",
    b"PK\x03\x04": "a zip archive or a spreadsheet",
    b"(\xb5/\xfd": "packed by zstd",
}
Progress = Callable[[int], object]  # bytes of the file that were read since the last call


class BadFile(Exception):
    """A file that cannot be imported. `str()` is one line: `FILE:LINE: what is wrong`."""

    def __init__(self, file: str, message: str, line: int = 0) -> None:
        place = f"{file}:{line}" if line else file
        text = f"{place}: {message}"
        super().__init__("".join(c if c.isprintable() else "?" for c in text))


class FaultyFile(BadFile):
    """A file that could not be read, for reasons that are not in it."""


def size_of(path: Path) -> int:
    """Bytes, for a bar that shows how far it is; 0 where it cannot be told."""
    try:
        return path.stat().st_size
    except (OSError, ValueError):
        return 0


class Source:
    """An open file: its lines, and its sum once they were read."""

    def __init__(self, path: Path, raw: "_Summing") -> None:
        self.name, self.line = str(path), 0
        self._raw = raw
        self._text: IO[str] = io.TextIOWrapper(_unpacked(self.name, raw), encoding="utf-8-sig", newline="")
        self._first: str | None = None

    @property
    def sha256(self) -> str:
        """Of the file as it lies there, packed or not; complete once all lines were read."""
        return self._raw.sha256.hexdigest()

    def first(self) -> str:
        """The first line, which stays to be read. Raises BadFile."""
        if self._first is None:
            self._first = self._next()
        return self._first

    def lines(self) -> Iterator[str]:
        """Each line with its end. Raises BadFile."""
        while line := self._taken():
            self.line += 1
            if line[-1] not in "\r\n":
                if len(line) >= LONGEST_LINE:
                    raise self.bad("a line of more than a million characters")
                raise self.bad(
                    "the file ends in the middle of a line: is it whole? If it is, end it with a newline"
                )
            yield line
        self._raw.drain()

    def text(self, most: int) -> str:
        """All of it. Raises BadFile, also where it has more characters than `most`."""
        parts, length = [], 0
        while part := self._taken():
            parts.append(part)
            length += len(part)
            if length > most:
                raise BadFile(self.name, f"JSON of more than {most >> 20} MiB: write it as CSV")
        self._raw.drain()
        return "".join(parts)

    def _taken(self) -> str:
        line, self._first = self.first(), None
        return line

    def bad(self, message: str, line: int = 0) -> BadFile:
        """Make the error that names the file and the line."""
        return BadFile(self.name, message, line or self.line)

    def _next(self) -> str:
        try:
            return self._text.readline(LONGEST_LINE)
        except UnicodeDecodeError as error:
            raise BadFile(self.name, f"not UTF-8 after line {self.line}: {error.reason}") from None
        except EOFError:
            raise self.bad("the packed file ends too early: it is not whole") from None
        except (gzip.BadGzipFile, zlib.error) as error:
            raise self.bad(f"the packed file is damaged: {error}") from None
        except OSError as error:
            raise FaultyFile(self.name, f"cannot be read: {error.strerror}") from None


@contextmanager
def opened(path: Path, progress: Progress) -> Iterator[Source]:
    """A regular file, to be read once. Raises BadFile where it is none, or has changed meanwhile."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise BadFile(str(path), f"cannot be read: {why}") from None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise BadFile(str(path), "expected a regular file, found a directory, pipe or device")
        before = fingerprint(path)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            yield Source(path, _Summing(file, progress))
        if fingerprint(path) != before:
            raise BadFile(str(path), "it changed while it was read: import it again when it is whole")
    finally:
        os.close(descriptor)


def _unpacked(name: str, raw: "_Summing") -> IO[bytes]:
    buffered = io.BufferedReader(raw, _CHUNK)
    head = buffered.peek(4)
    for magic, what in _OTHERS.items():
        if head.startswith(magic):
            raise BadFile(name, f"expected CSV or JSON, perhaps packed by gzip, found {what}")
    if head.startswith(_GZIP):
        return io.BufferedReader(gzip.GzipFile(fileobj=buffered), _CHUNK)
    return buffered


class _Summing(io.RawIOBase):
    """Bytes of a file on their way, summed up."""

    def __init__(self, file: IO[bytes], progress: Progress) -> None:
        self._file, self._progress = file, progress
        self.sha256 = hashlib.sha256()

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """The next bytes."""
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        self.sha256.update(data)
        self._progress(len(data))
        return len(data)

    def drain(self) -> None:
        """Read what is left."""
        while self.readinto(memoryview(bytearray(_CHUNK))):
            pass
