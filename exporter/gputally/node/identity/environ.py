"""What a process's environment claims: names that it may add, and whether it poses as another Slurm job.

A process can rewrite its own environment in place, so nothing in it decides on a job, a user or an account.
It holds secrets too: the exact names below are looked for, the rest is never kept, compared or logged. Pure.
"""

from dataclasses import dataclass

from gputally.node.identity.proc import MOST_BYTES
from gputally.node.labels import label_text

TEAM_LIMIT = 64  # characters
_VALUE_BYTES = 4096
_NAMES = frozenset({
    b"GPUTALLY_JOB", b"GPUTALLY_TEAM", b"GPUTALLY_MODEL",
    b"WANDB_PROJECT", b"WANDB_RUN_ID", b"WANDB_NAME", b"TORCHELASTIC_RUN_ID",
    b"SLURM_JOB_ID", b"SLURM_JOBID", b"SLURM_JOB_SLUID",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Claims:
    """What the environment says, fit for labels; "" where it says nothing."""

    job_name: str = ""
    team: str = ""
    model: str = ""
    slurm_jobs: tuple[str, ...] = ()  # the numbers that it gives as its Slurm job's
    sluid: str = ""  # and the SLUID


NO_CLAIMS = Claims()


def read_claims(environ: bytes) -> Claims:
    """Look for the few names in what /proc/PID/environ gave. The first of two with one name counts."""
    found: dict[bytes, bytes] = {}
    entries = environ.split(b"\0")
    if len(environ) >= MOST_BYTES:
        entries.pop()  # is cut
    for entry in entries:
        name, equals, value = entry.partition(b"=")
        if equals and name in _NAMES and value:
            found.setdefault(name, value[:_VALUE_BYTES])
    return _claims(found) if found else NO_CLAIMS


def _claims(found: dict[bytes, bytes]) -> Claims:
    def said(name: bytes) -> str:
        return label_text(found.get(name, b""))

    project, run = said(b"WANDB_PROJECT"), said(b"WANDB_RUN_ID")
    elastic = said(b"TORCHELASTIC_RUN_ID")
    name = (
        said(b"GPUTALLY_JOB")
        or said(b"WANDB_NAME")
        or label_text("/".join(part for part in (project, run) if part))
        or (elastic if elastic != "none" else "")  # torchrun's default
    )
    numbers = (said(b"SLURM_JOB_ID"), said(b"SLURM_JOBID"))
    return Claims(
        job_name=name,
        team=label_text(found.get(b"GPUTALLY_TEAM", b""), TEAM_LIMIT),
        model=said(b"GPUTALLY_MODEL") or project,
        slurm_jobs=tuple(dict.fromkeys(number for number in numbers if number)),
        sluid=said(b"SLURM_JOB_SLUID"),
    )


def contradicts(claims: Claims, number: str, sluid: str) -> bool:
    """Whether a process of one Slurm job says that it is of another; "" = its name is not known."""
    if number and any(job != number for job in claims.slurm_jobs):
        return True
    return bool(sluid and claims.sluid and claims.sluid != sluid)
