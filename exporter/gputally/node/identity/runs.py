"""Reads the records of `gputally run`, from a folder in which every user of the machine may put anything.

A record counts only if its file belongs to the owner of the process that it is about; the kernel answers for
PID, start and owner, the rest is what the user says about the user's own work. Nothing in the folder can make
a reader wait or remember without bound: no listing, no links, no FIFOs, no more than a page of text.
"""

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from stat import S_ISREG
from typing import Any

from gputally.node.identity import runfile
from gputally.node.identity.parts import RunRecord
from gputally.node.identity.protocol import End
from gputally.node.labels import label_text

logger = logging.getLogger(__name__)
_REMEMBERED = 1024  # files whose owner, or whose refusal, is remembered
_SECONDS_MAX = 2.0**40  # far beyond every calendar
_BOOT_ID_LENGTH = 36  # of a UUID


class RunRecords:
    """The folder. With a boot id, records of other boots are refused; without one they are not told apart.

    Reads files and nothing else, so that one instance can serve as long as the agent lives.
    """

    def __init__(self, folder: Path, boot_id: str = "") -> None:
        self._folder = str(folder)
        self._boot_id = boot_id
        self._owners: dict[str, int] = {}  # path -> uid whose record was found there
        self._refused: dict[str, None] = {}  # paths, oldest first
        self._conflicts = 0

    def find(self, pid: int, start_ticks: int, uid: int) -> RunRecord | None:
        """Find the record of the wrapper that is this very process; None if there is none that counts."""
        path = f"{self._folder}/{runfile.file_name(pid, start_ticks)}"
        record = self._record(path, pid, start_ticks, uid)
        if record is not None:
            _remember(self._owners, path, uid)
        return record

    def reread(self, path: str) -> RunRecord | None:
        """Read a record again that was found earlier, be it by the agent before this one."""
        folder, _, name = path.rpartition("/")
        process = runfile.process_of(name)
        if process is None or folder != self._folder:
            return None
        return self._record(path, *process, self._owners.get(path))

    def conflicts(self) -> Mapping[str, int]:
        """Files that were there and were refused, each counted once."""
        return {"record": self._conflicts}

    def _record(self, path: str, pid: int, start_ticks: int, uid: int | None) -> RunRecord | None:
        try:
            return self._parse(_read(path, uid), pid, start_ticks, path)
        except (FileNotFoundError, NotADirectoryError):
            return None  # not wrapped, or nobody wraps on this machine
        except (OSError, ValueError, RecursionError) as error:
            self._refuse(path, error)
            return None

    def _refuse(self, path: str, error: Exception) -> None:
        if path not in self._refused:
            _remember(self._refused, path, None)
            self._conflicts += 1
            logger.debug("record %s refused: %s", path, error)

    def _parse(self, raw: bytes, pid: int, start_ticks: int, path: str) -> RunRecord:
        found = _fields(raw)
        if (found["version"], found["pid"], found["start_ticks"]) != (runfile.VERSION, pid, start_ticks):
            raise ValueError("it is about another process")
        boot_id = _text(found, "boot_id", _BOOT_ID_LENGTH)
        if self._boot_id not in ("", boot_id):
            raise ValueError("it is of another boot")
        texts = {name: label_text(_text(found, name)) for name in runfile.TEXTS}
        start_seconds = _seconds(found["start_seconds"], 0.0)
        return RunRecord(
            job_id=label_text(runfile.job_id(pid, start_ticks, boot_id)),
            job_name=texts["job_name"],
            team=texts["team"],
            model=texts["model"],
            start_seconds=start_seconds,
            end=_end(found, start_seconds),
            path=path,
        )


def _read(path: str, uid: int | None) -> bytes:
    """Read a regular file of this owner. Raises OSError, ValueError.

    O_NONBLOCK: neither a FIFO nor a lease (fcntl(2), F_SETLEASE) makes us wait. A file system that a user has
    mounted over the file could, for ever, and is told by the number of its mount, which nobody is asked for.
    """
    if not _same_mount(path):
        raise ValueError("another file system is mounted there")
    file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        about = os.fstat(file)
        if not S_ISREG(about.st_mode):
            raise ValueError("no regular file")
        if uid not in (None, about.st_uid):
            raise ValueError("the file is not the process owner's")
        if about.st_size > runfile.MOST_BYTES:
            raise ValueError("too long")
        return os.read(file, runfile.MOST_BYTES)  # what has grown since is cut, and then makes no sense
    finally:
        os.close(file)


def _same_mount(path: str) -> bool:
    """Whether a file is on the mount of its folder. Raises OSError where there is none."""
    return _mount(path) == _mount(os.path.dirname(path))  # noqa: PTH120 - a text, for open()


def _mount(path: str) -> bytes:
    file = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        info = Path(f"/proc/self/fdinfo/{file}").read_bytes()  # proc_pid_fdinfo(5)
    finally:
        os.close(file)
    return info.partition(b"mnt_id:")[2].partition(b"\n")[0]


def _fields(raw: bytes) -> dict[str, Any]:
    """Take the object apart: all its fields, each once, and no others. Raises ValueError, RecursionError."""
    found = json.loads(raw.decode(), object_pairs_hook=_unique)
    if not isinstance(found, dict):
        raise ValueError("no object")  # noqa: TRY004 - as every other fault of the text
    ended = found.get("state") != runfile.RUNNING
    if set(found) != {*runfile.FIELDS, *(runfile.END_FIELDS if ended else ())}:
        raise ValueError("other fields than expected")
    if any(type(found[name]) is not int for name in ("version", "pid", "start_ticks")):
        raise ValueError("not a whole number")
    return found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a field is there twice")
    return fields


def _text(found: Mapping[str, Any], name: str, longest: int = runfile.LONGEST) -> str:
    text = found[name]
    if not isinstance(text, str) or len(text) > longest:
        raise ValueError(f"{name}: no text of {longest} characters at most")
    return text


def _seconds(value: object, earliest: float) -> float:
    if type(value) not in (int, float) or not earliest <= value <= _SECONDS_MAX:  # type: ignore[operator]
        raise ValueError("no time")
    return float(value)  # type: ignore[arg-type]


def _end(found: Mapping[str, Any], start_seconds: float) -> End | None:
    state, code = found["state"], found.get("exit_code")
    if state == runfile.RUNNING:
        return None
    if state not in runfile.ENDED or type(code) is not int or not 0 <= code <= 255:
        raise ValueError("no end that a command can have")
    return End(_seconds(found["end_seconds"], start_seconds), state, code)


def _remember(where: dict[str, Any], key: str, value: object) -> None:
    where[key] = value
    if len(where) > _REMEMBERED:
        del where[next(iter(where))]
