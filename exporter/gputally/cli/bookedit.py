"""A file of reservations changed in its place: by one at a time, at once or not at all, else as it was.

Whoever changes it holds a lock on the file itself, so that nothing is left behind by who is killed. Editors
and git know nothing of that lock: whether they have changed the file is seen right before it is replaced.
"""

import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import click

from gputally.config.yamltree import fingerprint, read_regular_file

PATIENCE_SECONDS = 30.0
_LOOK_SECONDS = 0.05


def change(path: Path, edit: Callable[[bytes], bytes], patience_seconds: float = PATIENCE_SECONDS) -> str:
    """Replace a file by what `edit` makes of it; gives what has to be known beside, or nothing.

    Raises click.ClickException with one line, ConfigError where it cannot be read, and what `edit` raises.
    """
    real = Path(os.path.realpath(path))
    try:
        with _locked(real, patience_seconds) as descriptor:
            seen = fingerprint(real)
            data = edit(read_regular_file(real))
            return _Replacing(real, os.fstat(descriptor), seen).put(data)
    except OSError as error:
        raise click.ClickException(f"{error.filename or path}: {error.strerror}") from None


@contextmanager
def _locked(path: Path, patience_seconds: float) -> Iterator[int]:
    """The file, ours alone. Who waited finds the one that was put in its place meanwhile."""
    deadline = time.monotonic() + patience_seconds
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise click.ClickException(f"{path}: expected a regular file")
            _wait(descriptor, path, deadline)
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                yield descriptor
                return
        finally:
            os.close(descriptor)


def _wait(descriptor: int, path: Path, deadline: float) -> None:
    while True:
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        if time.monotonic() > deadline:
            raise click.ClickException(f"{path}: somebody else is changing it and does not come to an end")
        time.sleep(_LOOK_SECONDS)


@dataclass(frozen=True, slots=True)
class _Replacing:
    """A file that is about to be replaced: where it is, whose it is, and what it was when it was read."""

    path: Path
    old: os.stat_result
    seen: tuple[int, ...] | None

    def put(self, data: bytes) -> str:
        new = self.path.with_name(f".{self.path.name}.new")
        with suppress(FileNotFoundError):
            new.unlink()  # of who was killed: we are alone
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            with os.fdopen(os.open(new, flags, stat.S_IRUSR | stat.S_IWUSR), "wb") as file:
                file.write(data)
                file.flush()
                note = self._give(file.fileno())
                os.fsync(file.fileno())
            self._refuse_changed()
            new.replace(self.path)
        except BaseException:
            with suppress(OSError):
                new.unlink()
            raise
        _sync_folder(self.path.parent)
        return note

    def _refuse_changed(self) -> None:
        if fingerprint(self.path) != self.seen:
            raise click.ClickException(f"{self.path}: changed meanwhile by somebody else, try again")

    def _give(self, descriptor: int) -> str:
        """Owner, group, mode and extended attributes, such as access lists, as they were."""
        note, mine = "", os.fstat(descriptor)
        if (mine.st_uid, mine.st_gid) != (self.old.st_uid, self.old.st_gid):
            try:
                os.fchown(descriptor, self.old.st_uid, self.old.st_gid)
            except PermissionError:
                os.fchown(descriptor, -1, self.old.st_gid)
                note = f"{self.path} is now ours: only root could have kept its owner, {self.old.st_uid}"
        with suppress(OSError):  # not every file system has them
            for name in os.listxattr(self.path):
                os.setxattr(descriptor, name, os.getxattr(self.path, name))
        os.fchmod(descriptor, stat.S_IMODE(self.old.st_mode))
        return note


def _sync_folder(folder: Path) -> None:
    """So that the new name is on the disk, too."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
