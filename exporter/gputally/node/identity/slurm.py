"""The jobs that Slurm has given this node, as prolog and epilog write them down (systemd/slurm/).

Trusted because of who owns them: the folder and each file belong to root or to our own user, and nobody else
may write there. What does not is counted and left alone. Every text comes out fit for a label.
"""

import logging
import os
import stat
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from gputally.model.clock import NS_PER_SECOND
from gputally.node.identity.parts import SlurmRecord
from gputally.node.identity.protocol import End
from gputally.node.labels import label_text

logger = logging.getLogger(__name__)

MOST_FILES = 4096
MOST_BYTES = 8192
RECHECK_NS = 60 * NS_PER_SECOND
SETTLE_NS = NS_PER_SECOND // 20  # a folder changed twice within the kernel's clock tick shows one time
STATES = ("completed", "failed", "cancelled", "timeout")
# No link, and no waiting for a pipe's writer.
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_WRITABLE = stat.S_IWGRP | stat.S_IWOTH
_Stamp = tuple[int, int]  # inode and ctime: of its contents, its mode and its owner


class Untrusted(Exception):
    """This is no record to be believed; the sentence says why."""


@dataclass(frozen=True, slots=True)
class SlurmJob(SlurmRecord):
    """A record with what only Slurm knows of."""

    uid: int | None = None
    cluster: str = ""
    array_job_id: str = ""  # an array's users call the job by these two: "4700_3"
    array_task_id: str = ""
    boot_id: str = ""  # of the boot in which it was written


@dataclass(slots=True)
class _File:
    stamp: _Stamp
    job: SlurmJob | None  # None = refused


class SlurmRecords:
    """The records in one folder. For one thread; no method raises, whatever lies there.

    A look-up costs one stat() of the folder. Files are listed when that shows a change, and every minute
    for those who write in place; only new and changed ones are read. Of runs with the same name the one with
    the most restarts is the latest.
    """

    def __init__(
        self, folder: Path, boot_id: str = "", clock_ns: Callable[[], int] = time.monotonic_ns
    ) -> None:
        """Nothing is read yet. With `boot_id`, runs that an earlier boot left open count as ended."""
        self.refused = 0  # files not believed since the start, each version once, and the folder itself
        self._folder = folder
        self._boot_id = boot_id
        self._clock_ns = clock_ns
        self._look_again_ns: int | None = None
        self._changed: tuple[int, int] | None = None  # inode and ctime of the folder as it was listed
        self._files: dict[str, _File] = {}
        self._by_job: dict[str, SlurmJob] = {}
        self._by_sluid: dict[str, SlurmJob] = {}
        self._trouble = ""  # with the folder, as logged
        self._bad = False  # some file is refused, and that is logged

    def record_for(self, job_id: str) -> SlurmJob | None:
        """The latest run of a job that runs or ended within about a day; by Slurm's own number."""
        self._refresh()
        return self._by_job.get(job_id)

    def record_for_sluid(self, sluid: str) -> SlurmJob | None:
        """The same by SLUID: "s" and base32."""
        self._refresh()
        return self._by_sluid.get(sluid)

    def records(self) -> Iterable[SlurmJob]:
        """All runs, running or ended."""
        self._refresh()
        return [file.job for file in self._files.values() if file.job is not None]

    def _refresh(self) -> None:
        now_ns = self._clock_ns()
        try:
            found = self._folder.lstat()
        except FileNotFoundError:  # no Slurm here, or no job yet
            self._forget("")
            return
        except OSError as error:
            self._forget(error.strerror or "cannot be read")
            return
        changed = (found.st_ino, found.st_ctime_ns)  # of its mode and owner, too
        if changed == self._changed and self._look_again_ns is not None and now_ns < self._look_again_ns:
            return
        self._look_again_ns = now_ns + (RECHECK_NS if changed == self._changed else SETTLE_NS)
        self._changed = changed
        try:
            self._list()
        except Untrusted as why:
            self._forget(str(why))
        except OSError as error:
            self._forget(error.strerror or "cannot be read")

    def _list(self) -> None:
        """Read what is new. Through one descriptor, so that all files are of the folder that was judged."""
        folder = os.open(self._folder, _OPEN | os.O_DIRECTORY)
        try:
            _judge(os.fstat(folder), stat.S_ISDIR, "a folder")
            with os.scandir(folder) as entries:
                names = [entry.name for entry in entries if not entry.name.startswith(".")]
            if len(names) > MOST_FILES:  # numbers of jobs ascend
                names = sorted(names, key=_age)[-MOST_FILES:]
            files = {name: file for name in names if (file := self._read(folder, name)) is not None}
        finally:
            os.close(folder)
        self._say("")
        self._bad = self._bad and any(file.job is None for file in files.values())
        self._files = files
        self._index()

    def _read(self, folder: int, name: str) -> _File | None:
        """One file as it is now; None = it has just gone."""
        known = self._files.get(name)
        try:
            found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except OSError:
            return None
        stamp = (found.st_ino, found.st_ctime_ns)
        if known is not None and known.stamp == stamp:
            return known
        job = None
        try:
            job = parse(_contents(folder, name), f"{self._folder}/{name}")
        except FileNotFoundError:
            return None
        except (Untrusted, OSError) as why:
            self._refuse(name, why)
        if job is not None and job.end is None and self._boot_id and job.boot_id not in ("", self._boot_id):
            job = replace(job, end=End(None, "ended"))
        return _File(stamp, job)

    def _index(self) -> None:
        self._by_job = {}
        self._by_sluid = {}
        jobs = [file.job for file in self._files.values() if file.job is not None]
        for job in sorted(jobs, key=lambda job: (job.restarts, job.start_seconds)):
            self._by_job[job.job_id] = job
            if job.sluid:
                self._by_sluid[job.sluid] = job

    def _forget(self, trouble: str) -> None:
        self._files, self._by_job, self._by_sluid = {}, {}, {}
        if not trouble:
            self._changed = None
        elif trouble != self._trouble:
            self.refused += 1
        self._say(trouble)

    def _refuse(self, name: str, why: Exception) -> None:
        self.refused += 1
        if not self._bad:  # one line for a folder full of them
            self._bad = True
            logger.warning("%s is not used: %s", label_text(f"{self._folder}/{name}", 512), why)

    def _say(self, trouble: str) -> None:
        if trouble != self._trouble:
            self._trouble = trouble
            if trouble:
                logger.warning("records of Slurm jobs in %s are not used: %s", self._folder, trouble)
            else:
                logger.info("records of Slurm jobs in %s are used again", self._folder)


