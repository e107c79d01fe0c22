"""The state file: counters that outlive the process, the driver and the machine.

Written at every tick before the tick is published, so a killed process loses nothing that was scraped. Not
every write reaches the disk at once: after a power cut the newest that did may be FLUSH_NS old, and then
`gpustate.held` keeps what is published from going back. `counters.json` is the newest generation,
`counters.json.1` the one before, `counters.json.synced` the newest that is known to be on the disk: a file
system may lose the contents of the other two in a power cut although it kept their names.

What cannot be used is put aside under another name, never overwritten. A process that publishes more than it
could save says so in `lock`, which is open: a full disk has room for that.
"""

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gputally.model import Instant
from gputally.model.clock import NS_PER_SECOND
from gputally.node.folders import make_folder
from gputally.node.generation import Generation, Unusable, after_a_crash, decode, encode, standing, taken_up
from gputally.node.gpustate import FLUSH_NS, GpuState, outruns

NAME, LOCK = "counters.json", "lock"
_UNSAVED, _BEHIND = b"unsaved", b"behind"  # the latter: for a few seconds, and not of the ledger
MAX_BYTES = 64 << 20
MAX_GPUS = 256
FORGET_NS = 400 * 86_400 * NS_PER_SECOND
FOREIGN = ("other_host", "future_schema")  # somebody's good file: no spare copy replaces it


class StateFolderInUse(Exception):
    """Another process writes to this folder; two would overwrite each other's counters."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What was found, and in `reason` and `detail` why it is not what was hoped for."""

    states: Mapping[str, GpuState] = field(default_factory=dict)
    boot_id: str = ""
    clean: bool = False  # the writer had time to say goodbye
    recovered: bool = False  # the newest file was unusable, the states are from one before it
    newest: bool = False  # they are from the newest file, which was there
    outrun: bool = True  # as far as can be known, more was published than is in it
    behind: bool = False  # more of GPUs was, for FLUSH_NS at most
    # In both cases: GPUs of which nothing is to be published before they are read.
    unread: Collection[str] = ()
    reason: str = ""  # "" | absent | unreadable | corrupt | invalid | other_host | future_schema
    detail: str = ""  # a sentence for the log, with the file's name
    extra: Mapping[str, Any] = field(default_factory=dict)  # what else was saved in the same breath


