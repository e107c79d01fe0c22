"""A machine of our own making: /proc, the cgroup file system, systemd's units, and records of jobs."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gputally.model import Instant
from gputally.node.identity.binder import Binder
from gputally.node.identity.owners import OwnerNames
from gputally.node.identity.proc import Folder

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import pytest

    from gputally.node.identity.parts import Pod, RunRecord, SlurmRecord
    from gputally.node.identity.protocol import Allocation, Sighting

SECOND = 1_000_000_000
BOOT_SECONDS = 1_700_000_000  # Unix time
UP_SECONDS = 10_000  # how long the machine has been up at `at(0)`
BOOT_ID = "9f86d081-884c-4d63-a1b2-c3d4e5f60718"
TICKS = os.sysconf("SC_CLK_TCK")
CONTAINER = "3f084b4c7b789c1a0f174da3fcd339e31125d3096b3ff46a0bef4fad71d09362"
POD = "57e67067-89e4-4001-bdd4-8632d39ea02b"
USERS = {0: "root", 1000: "ada", 1001: "grace"}
CANARY = "SECRET_CANARY=do-not-show-me"


def at(seconds: float) -> Instant:
    up_ns = int((UP_SECONDS + seconds) * SECOND)
    return Instant(up_ns, BOOT_SECONDS * SECOND + up_ns)


@dataclass
class Slurm:
    """Records of Slurm jobs, by number or SLUID."""

    jobs: dict[str, SlurmRecord] = field(default_factory=dict)
    past: list[SlurmRecord] = field(default_factory=list)
    refused: int = 0

    def record_for(self, job_id: str) -> SlurmRecord | None:
        return self.jobs.get(job_id)

    def record_for_sluid(self, sluid: str) -> SlurmRecord | None:
        return self.jobs.get(sluid)

    def records(self) -> Iterable[SlurmRecord]:
        return [*self.past, *dict.fromkeys(self.jobs.values())]


@dataclass
class Runs:
    """Records of wrapped commands, by PID, start and owner."""

    commands: dict[tuple[int, int, int], RunRecord] = field(default_factory=dict)
    refused: int = 0

    def find(self, pid: int, start_ticks: int, uid: int) -> RunRecord | None:
        return self.commands.get((pid, start_ticks, uid))

    def reread(self, path: str) -> RunRecord | None:
        return next((record for record in self.commands.values() if record.path == path), None)

    def conflicts(self) -> dict[str, int]:
        return {"record": self.refused}


@dataclass
class Pods:
    """Names of pods, and what they hold."""

    names: dict[str, Pod] = field(default_factory=dict)
    held: list[Allocation] = field(default_factory=list)

    def pod(self, uid: str) -> Pod | None:
        return self.names.get(uid)

    def allocations(self) -> list[Allocation]:
        return self.held


class Machine:
    """The three file systems, below one folder."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch, *, host: bool = True) -> None:
        self.proc, self.cgroup, self.units = root / "proc", root / "cgroup", root / "units"
        for folder in (self.proc / "sys/kernel/random", self.cgroup, self.units):
            folder.mkdir(parents=True)
        (self.proc / "sys/kernel/random/boot_id").write_text(f"{BOOT_ID}\n")
        self.add(1, b"systemd", uid=0, cgroup="/init.scope", parent=0, start=1)
        if host:
            self.add(2, b"kthreadd", uid=0, parent=0, start=1)
        # Files of tests belong to whoever runs them, so an owner is written down beside them.
        monkeypatch.setattr(Folder, "_owner", lambda folder: int(folder._read("uid", 16)))

    def add(
        self,
        pid: int,
        comm: bytes = b"python",
        *,
        uid: int = 1000,
        cgroup: str = "/user.slice/user-1000.slice/session-3.scope",
        parent: int = 1,
        group: int | None = None,
        session: int = 0,
        terminal: int = 0,
        start: int = 5000,
        state: str = "S",
        environ: bytes = b"",
    ) -> None:
        folder = self.proc / str(pid)
        folder.mkdir(exist_ok=True)
        head = (parent, pid if group is None else group, session, terminal)
        fields = b" ".join(b"%d" % number for number in (*head, *[0] * 14, start, 0, 0))
        (folder / "stat").write_bytes(b"%d (%s) %s %s\n" % (pid, comm, state.encode(), fields))
        (folder / "comm").write_bytes(comm + b"\n")
        (folder / "uid").write_text(str(uid))
        (folder / "environ").write_bytes(environ + CANARY.encode() + b"\0")
        (folder / "cmdline").write_text(f"train\0--token\0{CANARY}\0")
        lines = cgroup if ":" in cgroup else f"0::{cgroup}"
        (folder / "cgroup").write_text(f"{lines}\n")

    def end(self, pid: int) -> None:
        shutil.rmtree(self.proc / str(pid))

    def make_cgroup(self, path: str, *pids: int) -> None:
        folder = self.cgroup / path.strip("/")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "cgroup.procs").write_text("".join(f"{pid}\n" for pid in pids))

    def remove_cgroup(self, path: str) -> None:
        shutil.rmtree(self.cgroup / path.strip("/"))

    def start_unit(self, unit: str, invocation: str) -> None:
        link = self.units / f"invocation:{unit}"
        link.unlink(missing_ok=True)
        link.symlink_to(invocation)

    def binder(self, **parts: object) -> Binder:
        owners = parts.pop("owners", None) or OwnerNames(USERS.__getitem__)
        return Binder(self.proc, self.cgroup, self.units, owners=owners, **parts)  # type: ignore[arg-type]

    def sighting(self, pid: int, **parts: object) -> Sighting:
        """The job of one process, by a binder that sees it for the first time."""
        return self.binder(**parts).sightings([pid], at(0))[pid]


def seconds(start_ticks: int) -> float:
    """Unix time of a process's start."""
    return BOOT_SECONDS + start_ticks / TICKS
