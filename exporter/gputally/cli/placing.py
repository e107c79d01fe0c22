"""A file put in the place of another, at once or not at all."""

import contextlib
import os
from pathlib import Path

_READABLE = 0o644  # nothing in what we write is secret, and Prometheus is another user


def replace_file(path: Path, data: bytes, mode: int = _READABLE) -> None:
    """Put a file in the place of another: who reads finds one of them, whole. Raises OSError."""
    new = path.with_name(f".{path.name}.new")
    try:
        with contextlib.suppress(FileNotFoundError):
            new.unlink()  # left over, or laid there by somebody who would go on reading it
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(new, flags, mode), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            new.unlink()
        raise
