"""What is read of a process, and of those who started it, before anybody judges whose it is."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gputally.model import Instant
from gputally.node.identity import units
from gputally.node.identity.cgroups import folders, place
from gputally.node.identity.environ import NO_CLAIMS, Claims, read_claims
from gputally.node.identity.layouts import Place
from gputally.node.identity.parts import RunRecord, RunRecords
from gputally.node.identity.proc import Folder, Process, ancestors, read_process
from gputally.node.identity.protocol import Evidence

_REMEMBERED = 1024  # runs of units


@dataclass(frozen=True, slots=True)
class Roots:
    """Where the kernel and systemd say what they know."""

    proc: Path = Path("/proc")
    cgroup: Path = Path("/sys/fs/cgroup")
    units: Path = units.UNITS_ROOT


@dataclass(frozen=True, slots=True)
class Facts:
    """One process on a GPU."""

    process: Process
    line: tuple[Process, ...]  # parent, grandparent and so on
    where: Place
    folder: str  # of the job's cgroup, below the cgroup file system; "" = is not to be seen
    claims: Claims
    run: RunRecord | None  # of the innermost wrapped command that it is part of
    runner: Process | None  # whose record that is
    now: Instant


class Reader:
    """Reads facts. Only `read` raises: OSError where the process has gone, ValueError where /proc is odd.

    Processes that are looked at in the same instant often have the same ancestors, which are read once.
    """

    def __init__(self, roots: Roots, runs: RunRecords | None, boot_id: str, *, environment: bool) -> None:
        self.proc = str(roots.proc)
        self._roots, self._runs, self._boot_id, self._environment = roots, runs, boot_id, environment
        self._mains: dict[str, Process] = {}  # run of a unit -> its main process
        self._instant: Instant | None = None  # in which what follows was read, by PID
        self._kin: dict[int, Process | None] = {}
        self._places: dict[int, Place | None] = {}
        self._records: dict[int, RunRecord | None] = {}

    def read(self, folder: Folder, now: Instant) -> Facts:
        """Everything that a process and its ancestors tell."""
        if now is not self._instant:
            self._instant = now
            self._kin, self._places, self._records = {}, {}, {}
        process = folder.process()
        where = place(folder.cgroup())
        claims = NO_CLAIMS
        if self._environment:
            with suppress(OSError):  # another user's, without the privilege
                claims = read_claims(folder.environ())
        line = tuple(ancestors(process, self.other))
        run, runner = self._run(process, line)
        seen = next((path for path in folders(where) if (self._roots.cgroup / path).is_dir()), "")
        return Facts(process, line, where, seen, claims, run, runner, now)

    def first_inside(self, facts: Facts) -> Process:
        """The topmost ancestor in the same place: about when the job began here."""
        first, same = facts.process, (facts.where.kind, facts.where.id)
        for ancestor in facts.line:
            found = self._place(ancestor.pid)
            if found is None or (found.kind, found.id) != same:
                break
            first = ancestor
        return first

    def main(self, facts: Facts) -> tuple[Process, str]:
        """The main process of a unit, and the id of the unit's run; "" where systemd does not say."""
        invocation = units.invocation(self._roots.units, facts.where.id)
        main = self._mains.get(invocation) if invocation else None
        if main is None:
            folder = self._roots.cgroup / facts.folder if facts.folder else None
            main = units.oldest(self.proc, folder) or self.first_inside(facts)
            if invocation:
                self._mains[invocation] = main
                if len(self._mains) > _REMEMBERED:
                    del self._mains[next(iter(self._mains))]
        return main, invocation

    def found_by(self, facts: Facts, leader: Process, record: str = "") -> Evidence:
        """What will tell the end of a job: its cgroup, or where that is not to be seen its first process."""
        first = None if facts.folder else (leader.pid, leader.start_ticks)
        return Evidence(record, facts.folder, first, self._boot_id)

    def inode(self, facts: Facts) -> int:
        """Inode of the job's cgroup, which another one with the same name does not have; 0 = unknown."""
        try:
            return (self._roots.cgroup / facts.folder).stat().st_ino if facts.folder else 0
        except OSError:
            return 0

    def other(self, pid: int) -> Process | None:
        """Who has a PID now."""
        if pid not in self._kin:
            self._kin[pid] = read_process(self.proc, pid)
        return self._kin[pid]

    def _place(self, pid: int) -> Place | None:
        if pid not in self._places:
            try:
                with Folder(self.proc, pid) as folder:
                    self._places[pid] = place(folder.cgroup())
            except OSError:
                self._places[pid] = None
        return self._places[pid]

    def _run(self, process: Process, line: tuple[Process, ...]) -> tuple[RunRecord | None, Process | None]:
        if self._runs is not None:
            for one in (process, *line):
                if one.pid not in self._records:
                    self._records[one.pid] = self._runs.find(one.pid, one.start_ticks, one.uid)
                record = self._records[one.pid]
                if record is not None:
                    return record, one
        return None, None
