"""Clocks that step and disks that fail, for a program in its own process, from the first instruction on.

The program's own code is untouched: `preload.c` stands between it and the C library.
"""

from __future__ import annotations

import ctypes
import mmap
import subprocess
from pathlib import Path
from typing import Any

import pytest

_SOURCE = Path(__file__).with_name("preload.c")
_FLAGS = ("-O2", "-Wall", "-Wextra", "-Werror", "-std=gnu11", "-shared", "-fPIC")


class _Control(ctypes.Structure):
    _fields_ = (
        ("wall_step_ns", ctypes.c_int64),
        ("boot_step_ns", ctypes.c_int64),
        ("file_limit", ctypes.c_int64),
        ("open_errno", ctypes.c_int64),
        ("open_hangs", ctypes.c_int64),
    )


class Preload:
    """The control of one program. `env` makes it begin; `folder` is where its disk may fail."""

    def __init__(self, library: Path, path: Path, folder: Path) -> None:
        path.write_bytes(bytes(_Control(0, 0, -1, 0, 0)))
        with path.open("r+b") as file:
            self._raw: Any = _Control.from_buffer(mmap.mmap(file.fileno(), ctypes.sizeof(_Control)))
        self.env = {
            "LD_PRELOAD": str(library),
            "PRELOAD_CONTROL": str(path),
            "PRELOAD_FOLDER": str(folder),
        }

    def step_wall(self, seconds: float) -> None:
        """Move the wall clock, as a person or a coarse NTP client does."""
        self._raw.wall_step_ns += round(seconds * 1e9)

    def suspend(self, seconds: float) -> None:
        """Let both clocks go on as if the machine had slept meanwhile."""
        self._raw.boot_step_ns += round(seconds * 1e9)
        self._raw.wall_step_ns += round(seconds * 1e9)

    def fill_disk(self, file_limit: int) -> None:
        """Let files in the folder hold this many bytes; what is beyond fails with ENOSPC."""
        self._raw.file_limit = file_limit

    def refuse_writing(self, errno: int) -> None:
        """Let opening a file in the folder for writing fail."""
        self._raw.open_errno = errno

    def hang_disk(self) -> None:
        """Let opening a file in the folder not return, as on a file server that does not answer."""
        self._raw.open_hangs = 1

    def heal_disk(self) -> None:
        """End all faults of the disk."""
        self._raw.file_limit, self._raw.open_errno, self._raw.open_hangs = -1, 0, 0


@pytest.fixture(scope="session")
def preload_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library, compiled once a session."""
    library = tmp_path_factory.mktemp("preload") / "preload.so"
    done = subprocess.run(
        ["cc", *_FLAGS, "-o", library, _SOURCE, "-ldl"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return library


@pytest.fixture
def preload(preload_library: Path, tmp_path: Path) -> Preload:
    """Faults for the first agent of a test, whose state is in `agent-0/state`."""
    return Preload(preload_library, tmp_path / "preload.control", tmp_path / "agent-0" / "state")
