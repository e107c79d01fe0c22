"""Writes the record of one `gputally run`, and clears away its user's old ones.

Raises OSError and ValueError where the folder or /proc will not have it; nothing here is worth a user's job.
"""

import contextlib
import json
import os
import time
from itertools import islice
from pathlib import Path
from stat import S_ISREG

from gputally.node.identity import runfile

KEPT_SECONDS = 86_400.0  # how long the record of an ended run stays
_LOOKED_AT = 10_000  # files of a folder that anybody may fill
_START_FIELD = 19  # `starttime` of proc_pid_stat(5), counted from the field behind the name


class Record:
    """The record of this process in a folder of records. Writes it at once, as running."""

    def __init__(self, folder: str, command: str, names: dict[str, str]) -> None:
        stat = Path("/proc/self/stat").read_bytes()
        pid, start_ticks = int(stat.split(b" ", 1)[0]), _start_ticks(stat)
        self._folder = os.open(folder or "?", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._name = runfile.file_name(pid, start_ticks)
        self._start_seconds = round(time.time(), 3)
        texts = {"job_name": "", "team": "", "model": ""} | names | {"command": os.path.basename(command)}  # noqa: PTH119 - bytes that are no path too
        self._content: dict[str, object] = {
            "version": runfile.VERSION,
            "pid": pid,
            "start_ticks": start_ticks,
            "boot_id": Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
            **{name: bounded(text) for name, text in texts.items()},
            "start_seconds": self._start_seconds,
            "state": runfile.RUNNING,
        }
        self._write()

    def end(self, state: str, exit_code: int) -> None:
        """Say how it ended."""
        end_seconds = max(self._start_seconds, round(time.time(), 3))  # the wall clock may have been set back
        self._content |= {"state": state, "end_seconds": end_seconds, "exit_code": exit_code}
        self._write()

    def _write(self) -> None:
        """Replace the record as a whole. The name in between cannot be guessed, so nobody can occupy it."""
        passing = f".{os.urandom(8).hex()}.tmp"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        file = os.open(passing, flags, 0o600, dir_fd=self._folder)
        try:
            with os.fdopen(file, "wb") as stream:
                os.fchmod(file, 0o644)  # the agent is another user, whatever the umask
                stream.write(f"{json.dumps(self._content, ensure_ascii=False)}\n".encode())
            os.rename(passing, self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(passing, dir_fd=self._folder)
            raise


def bounded(text: str) -> str:
    """Cut to what a record may hold; what does not print goes, so that no text is longer than it looks."""
    decoded = os.fsencode(text).decode(errors="replace")
    return "".join(c if c.isprintable() else "_" for c in decoded[: runfile.LONGEST])


def clear_old(folder: str) -> None:
    """Remove this user's records of processes that are gone, a day after they were last written."""
    oldest = time.time() - KEPT_SECONDS
    with os.scandir(folder) as entries:
        for entry in islice(entries, _LOOKED_AT):
            process = runfile.process_of(entry.name)
            if process is None and not (entry.name.startswith(".") and entry.name.endswith(".tmp")):
                continue
            about = entry.stat(follow_symlinks=False)
            if about.st_uid != os.geteuid() or about.st_mtime > oldest or not S_ISREG(about.st_mode):
                continue
            if process is None or not _lives(*process):
                os.unlink(entry.path)  # noqa: PTH108 - as scandir gives it


def _lives(pid: int, start_ticks: int) -> bool:
    try:
        return _start_ticks(Path(f"/proc/{pid}/stat").read_bytes()) == start_ticks
    except OSError:
        return False


def _start_ticks(stat: bytes) -> int:
    return int(stat.rpartition(b")")[2].split()[_START_FIELD])
