"""A file with a table of jobs, whichever of the three it is, read line by line; of gzip, too.

What comes through a pipe is copied to disk first: nobody holds the ledger while `sacct` thinks.
"""

import gzip
import hashlib
import io
import os
import shutil
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO

from gputally.model.elsewhere import Found
from gputally.site.ledger.jobsacct import Terms, is_header, read_sacct
from gputally.site.ledger.jobtables import read_csv, read_json
from gputally.site.ledger.jobwords import BadTable

FORMS = ("sacct", "csv", "json")
STDIN = "-"
MOST_JSON_BYTES = 64 << 20
_GZIP = b"\x1f\x8b"
_CHUNK = 1 << 20


class HalfFile(Exception):
    """The file cannot be read to its end; `str()` is why."""


@dataclass(frozen=True, slots=True)
class JobFile:
    """An open file."""

    raw: BinaryIO
    size: int  # bytes, as it lies there
    sha256: str
    at_s: int | None  # when it was written last; None for what came through a pipe

    def place(self) -> int:
        """How many of its bytes have been read."""
        return self.raw.tell()

    def rows(self, form: str, terms: Terms, columns: Sequence[str] = ()) -> Iterator[Found]:
        """All rows; `form` of FORMS.

        Raises:
            BadTable: it is no such table.
            HalfFile: it ends too early, or cannot be read.
        """
        try:
            with self._text() as text:
                if form == "sacct":
                    yield from read_sacct(text, terms, columns)
                elif form == "csv":
                    yield from read_csv(text, terms)
                else:
                    yield from read_json(_whole(text), terms)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise HalfFile(f"gzip: {error}") from None
        except OSError as error:
            raise HalfFile(error.strerror or str(error)) from None

    def form(self) -> str:
        """Which of FORMS it looks like."""
        try:
            with self._text() as text:
                line = next((line for line in text if line.strip()), "")
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise HalfFile(f"gzip: {error}") from None
        if line.lstrip()[:1] in ("[", "{"):
            return "json"
        fields = line.rstrip("\r\n").split("|")
        return "sacct" if is_header(fields) or len(fields) > 2 else "csv"

    @contextmanager
    def _text(self) -> Iterator[IO[str]]:
        self.raw.seek(0)
        zipped = self.raw.read(2) == _GZIP
        self.raw.seek(0)
        stream = gzip.GzipFile(fileobj=self.raw) if zipped else self.raw
        text = io.TextIOWrapper(stream, "utf-8-sig", errors="replace", newline="")
        try:
            yield text
        finally:
            text.detach()


def _whole(text: IO[str]) -> str:
    read = text.read(MOST_JSON_BYTES + 1)
    if len(read) > MOST_JSON_BYTES:
        raise BadTable(f"JSON of more than {MOST_JSON_BYTES >> 20} MiB: an object in each line, or CSV")
    return read


@contextmanager
def opened(path: Path, stdin: BinaryIO) -> Iterator[JobFile]:
    """A file, or standard input for `-`. Raises OSError."""
    with path.open("rb") if str(path) != STDIN else _copied(stdin) as raw:
        digest, size = hashlib.sha256(), 0
        while chunk := raw.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
        at_s = int(os.fstat(raw.fileno()).st_mtime) if str(path) != STDIN else None
        yield JobFile(raw, size, digest.hexdigest(), at_s)


def _copied(stdin: BinaryIO) -> BinaryIO:
    spool = tempfile.TemporaryFile()  # noqa: SIM115 - whoever gets it closes it
    shutil.copyfileobj(stdin, spool, _CHUNK)
    spool.seek(0)
    return spool