class StateFile:
    """The counters of all GPUs in one folder, which this process has for itself. For one thread."""

    def __init__(self, folder: Path, *, host_id: str | None = None) -> None:
        self.folder = folder
        self._host = machine() if host_id is None else host_id
        self._newest = folder / NAME
        self._previous = folder / f"{NAME}.1"
        self._synced = folder / f"{NAME}.synced"
        self._lock: int | None = None
        self._refused: dict[Path, str] = {}  # to be put aside before anything is written
        self._word = _UNSAVED  # what was published beyond the newest file; "" for nothing
        self._known = False  # the newest file is one that we read or wrote
        self._number = 0
        self._kept: dict[str, GpuState] = {}
        self._on_disk: dict[str, GpuState] = {}  # as a crash would make us go on from it
        self._standing: frozenset[str] = frozenset()
        self._synced_ns: int | None = None
        self._saved_ns = 0

    def load(self, *, boot_id: str) -> Loaded:
        """The newest usable generation. Raises StateFolderInUse and nothing else.

        Nothing is changed on the disk before save(). `boot_id` is this boot's.
        """
        with contextlib.suppress(OSError):  # a folder that cannot be written may still be read
            self._hold_folder()
        best, trouble, where = self._search()
        reason, detail = ("", "") if trouble is None else (trouble.reason, f"{where}: {trouble}")
        if best is None:
            return Loaded(reason=reason or "absent", detail=detail or f"{self._newest}: no state yet")
        recovered = trouble is not None
        self._number = best.number
        word = self._word if recovered or not best.clean else b""
        outrun, behind = word == _UNSAVED, word == _BEHIND
        self._kept = taken_up(best, boot_id, recovered=recovered, overtaken=outrun, behind=behind)
        return Loaded(
            dict(self._kept),
            best.boot_id,
            best.clean,
            recovered,
            newest=self._known and not recovered,
            outrun=outrun,
            behind=behind,
            unread=best.states.keys() - standing(best) if word else (),
            reason=reason,
            detail=detail,
            extra=best.extra,
        )

    def save(  # noqa: PLR0913 - all of it makes one generation
        self,
        states: Mapping[str, GpuState],
        *,
        boot_id: str,
        now: Instant,
        sync: bool = False,
        clean: bool = False,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        """Write a new generation; to be called before `states` are published.

        GPUs known from before that are not among `states` keep their entry. It goes to the disk when `sync`
        or `clean` asks for it, when FLUSH_NS would pass before the next call, and when a GPU came or a
        counter made a leap that the hold after a power cut would not cover. `clean` says that nothing will
        be published after it.

        Raises OSError (the files that are there stay usable) and StateFolderInUse.
        """
        self._hold_folder()
        if not self._known and self._newest.exists():
            self._refused.setdefault(self._newest, "unknown")  # came into sight after load()
        self._put_aside()
        self._kept = pruned({**self._kept, **states}, states.keys(), now)
        generation = Generation(
            self._number + 1, self._host, boot_id, clean, now.boot_ns, self._kept, extra or {}
        )
        data = encode(generation)
        synced = sync or clean or self._due(now)
        if synced:
            self._write(self._synced, data, durable=True)
        self._write(self._newest, data, durable=False)
        self._number, self._saved_ns, self._known = generation.number, now.boot_ns, True
        if self._word:
            self._note(b"")
        if synced:
            _fsync_folder(self.folder)
            self._synced_ns, self._on_disk = now.boot_ns, after_a_crash(generation)
            self._standing = standing(generation)

    def publish_unsaved(self, *, briefly: bool = False) -> None:
        """What is published from now on is more than what is saved: whoever goes on from it shall know."""
        if self._word != _UNSAVED and not (briefly and self._word):
            self._note(_BEHIND if briefly else _UNSAVED)

    @property
    def states(self) -> Mapping[str, GpuState]:
        """Every GPU in the file, those too that are gone: one that comes back goes on from here."""
        return self._kept

    def close(self) -> None:
        """Let another process have the folder."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _search(self) -> tuple[Generation | None, Unusable | None, Path]:
        """The newest usable generation, and what was wrong with a newer file."""
        best: Generation | None = None
        trouble: Unusable | None = None
        where = self._newest
        for path in (self._newest, self._previous, self._synced):
            try:
                found = decode(_read(path), self._host)
            except FileNotFoundError:
                continue
            except Unusable as error:
                self._refused[path] = error.reason
                if best is None and trouble is None:
                    trouble, where = error, path
                if error.reason in FOREIGN and error is trouble:
                    return None, trouble, where
                continue
            self._known = self._known or path == self._newest
            if best is None or found.number > best.number:
                best = found
        return best, trouble, where

    def _due(self, now: Instant) -> bool:
        if self._synced_ns is None or self._kept.keys() != self._on_disk.keys():
            return True
        next_ns = now.boot_ns + (now.boot_ns - self._saved_ns)
        if not 0 <= next_ns - self._synced_ns <= FLUSH_NS:
            return True
        moved = any(self._kept[uuid].last != self._on_disk[uuid].last for uuid in self._standing)
        return moved or any(outruns(state, self._on_disk[uuid]) for uuid, state in self._kept.items())

    def _write(self, path: Path, data: bytes, *, durable: bool) -> None:
        """Replace a file as a whole; the newest keeps its predecessor under another name."""
        new = path.with_name(f"{path.name}.tmp")
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
            # A buffered file writes everything or raises; os.write() on a full disk returns after a part.
            with os.fdopen(os.open(new, flags, 0o600), "wb") as file:
                file.write(data)
                file.flush()
                if durable:
                    os.fsync(file.fileno())
            if path == self._newest and path.exists():
                # ext4 writes a file out at once when it replaces another, four times a second here; a name
                # that is free spares the disk what is replaced long before it would have been written.
                self._previous.unlink(missing_ok=True)
                path.rename(self._previous)
            new.replace(path)
        except OSError:
            with contextlib.suppress(OSError):
                new.unlink()
            if not self.folder.is_dir():
                self.close()  # the lock went with the folder
            raise

    def _put_aside(self) -> None:
        """Rename what cannot be used, so that it can be looked at and is not overwritten. Raises OSError."""
        for path, reason in list(self._refused.items()):
            with contextlib.suppress(FileNotFoundError):
                path.replace(path.with_name(f"{path.name}.{reason}"))
            del self._refused[path]

    def _hold_folder(self) -> None:
        """Make the folder and lock it. Raises OSError and StateFolderInUse."""
        if self._lock is not None:
            return
        make_folder(self.folder, 0o700)
        lock = os.open(self.folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(lock, 10, 0).decode(errors="replace").strip()
            os.close(lock)
            raise StateFolderInUse(
                f"{self.folder}: in use by another gputally (process {holder or 'unknown'})"
            ) from None
        except OSError:
            os.close(lock)
            raise
        self._lock = lock
        said = os.pread(lock, 64, 0)
        self._note(next((word for word in (_UNSAVED, _BEHIND) if word in said), b""))

    def _note(self, word: bytes) -> None:
        """Write whose the lock is, and whether more was published than saved; on a broken disk, nothing."""
        self._word = word
        if self._lock is not None:
            with contextlib.suppress(OSError):
                os.pwrite(self._lock, b"%-10d%-8s\n" % (os.getpid(), word), 0)


def pruned(kept: Mapping[str, GpuState], present: Collection[str], now: Instant) -> dict[str, GpuState]:
    """Forget GPUs that have been gone for 400 days, and beyond 256 those that were seen the longest ago."""
    gone = {uuid: _last_seen_ns(state) for uuid, state in kept.items() if uuid not in present}
    forgotten = {uuid for uuid, seen_ns in gone.items() if now.wall_ns - seen_ns > FORGET_NS}
    surplus = len(kept) - len(forgotten) - MAX_GPUS
    if surplus > 0:
        forgotten.update(sorted(gone.keys() - forgotten, key=lambda uuid: gone[uuid])[:surplus])
    return {uuid: state for uuid, state in kept.items() if uuid not in forgotten}


def _last_seen_ns(state: GpuState) -> int:
    return 0 if state.last is None else state.last.wall_ns


def machine() -> str:
    """This machine's identity, hashed: machine-id(5) asks not to show the real one to others."""
    try:
        identity = Path("/etc/machine-id").read_text().strip()
    except (OSError, ValueError):
        return ""
    return hashlib.sha256(b"gputally " + identity.encode()).hexdigest()[:16] if identity else ""


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Unusable("unreadable", error.strerror or str(error)) from error


def _fsync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
