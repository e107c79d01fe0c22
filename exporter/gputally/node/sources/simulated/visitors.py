"""Real processes on simulated GPUs, so that what finds out whose they are can be shown without hardware.

A process visits by a file in a folder: the file's name is its PID, the content the index of a GPU. It
is in that GPU's process list while it lives and the file is there and belongs to it. Its work is pretended: a
share of SM time that the GPU's own processes give up. Power, energy and utilisation of the GPU stay what
the plan says, so the energy that a visitor is given is taken from those who were there, or from idleness.
"""

import contextlib
import os
import pwd
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from stat import S_ISREG

from gputally.model import FastReading, ProcessReading
from gputally.node.labels import label_text

SM_RATIO = 0.6  # of all visitors of a GPU together
MEMORY_BYTES = 2 << 30  # of each, if there is room
_MOST = 64  # files of the folder that are looked at
_LONGEST = 16  # bytes of a file


class Visitors:
    """The folder. It may come and go; what is in it and makes no sense is nobody."""

    def __init__(self, folder: Path, proc_root: Path = Path("/proc")) -> None:
        self._folder, self._proc = str(folder), str(proc_root)

    def on(self, gpu: str) -> tuple[int, ...]:
        """PIDs that visit the GPU of this index now."""
        found = []
        with contextlib.suppress(OSError), os.scandir(self._folder) as entries:
            for entry in islice(entries, _MOST):
                pid = int(entry.name) if entry.name.isascii() and entry.name.isdecimal() else 0
                sign = self._sign(pid) if pid else None
                if sign is not None and sign[0] == gpu and self._lives(pid, sign[1]):
                    found.append(pid)
        return tuple(sorted(found))

    def identify(self, pid: int) -> tuple[str, str] | None:
        """Name and user of a visitor; None for any other process."""
        sign = self._sign(pid)
        if sign is None or not self._lives(pid, sign[1]):
            return None
        try:
            name = Path(f"{self._proc}/{pid}/comm").read_bytes().rstrip(b"\n")
        except OSError:
            return None
        try:
            return label_text(name), label_text(pwd.getpwuid(sign[1]).pw_name)
        except KeyError:
            return label_text(name), str(sign[1])

    def _sign(self, pid: int) -> tuple[str, int] | None:
        """Index of the GPU that a process says it visits, and who says so."""
        try:
            file = os.open(
                f"{self._folder}/{pid}", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            )
        except OSError:
            return None
        try:
            about = os.fstat(file)
            text = os.read(file, _LONGEST) if S_ISREG(about.st_mode) else b""
        finally:
            os.close(file)
        return text.decode(errors="replace").strip(), about.st_uid

    def _lives(self, pid: int, uid: int) -> bool:
        """Whether there is such a process, and it is that user's."""
        try:
            owner = os.stat(f"{self._proc}/{pid}").st_uid  # noqa: PTH116 - at every tick
            stat = Path(f"{self._proc}/{pid}/stat").read_bytes()
        except OSError:
            return False
        return owner == uid and stat.rpartition(b")")[2].split()[0] not in (b"Z", b"X")


def beside(fast: FastReading, visitors: Sequence[int]) -> FastReading:
    """Put visitors into the process list of a reading; the shares of all sum to 1 at most."""
    free = fast.memory_free_bytes or 0
    if not visitors:
        return fast
    each = min(MEMORY_BYTES, free // len(visitors))
    taken = each * len(visitors)
    own = tuple(replace(p, sm_ratio=_part(p.sm_ratio or 0.0, 1 - SM_RATIO)) for p in fast.processes or ())
    share = _part(SM_RATIO, 1 / len(visitors))
    return replace(
        fast,
        processes=own + tuple(ProcessReading(pid, memory_bytes=each, sm_ratio=share) for pid in visitors),
        memory_used_bytes=(fast.memory_used_bytes or 0) + taken,
        memory_free_bytes=free - taken,
    )


def _part(ratio: float, factor: float) -> float:
    """A product in whole thousandths, cut off: rounded shares could sum to more than there is."""
    return int(ratio * factor * 1000) / 1000