def parse(text: bytes, path: str) -> SlurmJob:
    """Read one record, whose file must be named for its run. Raises Untrusted."""
    fields: dict[str, bytes] = {}
    for line in text.removesuffix(b"\n").split(b"\n"):
        key, equals, value = line.partition(b"=")
        if not equals or not key.replace(b"_", b"A").isalpha() or not key.isupper() or key.decode() in fields:
            raise Untrusted("a line is not KEY=value, or its key is there twice")
        fields[key.decode()] = value

    def words(key: str) -> str:
        return sys.intern(label_text(fields.get(key, b"")))  # the same few in thousands of records

    job_id, restarts = words("JOB_ID"), _number(fields.get("RESTARTS", b"0"))
    start_seconds = _number(fields.get("START_SECONDS", b""))
    if _number(fields.get("JOB_ID", b"")) is None or restarts is None or start_seconds is None:
        raise Untrusted("JOB_ID, RESTARTS and START_SECONDS must be numbers")
    if path.rpartition("/")[2] != f"{job_id}-r{restarts}":
        raise Untrusted("it is not named for the run that it is about")
    return SlurmJob(
        job_id=job_id,
        restarts=restarts,
        user=words("USER"),
        account=words("ACCOUNT"),
        job_name=words("JOB_NAME"),
        partition=words("PARTITION"),
        gpus=_minors(fields.get("GPUS", b"")),
        start_seconds=float(start_seconds),
        end=_end(fields),
        path=path,
        comment_model=words("MODEL"),
        sluid=words("SLUID"),
        uid=_number(fields.get("UID", b"")),
        cluster=words("CLUSTER"),
        array_job_id=words("ARRAY_JOB_ID"),
        array_task_id=words("ARRAY_TASK_ID"),
        boot_id=words("BOOT_ID"),
    )


def _end(fields: dict[str, bytes]) -> End | None:
    seconds = _number(fields.get("END_SECONDS", b""))
    if seconds is None:
        return None
    state = fields.get("STATE", b"").decode(errors="replace")
    return End(float(seconds), state if state in STATES else "ended", _number(fields.get("EXIT_CODE", b"")))


def _minors(text: bytes) -> tuple[int, ...]:
    """Numbers of whole GPUs; what names a part of one (MIG) is left out."""
    return tuple(sorted({number for word in text.split(b",") if (number := _number(word)) is not None}))


def _number(text: bytes) -> int | None:
    return int(text) if text.isdigit() and len(text) < 14 else None


def _contents(folder: int, name: str) -> bytes:
    file = os.open(name, _OPEN, dir_fd=folder)
    try:
        _judge(os.fstat(file), stat.S_ISREG, "a file")
        text = os.read(file, MOST_BYTES + 1)
    finally:
        os.close(file)
    if len(text) > MOST_BYTES:
        raise Untrusted(f"it has more than {MOST_BYTES} bytes")
    return text


def _judge(found: os.stat_result, is_kind: Callable[[int], bool], kind: str) -> None:
    if not is_kind(found.st_mode):
        raise Untrusted(f"it is not {kind}")
    if found.st_uid not in (0, os.geteuid()):
        raise Untrusted(f"it belongs to user {found.st_uid}, neither to root nor to this process")
    if found.st_mode & _WRITABLE:
        raise Untrusted("others than its owner may write to it")


def _age(name: str) -> tuple[int, str]:
    number = _number(name.partition("-")[0].encode(errors="replace"))
    return (-1 if number is None else number, name)
