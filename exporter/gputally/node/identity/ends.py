"""How a job ended, from whatever is left of it: a record, its cgroup, its first process."""

import os
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gputally.model import Instant, Job
from gputally.model.clock import NS_PER_SECOND
from gputally.node.identity.parts import RunRecords, SlurmRecord, SlurmRecords
from gputally.node.identity.proc import read_process
from gputally.node.identity.protocol import End, Evidence

ENDED = End(None, "ended")
LOST_NS = 60 * NS_PER_SECOND  # without process and cgroup; before its first step a job has neither
LOOK_NS = 10 * NS_PER_SECOND
_HIERARCHIES = ("", "unified", "systemd", "memory")


@dataclass(slots=True)
class _Trail:
    """One run whose record is open."""

    seen: bool  # by this agent, or so young that there may be nothing to see yet
    looked_ns: int
    missing_ns: int | None = None  # since when there is nothing
    suspected: bool = False  # that this means its end
    lost: bool = False


class OpenRecords:
    """Which Slurm jobs go on whose records tell no end: slurmd may have been killed, and no epilog run.

    Those go on that have a process on a GPU, or a cgroup. Others have ended after a while if the machine
    shows Slurm's cgroups, else if Slurm has given one of their GPUs away since. What shows up again goes on.
    """

    def __init__(self, cgroup_root: Path, slurm: SlurmRecords | None) -> None:
        self._root, self._slurm = cgroup_root, slurm
        self._trails: dict[str, _Trail] = {}
        self._scanned_ns: int | None = None
        self._folders: Collection[str] | None = None

    def holds(self, record: SlurmRecord, processes: int, now: Instant) -> bool:
        """Whether its GPUs are its own. Of what was lost before this agent started that is not said again."""
        trail = self._look(record, processes, now)
        return not trail.lost and (trail.seen or not trail.suspected)

    def has_ended(self, record: SlurmRecord, processes: int, now: Instant) -> bool:
        """Whether it has ended, though nobody wrote that down."""
        return self._look(record, processes, now).lost

    def keep(self, run_ids: Collection[str]) -> None:
        """Forget all others."""
        self._trails = {run_id: trail for run_id, trail in self._trails.items() if run_id in run_ids}

    def _look(self, record: SlurmRecord, processes: int, now: Instant) -> _Trail:
        trail = self._trails.get(record.run_id)
        if trail is None:
            young = (now.wall_seconds - record.start_seconds) * NS_PER_SECOND < LOST_NS
            trail = self._trails[record.run_id] = _Trail(young, now.boot_ns - LOOK_NS)
        if processes > 0:
            trail.seen, trail.missing_ns, trail.suspected, trail.lost = True, None, False, False
        elif now.boot_ns - trail.looked_ns >= LOOK_NS:
            trail.looked_ns = now.boot_ns
            self._search(trail, record, now.boot_ns)
        return trail

    def _search(self, trail: _Trail, record: SlurmRecord, now_ns: int) -> None:
        if self._scanned_ns is None or now_ns - self._scanned_ns >= LOOK_NS:
            self._scanned_ns, self._folders = now_ns, slurm_folders(self._root)
        folders = self._folders
        if folders is not None and (f"job_{record.job_id}" in folders or record.sluid in folders):
            trail.seen, trail.missing_ns, trail.suspected, trail.lost = True, None, False, False
            return
        trail.missing_ns = now_ns if trail.missing_ns is None else trail.missing_ns
        trail.suspected = folders is not None or self._is_given_away(record)
        trail.lost = trail.lost or (trail.suspected and now_ns - trail.missing_ns >= LOST_NS)

    def _is_given_away(self, record: SlurmRecord) -> bool:
        minors = set(record.gpus)
        return self._slurm is not None and any(
            one.start_seconds > record.start_seconds and not minors.isdisjoint(one.gpus)
            for one in self._slurm.records()
        )


def slurm_folders(cgroup_root: Path) -> Collection[str] | None:
    """Names of the jobs' cgroups that Slurm has here; None = Slurm makes none, or they are not to be seen."""
    scopes = [
        scope
        for root in (cgroup_root, cgroup_root / "unified")
        for scope in _subfolders(root / "system.slice")
        if scope.name == "slurmstepd.scope" or scope.name.endswith("_slurmstepd.scope")
    ]
    users = [
        user
        for hierarchy in _subfolders(cgroup_root)
        for top in _subfolders(hierarchy)
        if top.name == "slurm" or top.name.startswith("slurm_")
        for user in _subfolders(top)
        if user.name.startswith("uid_")
    ]
    if not scopes and not users:
        return None
    jobs = {job.name for scope in scopes for job in _subfolders(scope) if _is_populated(job)}
    return jobs.union(job.name for user in users for job in _subfolders(user))


def recorded_end(
    job: Job,
    evidence: Evidence,
    slurm: SlurmRecords | None,
    runs: RunRecords | None,
    is_lost: Callable[[SlurmRecord], bool],
) -> tuple[bool, End | None]:
    """Whether a record decides, and the end that it tells; None = goes on. `is_lost` judges an open one."""
    if job.scheduler == "slurm" and slurm is not None:
        record, later = _slurm_record(slurm, job.job_id)
        if record is not None and (record.end is not None or not later):
            return True, ENDED if record.end is None and is_lost(record) else record.end
        if later:
            return True, ENDED
    elif job.scheduler == "run" and runs is not None and evidence.record:
        run = runs.reread(evidence.record)
        if run is not None and run.end is not None:
            return True, run.end
    return False, None


def is_gone(evidence: Evidence, proc_root: Path, cgroup_root: Path) -> bool:
    """Whether the job's first process or its cgroup has gone; of what left no trace that is presumed.

    The caller knows that the evidence is of this boot.
    """
    if evidence.leader is not None:
        pid, start_ticks = evidence.leader
        process = read_process(str(proc_root), pid)
        if process is None or process.start_ticks != start_ticks or process.state in ("Z", "X"):
            return True
    if evidence.cgroup:
        path = evidence.cgroup.lstrip("/")
        return not any((cgroup_root / hierarchy / path).is_dir() for hierarchy in _HIERARCHIES)
    return evidence.leader is None


def _slurm_record(slurm: SlurmRecords, job_id: str) -> tuple[SlurmRecord | None, bool]:
    """The record of a run, and whether there is a later run of the same job."""
    number = job_id.partition("-r")[0]
    latest = slurm.record_for(number) if number.isdigit() else slurm.record_for_sluid(number)
    if latest is None or latest.run_id == job_id:
        return latest, False
    return next((one for one in slurm.records() if one.run_id == job_id), None), True


def _subfolders(folder: Path) -> Iterator[Path]:
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield Path(entry.path)


def _is_populated(folder: Path) -> bool:
    """Whether processes are in a cgroup or below it (cgroups(7)); where slurmstepd was killed it stays."""
    try:
        return "populated 0" not in (folder / "cgroup.events").read_text("ascii")
    except (OSError, ValueError):
        return folder.is_dir()
