"""Slurm on the unified cgroup hierarchy, also where version 1 hierarchies are mounted beside it.

There, slurmd runs with only the unified one at /sys/fs/cgroup, in a mount namespace of its own, and
`unified.c` keeps it from reading of the others. All cgroups that it makes are real.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
_SOURCE = Path(__file__).with_name("unified.c")
_FLAGS = ("-O1", "-Wall", "-Wextra", "-Werror", "-std=gnu11", "-shared", "-fPIC")
_ENTER = 'mount --bind "$1" "$2" && preload=$3 && shift 3 && LD_PRELOAD=$preload exec "$@"'


def unified_root() -> Path | None:
    """Where the unified hierarchy is, if cgroups can be made there."""
    return next((root for root in (CGROUPS, CGROUPS / "unified") if makes_groups(root, "cgroup.type")), None)


def makes_groups(root: Path, file: str) -> bool:
    """Whether one can be made there, and it has this file, which tells the versions apart."""
    ours = root / f"gputally-{os.getpid()}"
    try:
        ours.mkdir()
        try:
            return (ours / file).exists()
        finally:
            ours.rmdir()
    except OSError:
        return False


def remove_groups(node: str) -> None:
    """Take away the cgroups of a node that has stopped, and what Slurm leaves in them to keep them alive."""
    version_1 = CGROUPS.glob(f"*/slurm_{node}")
    unified = (root / f"system.slice/{node}_slurmstepd.scope" for root in (CGROUPS, CGROUPS / "unified"))
    for top in (*version_1, *unified):
        for pid in _pids(top):
            os.kill(pid, signal.SIGKILL)
        end = time.monotonic() + 5
        while _pids(top) and time.monotonic() < end:
            time.sleep(0.01)
        for folder in sorted(top.glob("**/"), reverse=True):
            folder.rmdir()
    with contextlib.suppress(OSError):  # is there no more, or is not ours
        (CGROUPS / "unified" / "system.slice").rmdir()


def _pids(top: Path) -> list[int]:
    return [int(pid) for file in top.glob("**/cgroup.procs") for pid in file.read_text().split()]


def prefix(folder: Path) -> tuple[str, ...]:
    """What to put in front of slurmd's command; its library goes into `folder`."""
    root = unified_root()
    if root is None:
        return ()
    (root / "system.slice").mkdir(exist_ok=True)  # systemd would have made it
    if root == CGROUPS:
        return ()
    library = folder / "unified.so"
    compiler = shutil.which("cc") or "gcc"
    subprocess.run([compiler, *_FLAGS, "-o", str(library), str(_SOURCE), "-ldl"], check=True)
    return ("unshare", "--mount", "sh", "-c", _ENTER, "sh", str(root), str(CGROUPS), str(library))
