"""Who the processes on a GPU are, from /proc: name, owner, start time. Knows nothing of drivers or jobs.

Only `stat` and the owner of the process's folder are read, which every user may; never the command line or
the environment, where secrets live. Names are chosen by the processes themselves and pass the sanitiser.
"""

import logging
import os
import pwd
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from gputally.model import Instant, ProcessReading, ProcessRow
from gputally.model.clock import NS_PER_SECOND
from gputally.node.labels import label_text

logger = logging.getLogger(__name__)
_N = TypeVar("_N", int, float)

CAP = 64  # rows a GPU; what is beyond stands together as `other`
OTHER = "other"
RECHECK_NS = 5 * NS_PER_SECOND  # how long a PID may change hands before its row says so
_PID_MAX = 1 << 22  # the kernel's PID_MAX_LIMIT on 64-bit machines
_READ_BYTES = 2048  # a stat line is some 52 numbers and a name of 15 bytes, 63 for kernel threads
_START_FIELD = 19  # `starttime`, counted from the field behind the name
_LOOKUPS_PER_ROW = 4  # bounds the work of one call when a list is full of PIDs that lead nowhere

_WHY = {
    "no_proc": "no process information: {root} is not mounted or may not be read",
    "hidepid": "{root} is mounted with hidepid: other users' processes cannot be named",
    "pid_namespace": "the driver's PIDs belong to another PID namespace: run in the host's to name processes",
    "unresolved": "none of the driver's PIDs is in {root}",
}


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a PID is: named at first sight, kept for as long as it is the same process."""

    name: str
    user: str | None  # None = the owner of `uid`
    uid: int = -1
    start_ticks: int = 0  # since boot, in clock ticks; tells a process from a later one with its PID


@dataclass(slots=True)
class _Entry:
    found: Identity | str  # or the reason why there is none
    checked_ns: int
    seen_ns: int


class ProcessTable:
    """Names processes, remembers them while they stay, checks every few seconds that they are still the same.

    One table serves all GPUs of a machine, from one thread. `identify` replaces /proc for a source whose
    PIDs are its own invention: PID -> (name, user), or None.
    """

    def __init__(
        self,
        proc_root: Path = Path("/proc"),
        identify: Callable[[int], tuple[str, str] | None] | None = None,
        cap: int = CAP,
    ) -> None:
        self.reason = ""  # why no process can be named, as of the latest complete tick
        self.dropped: Counter[str] = Counter()  # readings not shown, one a tick, by reason
        self._root = str(proc_root)
        self._identify = identify
        self._cap = cap
        self._own_pid = os.getpid()
        self._entries: dict[int, _Entry] = {}
        self._owners = OwnerNames()
        self._tick_ns = 0
        self._pruned_ns = 0
        self._listed = self._named = 0  # by all GPUs in the running tick

    def rows(
        self, readings: Iterable[ProcessReading], now: Instant
    ) -> tuple[tuple[ProcessRow, ...], int, int]:
        """Name the processes of one GPU. All GPUs of a tick are asked with the same `now`.

        Returns the rows, how many distinct processes the driver lists (whether or not they can be named),
        and how many of them are folded into the row `other`.
        """
        self._begin(now)
        uses = self._merge(readings)
        by_memory = sorted(uses.values(), key=lambda use: (-(use.memory_bytes or 0), use.pid))
        rows: list[ProcessRow] = []
        rest: list[ProcessReading] = []
        missing: Counter[str] = Counter()
        looks = self._cap * _LOOKUPS_PER_ROW
        for use in by_memory:
            if len(rows) == self._cap or looks == 0:
                rest.append(use)
                continue
            looks -= 1
            found = self._find(use.pid, now.boot_ns)
            if isinstance(found, str):
                missing[found] += 1
            else:
                user = self._owners.name(found.uid, now.boot_ns) if found.user is None else found.user
                rows.append(ProcessRow(str(use.pid), found.name, user, use.memory_bytes, use.sm_ratio))
        if missing and rows and self._identify is None and not self._sees_host():
            # PIDs of another namespace: those that did resolve are namesakes, strangers to the GPU.
            missing["pid_namespace"] += len(rows)
            rows = []
        if missing:
            self.dropped += missing
        if not rows:
            rest = []  # what stands beside nothing but nonsense is nonsense too
        self._listed += len(uses)
        self._named += len(rows)
        if rest:
            rows.append(_other(rest))
        return tuple(rows), len(uses), len(rest)

    def identity(self, pid: int) -> Identity | None:
        """Who a PID of the latest ticks is, without another look at /proc."""
        entry = self._entries.get(pid)
        return entry.found if entry is not None and isinstance(entry.found, Identity) else None

    def _merge(self, readings: Iterable[ProcessReading]) -> dict[int, ProcessReading]:
        """One reading a PID. A process that is listed twice (compute and graphics) has its memory once.

        The driver gives the process's whole memory on the GPU in each list, so the larger figure stands.
        """
        uses: dict[int, ProcessReading] = {}
        for reading in readings:
            if not 0 < reading.pid <= _PID_MAX or reading.pid == self._own_pid:
                self.dropped["invalid"] += 1
                continue
            first = uses.setdefault(reading.pid, reading)
            if first is not reading:
                uses[reading.pid] = replace(
                    first,
                    memory_bytes=_larger(first.memory_bytes, reading.memory_bytes),
                    sm_ratio=_larger(first.sm_ratio, reading.sm_ratio),
                )
        return uses

    def _find(self, pid: int, now_ns: int) -> Identity | str:
        entry = self._entries.get(pid)
        if entry is None:
            # Spread over the period, so that a full list is not checked again all in one tick.
            checked_ns = now_ns - (pid % 16) * RECHECK_NS // 16
            entry = self._entries[pid] = _Entry(self._look(pid), checked_ns, now_ns)
        elif now_ns - entry.checked_ns >= RECHECK_NS:
            entry.found, entry.checked_ns = _same(entry.found, self._look(pid)), now_ns
        entry.seen_ns = now_ns
        return entry.found

    def _look(self, pid: int) -> Identity | str:
        if self._identify is None:
            return read_identity(self._root, pid)
        named = self._identify(pid)
        return Identity(label_text(named[0]), label_text(named[1])) if named is not None else "unresolved"

    def _begin(self, now: Instant) -> None:
        """Judge the tick that is over, forget who has left."""
        now_ns = now.boot_ns
        if now_ns == self._tick_ns:
            return
        if self._named:
            self._say("")
        elif self._listed > 1:
            self._say(self._diagnose())
        self._tick_ns, self._listed, self._named = now_ns, 0, 0
        if now_ns - self._pruned_ns >= RECHECK_NS:
            self._pruned_ns = now_ns
            gone = [pid for pid, entry in self._entries.items() if now_ns - entry.seen_ns >= RECHECK_NS]
            for pid in gone:
                del self._entries[pid]

    def _say(self, reason: str) -> None:
        if reason == self.reason:
            return
        self.reason = reason
        if reason:
            logger.warning(_WHY[reason].format(root=self._root))
        else:
            logger.info("processes can be named again")

    def _diagnose(self) -> str:
        if self._identify is not None:
            return "unresolved"
        if _read(f"{self._root}/self/stat") is None:
            return "no_proc"
        if _hides_processes(self._root):
            return "hidepid"
        return "unresolved" if self._sees_host() else "pid_namespace"

    def _sees_host(self) -> bool:
        """Whether this /proc shows the host's PIDs: only there PID 2 is the parent of kernel threads."""
        return _read(f"{self._root}/2/comm") == b"kthreadd\n" or _hides_processes(self._root)


