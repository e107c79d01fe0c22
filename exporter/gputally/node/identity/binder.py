"""Binds processes to jobs: looks at each process once, and lets go when it ends.

Used from the sampler's thread only. What a call may cost is bounded, however many PIDs a driver lists: only
so many are looked at in a while, those first that have never been; others are not resolved until their turn.
"""

import logging
import os
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from pathlib import Path

from gputally.config.teams import TeamRule
from gputally.model import Instant, Job
from gputally.model.clock import NS_PER_SECOND
from gputally.node.identity import units
from gputally.node.identity.dossier import Dossier
from gputally.node.identity.ends import ENDED, is_gone, recorded_end
from gputally.node.identity.facts import Roots
from gputally.node.identity.owners import OwnerNames
from gputally.node.identity.parts import Pods, RunRecords, SlurmRecords
from gputally.node.identity.proc import Folder, Process, read_process, sees_host
from gputally.node.identity.protocol import Allocation, End, Evidence, Sighting
from gputally.node.identity.register import FORGET_NS, Known, Register
from gputally.node.identity.resolver import Resolver
from gputally.node.identity.watch import Watch, has_ended

logger = logging.getLogger(__name__)

MOST_LOOKS = 256  # at processes not yet bound, within LOOKS_NS
FEW_LOOKS = 16  # that every call may make all the same: one GPU's crowd must not hide another GPU's job
LOOKS_NS = NS_PER_SECOND // 5
LOOK_AGAIN_NS = NS_PER_SECOND  # at a PID that led nowhere, and at start times of processes without a pidfd
LINGER_NS = 2 * NS_PER_SECOND  # for which a driver's list may lag behind a process that has ended
FORGET_MISSING_NS = 60 * NS_PER_SECOND
TIDY_NS = 5 * NS_PER_SECOND
MOST_BOUND = 4096
MOST_MISSING = 16_384
KINDS = ("environment", "team", "lookalike", "record")


@dataclass(slots=True)
class _Bound:
    start_ticks: int
    known: Known
    watched: bool
    checked_ns: int
    seen_ns: int
    ended_ns: int | None = None


