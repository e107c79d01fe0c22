"""What a later look at a job may change, and what its start and end may be. Values in, values out.

Starts and ends come from records, from users' own wrappers and from a clock that may step; they become labels
and dates in tables, so nonsense is replaced where it enters.
"""

import math
from dataclasses import replace

from gputally.model import UNASSIGNED, Instant, Job
from gputally.model.clock import NS_PER_SECOND
from gputally.node.identity.protocol import End, Evidence

RUNNING = "running"
ENDED = "ended"  # how, nobody said
STATES = (RUNNING, "completed", "failed", "cancelled", "timeout", ENDED)
EARLIEST_SECONDS = 1_577_836_800  # 2020-01-01: what is older was read from a clock that was not set
MOST_EXIT_CODE = (1 << 31) - 1


def start_ns(seconds: float, now: Instant) -> int:
    """When a job began (Unix time): what was said, or now where that cannot be."""
    if not EARLIEST_SECONDS <= seconds <= now.wall_seconds:  # also where it is not a number
        return now.wall_ns
    return _ns(seconds)


def end_ns(end: End, began_ns: int, seen_ns: int, now: Instant) -> int:
    """When a job ended (Unix time): what was said or when it was last seen; not before it began."""
    said = end.seconds
    if said is None or not math.isfinite(said):
        return max(began_ns, seen_ns)
    return max(began_ns, _ns(min(said, now.wall_seconds)))


def end_state(end: End) -> str:
    """How a job ended, in the words that are published."""
    return end.state if end.state in STATES[1:] else ENDED


def exit_code(end: End) -> int | None:
    """A job's exit code, where it can be one."""
    code = end.exit_code
    return code if code is not None and 0 <= code <= MOST_EXIT_CODE else None


def filled(job: Job, later: Job) -> Job:
    """The job with what was not known at first; what was known stays, whoever says otherwise.

    A number as a user is a uid whose name the directory service had not told yet.
    """
    changes: dict[str, str] = {}
    unnamed = not job.user or (job.user.isdecimal() and not later.user.isdecimal())
    if unnamed and later.user and later.user != job.user:
        changes["user"] = later.user
    if job.team == UNASSIGNED and later.team not in ("", UNASSIGNED):
        changes["team"] = later.team
    if not job.job_name and later.job_name:
        changes["job_name"] = later.job_name
    if not job.model and later.model:
        changes["model"] = later.model
    return replace(job, **changes) if changes else job


def evidence_filled(evidence: Evidence, later: Evidence) -> Evidence:
    """The evidence with what was missing; that of another boot proves nothing any more and is replaced."""
    if evidence.boot_id and later.boot_id and evidence.boot_id != later.boot_id:
        return later
    both = Evidence(
        evidence.record or later.record,
        evidence.cgroup or later.cgroup,
        evidence.leader or later.leader,
        evidence.boot_id or later.boot_id,
    )
    return evidence if both == evidence else both


def _ns(seconds: float) -> int:
    """Nanoseconds that become the very same seconds again; a product would be off by a hundred of them."""
    whole = int(seconds)
    return whole * NS_PER_SECOND + round((seconds - whole) * NS_PER_SECOND)