class OwnerNames:
    """User names by uid, remembered. A directory service that does not answer costs one thread, no tick."""

    def __init__(self, lookup: Callable[[int], str] = lambda uid: pwd.getpwuid(uid).pw_name) -> None:
        self._lookup = lookup  # raises KeyError or OSError where there is no name
        self._names: dict[int, str] = {}
        self._unknown_since_ns: dict[int, int] = {}
        self._thread: threading.Thread | None = None

    def name(self, uid: int, now_ns: int) -> str:
        """Say who owns a uid; the number itself while nobody knows or the answer is not yet there."""
        since_ns = self._unknown_since_ns.get(uid)
        if since_ns is not None and now_ns - since_ns > 600 * NS_PER_SECOND:
            del self._unknown_since_ns[uid], self._names[uid]
        known = self._names.get(uid)
        if known is not None:
            return known
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._ask, args=(uid, now_ns), name="owner", daemon=True)
            self._thread.start()
            self._thread.join(0.1)  # files answer in microseconds, a healthy LDAP in milliseconds
        return self._names.get(uid, str(uid))

    def _ask(self, uid: int, now_ns: int) -> None:
        try:
            self._names[uid] = label_text(self._lookup(uid)) or str(uid)
        except (KeyError, OSError, OverflowError):
            self._unknown_since_ns[uid] = now_ns
            self._names[uid] = str(uid)


