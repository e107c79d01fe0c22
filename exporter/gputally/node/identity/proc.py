"""Reads of one process from /proc, and what they say. Knows nothing of jobs.

Everything of a process is read through one descriptor of its folder, which stays with that process: when it
dies and its PID is given away in between, a read fails rather than mixing two processes.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from gputally.model import Instant
from gputally.model.clock import NS_PER_SECOND

PID_MAX = 1 << 22  # the kernel's PID_MAX_LIMIT on 64-bit machines
MOST_ANCESTORS = 64
_STAT_BYTES = 2048  # a stat line is some 52 numbers and a name of 15 bytes, 63 for kernel threads
MOST_BYTES = 65_536  # of anything else
# Positions behind the name, proc_pid_stat(5): the name is field 2.
_STATE, _PARENT, _GROUP, _SESSION, _TERMINAL, _START = 0, 1, 2, 3, 4, 19
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Process:
    """One process as it was when it was read. Its name is its own choice: bytes that nobody has looked at."""

    pid: int
    uid: int  # effective owner
    start_ticks: int  # since boot; tells a process from a later one with its PID
    comm: bytes = b""
    state: str = ""  # R, S, D, Z = a zombie, ...
    parent: int = 0
    group: int = 0  # process group
    session: int = 0
    terminal: int = 0  # 0 = has none

    def start_seconds(self, now: Instant) -> float:
        """Unix time of the start, on the clock as it is set now."""
        return (now.wall_ns - now.boot_ns) / NS_PER_SECOND + self.start_ticks / _TICKS_PER_SECOND


class Folder:
    """The folder of one process, held open. FileNotFoundError or ProcessLookupError when it has gone."""

    def __init__(self, root: str, pid: int) -> None:
        self._pid = pid
        self._fd = os.open(f"{root}/{pid}", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._fd)

    def process(self) -> Process:
        """Who this is. Raises OSError, and ValueError where `stat` makes no sense."""
        return parse_stat(self._pid, self._owner(), self._read("stat", _STAT_BYTES))

    def cgroup(self) -> bytes:
        """Content of `cgroup`, which every user may read; bounded."""
        return self._read("cgroup", MOST_BYTES)

    def environ(self) -> bytes:
        """Content of `environ`, as the process last left it; bounded. Full of secrets: look and drop."""
        return self._read("environ", MOST_BYTES)

    def _owner(self) -> int:
        # A process that has died, or that hidepid hides, could still be opened; this call says so. The folder
        # shows the effective owner even of a process that may not be traced, unlike the files in it.
        return os.fstat(self._fd).st_uid

    def _read(self, name: str, most: int) -> bytes:
        file = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._fd)
        try:
            text = os.read(file, most)
            while len(text) < most and (more := os.read(file, most - len(text))):
                text += more  # the kernel may give a page at a time
            return text
        finally:
            os.close(file)


def parse_stat(pid: int, uid: int, stat: bytes) -> Process:
    """Read a stat line. Raises ValueError."""
    # The name stands raw between the first `(` and the last `)`; it may hold either, blanks and newlines.
    head, _, tail = stat.rpartition(b")")
    fields = tail.split()
    try:
        return Process(
            pid=pid,
            uid=uid,
            start_ticks=int(fields[_START]),
            comm=head.partition(b"(")[2],
            state=fields[_STATE].decode(errors="replace"),
            parent=int(fields[_PARENT]),
            group=int(fields[_GROUP]),
            session=int(fields[_SESSION]),
            terminal=int(fields[_TERMINAL]),
        )
    except IndexError:
        raise ValueError("stat line is too short") from None


def read_process(root: str, pid: int) -> Process | None:
    """Who has a PID now; None = nobody, or nobody that may be seen."""
    if not 0 < pid <= PID_MAX:
        return None
    try:
        with Folder(root, pid) as folder:
            return folder.process()
    except (OSError, ValueError):
        return None


def ancestors(process: Process, read: Callable[[int], Process | None]) -> Iterator[Process]:
    """Parent, grandparent and so on, as far as `read` can see them; PID 1 not among them."""
    child = process
    for _ in range(MOST_ANCESTORS):
        if child.parent <= 1:
            return
        parent = read(child.parent)
        # A parent that died has given its PID away when the new owner is younger than its supposed child.
        if parent is None or parent.start_ticks > child.start_ticks:
            return
        yield parent
        child = parent


def boot_id(root: str) -> str:
    """What the kernel calls this boot; "" where it does not say."""
    return (read_file(f"{root}/sys/kernel/random/boot_id") or b"").decode("ascii", "replace").strip()


def sees_host(root: str) -> bool:
    """Whether this /proc shows the host's PIDs: only there PID 2 is the parent of kernel threads."""
    return read_file(f"{root}/2/comm") == b"kthreadd\n" or hides_processes(root)


def is_own(root: str) -> bool:
    """Whether PIDs in this /proc are those of our own system calls."""
    try:
        return str(Path(root, "self").readlink()) == str(os.getpid())
    except OSError:
        return False


def hides_processes(root: str) -> bool:
    """Whether /proc is mounted so that it shows a user only the user's own processes (proc(5), hidepid)."""
    mounts = (read_file(f"{root}/self/mountinfo") or b"").splitlines()
    hides = False
    for line in mounts:  # in the order of mounting: of two at one place, the later one counts
        before, _, after = line.partition(b" - ")
        mount, about = before.split(), after.split()
        if len(mount) > 4 and len(about) == 3 and about[0] == b"proc" and mount[4] == os.fsencode(root):
            options = set(about[2].split(b",")) - {b"hidepid=0", b"hidepid=off"}
            hides = any(option.startswith(b"hidepid=") for option in options)
    return hides


def read_file(path: str) -> bytes | None:
    """All of a file; None where it cannot be read."""
    try:
        return Path(path).read_bytes()
    except OSError:
        return None
