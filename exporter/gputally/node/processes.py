"""Who the processes on a GPU are, from /proc: name, owner, start time. Knows nothing of drivers or jobs.

Only `stat` and the owner of the process's folder are read, which every user may; never the command line or
the environment, where secrets live. Names are chosen by the processes themselves and pass the sanitiser.
"""

import logging
import os
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from gputally.model import Instant, ProcessReading, ProcessRow
from gputally.model.clock import NS_PER_SECOND
from gputally.node.identity.owners import OwnerNames
from gputally.node.identity.proc import PID_MAX, Folder, hides_processes, read_file, sees_host
from gputally.node.labels import label_text

logger = logging.getLogger(__name__)
_N = TypeVar("_N", int, float)

CAP = 64  # rows a GPU; what is beyond stands together as `other`
OTHER = "other"
RECHECK_NS = 5 * NS_PER_SECOND  # how long a PID may change hands before its row says so
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
        if missing and rows and self._identify is None and not sees_host(self._root):
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
            if not 0 < reading.pid <= PID_MAX or reading.pid == self._own_pid:
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
        if read_file(f"{self._root}/self/stat") is None:
            return "no_proc"
        if hides_processes(self._root):
            return "hidepid"
        return "unresolved" if sees_host(self._root) else "pid_namespace"


def read_identity(root: str, pid: int) -> Identity | str:
    """Read name, effective owner and start time of a process, or say why that cannot be.

    None of it is mixed from two processes, even if the PID changes hands meanwhile (identity/proc.py).
    """
    try:
        with Folder(root, pid) as folder:
            process = folder.process()
    except (FileNotFoundError, ProcessLookupError):
        return "unresolved"
    except (OSError, ValueError):
        return "unreadable"
    return Identity(label_text(process.comm), None, process.uid, process.start_ticks)


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
