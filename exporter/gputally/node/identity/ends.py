"""How a job ended, from whatever is left of it: a record, its cgroup, its first process."""

from pathlib import Path

from gputally.model import Job
from gputally.node.identity.parts import RunRecords, SlurmRecord, SlurmRecords
from gputally.node.identity.proc import read_process
from gputally.node.identity.protocol import End, Evidence

ENDED = End(None, "ended")
_HIERARCHIES = ("", "unified", "systemd", "memory")


def recorded_end(
    job: Job, evidence: Evidence, slurm: SlurmRecords | None, runs: RunRecords | None
) -> tuple[bool, End | None]:
    """Whether a record decides, and the end that it tells; None = goes on."""
    if job.scheduler == "slurm" and slurm is not None:
        record, later = _slurm_record(slurm, job.job_id)
        if record is not None and (record.end is not None or not later):
            return True, record.end
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