class Binder:
    """The jobs of a machine. Parts that know more of them are optional; `teams` may be replaced."""

    def __init__(  # noqa: PLR0913 - what the agent knows of its machine
        self,
        proc_root: Path = Path("/proc"),
        cgroup_root: Path = Path("/sys/fs/cgroup"),
        units_root: Path = units.UNITS_ROOT,
        *,
        teams: Sequence[TeamRule] = (),
        environment: bool = False,
        slurm: SlurmRecords | None = None,
        runs: RunRecords | None = None,
        pods: Pods | None = None,
        owners: OwnerNames | None = None,
    ) -> None:
        self._proc, self._cgroup = proc_root, cgroup_root
        self._slurm, self._runs = slurm, runs
        roots = Roots(proc_root, cgroup_root, units_root)
        self._resolver = Resolver(roots, slurm, runs, pods, environment=environment)
        self._register = Register(self._resolver, owners or OwnerNames(), slurm, pods, cgroup_root)
        self._register.teams = teams
        self._watch = Watch(str(proc_root))
        self._bound: dict[int, _Bound] = {}
        self._missing: dict[int, int] = {}  # PIDs that led nowhere -> when looked at
        self._looks_ns, self._looks_left = -LOOKS_NS, 0
        self._tidied_ns = 0
        self._troubles: set[str] = set()  # that kept processes from being judged, each said once

    @property
    def teams(self) -> Sequence[TeamRule]:
        """The rules for jobs that are bound from now on."""
        return self._register.teams

    @teams.setter
    def teams(self, rules: Sequence[TeamRule]) -> None:
        self._register.teams = rules

    def sightings(self, pids: Collection[int], now: Instant) -> Mapping[int, Sighting]:
        """The jobs of these processes; the very same object for a job until more is known of it."""
        now_ns = now.boot_ns
        self._tidy(now_ns)
        for pid in self._watch.ended():
            self._end(self._bound[pid], now_ns)
        held, unbound = [], []
        for pid in pids:
            bound = self._bound.get(pid)
            if bound is not None and self._holds(pid, bound, now_ns):
                bound.seen_ns = now_ns
                held.append((pid, bound.known))
            else:
                unbound.append(pid)
        for pid in self._turn(unbound, now_ns):
            known = self._bind(pid, now)
            if known is not None:
                held.append((pid, known))
        if any(pid in self._missing for pid in unbound) and not sees_host(str(self._proc)):
            return {}  # PIDs of another namespace: those that did resolve are namesakes
        return {pid: self._register.shown(known, now) for pid, known in held}

    def allocations(self, now: Instant) -> Sequence[Allocation]:
        """GPUs of running Slurm jobs with a record, and what the kubelet says of pods."""
        return self._register.allocations(now)

    def end_of(self, job: Job, evidence: Evidence, now: Instant) -> End | None:
        """How a job without a process on a GPU ended. One with a living process that was on one goes on."""
        lives = self._register.processes(job.job_id) > 0
        if job.scheduler == "run" and lives:
            return None  # its record tells of the command, which a worker may outlive
        decided, end = recorded_end(
            job, evidence, self._slurm, self._runs, lambda record: self._register.is_lost(record, now)
        )
        if decided:
            return end
        boot_id = self._resolver.boot_id
        rebooted = evidence.boot_id and boot_id and evidence.boot_id != boot_id
        if rebooted or (job.scheduler == "slurm" and not self._resolver.is_latest(job.job_id)):
            return ENDED
        if lives:
            return None
        if self._is_anothers(job, evidence) or is_gone(evidence, self._proc, self._cgroup):
            return ENDED
        return None

    def conflicts(self) -> Mapping[str, int]:
        """Claims that were refused since the start."""
        counted = Counter(self._resolver.conflicts)
        counted["team"] += self._register.refused_teams
        if self._slurm is not None:
            counted["record"] += self._slurm.refused
        if self._runs is not None:
            counted.update(self._runs.conflicts())
        return {kind: counted[kind] for kind in KINDS}

    def _is_anothers(self, job: Job, evidence: Evidence) -> bool:
        """Whether PID and start of a job's first process are those of a later one, had in the same tick."""
        pid, start_ticks = evidence.leader or (0, 0)
        bound = self._bound.get(pid)
        if bound is None or bound.start_ticks != start_ticks:
            return False
        return bound.ended_ns is not None or bound.known.dossier.job_id != job.job_id

    def _holds(self, pid: int, bound: _Bound, now_ns: int) -> bool:
        """Whether a listed PID still means the process that it was bound for."""
        if bound.ended_ns is None and not bound.watched and now_ns - bound.checked_ns >= LOOK_AGAIN_NS:
            bound.checked_ns = now_ns
            process = read_process(str(self._proc), pid)
            if process is None or process.start_ticks != bound.start_ticks or process.state in ("Z", "X"):
                self._end(bound, now_ns)
        if bound.ended_ns is None:
            return True
        # The list may be from when it was alive: its last moment is its own, unless somebody has its PID.
        if now_ns - bound.ended_ns <= LINGER_NS and not self._taken(pid, bound):
            return True
        del self._bound[pid]
        return False

    def _taken(self, pid: int, bound: _Bound) -> bool:
        process = read_process(str(self._proc), pid)
        if process is None:
            return self._watch.exists(pid)
        return process.start_ticks != bound.start_ticks or process.state not in ("Z", "X")

    def _end(self, bound: _Bound, now_ns: int) -> None:
        bound.ended_ns, bound.watched = now_ns, False
        bound.known.processes -= 1

    def _turn(self, unbound: Sequence[int], now_ns: int) -> Iterable[int]:
        """Whom to look at now: those never looked at, then those for whom the last look is longest ago."""
        if not unbound:
            return ()
        if not 0 <= now_ns - self._looks_ns < LOOKS_NS:
            self._looks_ns, self._looks_left = now_ns, MOST_LOOKS
        new = [pid for pid in unbound if pid not in self._missing]
        due = [pid for pid in unbound if now_ns - self._missing.get(pid, now_ns) >= LOOK_AGAIN_NS]
        most = max(self._looks_left, FEW_LOOKS)
        turn = (new + nsmallest(most, due, key=self._missing.__getitem__))[:most]
        self._looks_left = max(0, self._looks_left - len(turn))
        return turn

    def _bind(self, pid: int, now: Instant) -> Known | None:
        looked = self._look(pid, now) if len(self._bound) < MOST_BOUND else None
        if looked is None:
            if pid in self._missing or len(self._missing) < MOST_MISSING:
                self._missing[pid] = now.boot_ns
            return None
        self._missing.pop(pid, None)
        process, dossier, fd = looked
        known = self._register.file(dossier, now)
        known.processes += 1
        self._bound[pid] = _Bound(process.start_ticks, known, fd is not None, now.boot_ns, now.boot_ns)
        if fd is not None:
            self._watch.keep(pid, fd)
        return known

    def _look(self, pid: int, now: Instant) -> tuple[Process, Dossier, int | None] | None:
        try:
            fd = self._watch.open(pid)
        except ProcessLookupError:
            return None
        found = None
        try:
            with Folder(str(self._proc), pid) as folder:
                process, dossier = self._resolver.resolve(folder, now)
            alive = process.state not in ("Z", "X") if fd is None else not has_ended(fd)
            found = (process, dossier, fd) if alive else None
        except (OSError, ValueError):
            return None
        except Exception as error:  # noqa: BLE001 - one odd process must not hide all others
            self._say(type(error).__name__)  # its text may quote what is secret
            return None
        finally:
            if found is None and fd is not None:
                os.close(fd)
        return found

    def _say(self, trouble: str) -> None:
        if trouble not in self._troubles:
            self._troubles.add(trouble)
            logger.error("a process cannot be judged, its energy is nobody's: %s", trouble)

    def _tidy(self, now_ns: int) -> None:
        """Now and then, let go of processes that have ended or have left the GPUs for long."""
        if 0 <= now_ns - self._tidied_ns < TIDY_NS:
            return
        self._tidied_ns = now_ns
        for pid, bound in list(self._bound.items()):
            if bound.ended_ns is None and now_ns - bound.seen_ns >= FORGET_NS:
                # It lives, off the GPUs: what proves its end is its leader or its cgroup.
                self._watch.drop(pid)
                bound.known.processes -= 1
                del self._bound[pid]
            elif bound.ended_ns is not None and now_ns - bound.ended_ns > LINGER_NS:
                del self._bound[pid]
        for pid in [
            pid for pid, looked_ns in self._missing.items() if now_ns - looked_ns >= FORGET_MISSING_NS
        ]:
            del self._missing[pid]
        self._register.tidy(now_ns)