def read_identity(root: str, pid: int) -> Identity | str:
    """Read name, effective owner and start time of a process, or say why that cannot be.

    All through one descriptor of the process's folder, which stays with that process: when it dies and its
    PID is given away in between, the read fails rather than mixing two processes.
    """
    try:
        folder = os.open(f"{root}/{pid}", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            # A process that has died, or that hidepid hides, can still be opened; the next call says so.
            uid = os.fstat(folder).st_uid
            file = os.open("stat", os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)
            try:
                return _parse_stat(os.read(file, _READ_BYTES), uid)
            finally:
                os.close(file)
        finally:
            os.close(folder)
    except (FileNotFoundError, ProcessLookupError):
        return "unresolved"
    except OSError:
        return "unreadable"


def _parse_stat(stat: bytes, uid: int) -> Identity | str:
    # The name stands raw between the first `(` and the last `)`; it may hold either, blanks and newlines.
    head, _, tail = stat.rpartition(b")")
    try:
        start_ticks = int(tail.split()[_START_FIELD])
    except (IndexError, ValueError):
        return "unreadable"
    return Identity(label_text(head.partition(b"(")[2]), None, uid, start_ticks)


def _same(old: Identity | str, new: Identity | str) -> Identity | str:
    """Keep the first name of a process: one that renames itself all the time must not make new series."""
    if isinstance(old, Identity) and isinstance(new, Identity):
        return old if (old.start_ticks, old.uid, old.user) == (new.start_ticks, new.uid, new.user) else new
    return new


def _other(rest: list[ProcessReading]) -> ProcessRow:
    memory = [use.memory_bytes for use in rest if use.memory_bytes is not None]
    sm_ratio = [use.sm_ratio for use in rest if use.sm_ratio is not None]
    return ProcessRow(
        OTHER, OTHER, OTHER, sum(memory) if memory else None, sum(sm_ratio) if sm_ratio else None
    )


def _larger(one: _N | None, two: _N | None) -> _N | None:
    return two if one is None else one if two is None else max(one, two)


def _hides_processes(root: str) -> bool:
    """Whether /proc is mounted so that it shows a user only the user's own processes (proc(5), hidepid)."""
    try:
        mounts = Path(root, "self/mountinfo").read_bytes().splitlines()
    except OSError:
        return False
    hides = False
    for line in mounts:  # in the order of mounting: of two at one place, the later one counts
        before, _, after = line.partition(b" - ")
        mount, about = before.split(), after.split()
        if len(mount) > 4 and len(about) == 3 and about[0] == b"proc" and mount[4] == os.fsencode(root):
            options = set(about[2].split(b",")) - {b"hidepid=0", b"hidepid=off"}
            hides = any(option.startswith(b"hidepid=") for option in options)
    return hides


def _read(path: str) -> bytes | None:
    try:
        return Path(path).read_bytes()
    except OSError:
        return None
