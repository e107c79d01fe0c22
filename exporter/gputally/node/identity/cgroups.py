"""Which job a process runs in, from the content of its /proc/PID/cgroup (cgroups(7)). Pure.

Version 2 has one line; with version 1, and in the hybrid layout, there is one for each hierarchy, and what a
scheduler has put the process into counts more than what systemd says of the service that started it.
"""

import re
from dataclasses import replace

from gputally.node.identity.layouts import NOWHERE, Place, read_path
from gputally.node.identity.proc import MOST_BYTES

_MOST_LINES = 64
_MOST_PATH = 4096
_MOST_PARTS = 64
_MOST_NAME = 255  # the kernel's NAME_MAX
_HIERARCHY = re.compile(r"[A-Za-z0-9_,=-]{0,255}")
_RANKS = {"slurm": 6, "kubernetes": 5, "lsf": 5, "pbs": 5, "docker": 4, "podman": 4, "lxc": 4, "systemd": 2}
_DELETED = b" (deleted)"  # what the kernel adds when the folder has gone and the process has not


def place(text: bytes) -> Place:
    """Say what the file proves. Nonsense proves nothing."""
    lines = text[:MOST_BYTES].split(b"\n")
    if len(text) >= MOST_BYTES:
        lines.pop()  # is cut
    best, best_rank, lookalike = NOWHERE, (0, 0, 0), False
    for line in lines[:_MOST_LINES]:
        number, _, rest = line.partition(b":")
        controllers, _, path = rest.partition(b":")
        if not number.isdigit() or not path.startswith(b"/") or path == b"/":
            continue
        found = _line(controllers, path)
        lookalike = lookalike or found.lookalike
        rank = _rank(found)
        if rank > best_rank:
            best, best_rank = found, rank
    refused = lookalike and best.kind in ("", "session", "systemd")
    return best if best.lookalike == refused else replace(best, lookalike=refused)


def folders(found: Place) -> tuple[str, ...]:
    """Where its folder may be below the cgroup file system, which is mounted in different ways."""
    if not found.folder:
        return ()
    if not found.hierarchy:
        return (found.folder, f"unified/{found.folder}")
    return (f"{found.hierarchy.removeprefix('name=')}/{found.folder}",)


def _line(controllers: bytes, path: bytes) -> Place:
    hierarchy = controllers.decode("ascii", "replace")
    if len(path) > _MOST_PATH or not _HIERARCHY.fullmatch(hierarchy):
        return NOWHERE
    parts = tuple(path.removesuffix(_DELETED).decode("utf-8", "replace").strip("/").split("/"))
    ups = next((at for at, part in enumerate(parts) if part != ".."), len(parts))
    parts = parts[ups : ups + _MOST_PARTS]
    if not parts or any(part in ("", ".", "..") or len(part) > _MOST_NAME for part in parts):
        return NOWHERE
    found = read_path(parts, adrift=ups > 0)
    # Seen from a cgroup namespace, a path does not lead to a folder of the file system as we see it.
    return replace(found, folder="" if ups else found.folder, hierarchy=hierarchy)


def _rank(found: Place) -> tuple[int, int, int]:
    kind = _RANKS.get(found.kind, 1 if found.kind else 0)
    return kind, len(found.units), int(found.hierarchy in ("name=systemd", ""))
