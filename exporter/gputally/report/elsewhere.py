"""Jobs of a ledger beside those that were measured: the same run is one row, with the scheduler's last word.

A measured job of Slurm and a run of the ledger are the same where they have one number and were there at one
time; the cluster decides only between several, for what Prometheus calls a cluster need not be Slurm's name.
"""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

from gputally.model.elsewhere import RUNNING, SLURM, OutsideJob, Run
from gputally.report.asking import Inquiry
from gputally.report.names import Job, JobKey
from gputally.report.ranges import Range
from gputally.report.sheet import Amounts

_SLACK_S = 600  # between the start that Slurm writes down and the first that an agent sees of it


def join(inquiry: Inquiry, found: Mapping[JobKey, Job], runs: Sequence[Run]) -> dict[JobKey, Job]:
    """Measured jobs, with what the ledger says of them; and after them those of the ledger alone."""
    joined = dict(found)
    taken: set[int] = set()
    for key, number in _pairs(inquiry.range, found, runs):
        if joined[key].told is None and number not in taken:
            taken.add(number)
            joined[key].told = _at(runs[number].job, inquiry.range)
    rest = [run for number, run in enumerate(runs) if number not in taken]
    for run in rest:
        joined[_free_key(run, joined)] = _outside(run.job, inquiry.range)
    if taken:
        inquiry.note(f"State and exit code of {len(taken)} jobs are Slurm's own, by the ledger.")
    if rest:
        inquiry.note(
            f"{len(rest)} jobs are of the ledger alone: nothing metered them. All that is known is for "
            "how long they held how many GPUs."
        )
    return joined


def hours(job: Job) -> Amounts:
    """What a job of the ledger alone has used."""
    amounts = Amounts()
    if job.told is not None:
        held = Decimal(job.told.gpu_seconds) / 3600
        amounts.add("gpu_hours", held)
        amounts.add("unmetered_hours", held)
    return amounts


def _pairs(span: Range, found: Mapping[JobKey, Job], runs: Sequence[Run]) -> list[tuple[JobKey, int]]:
    """What may be the same, the most alike first."""
    by_id: dict[str, list[int]] = {}
    for number, run in enumerate(runs):
        if run.job.scheduler == SLURM:
            by_id.setdefault(run.job.job_id, []).append(number)
    pairs = []
    for key, job in found.items():
        if job.names.get("scheduler") != SLURM:
            continue
        for number in by_id.get(key[1].partition("-r")[0], ()):
            away = _apart(span, job, runs[number].job)
            if away is not None:
                pairs.append((runs[number].job.provider != key[0], away, key, number))
    return [(key, number) for _, _, key, number in sorted(pairs)]


def _apart(span: Range, job: Job, told: OutsideJob) -> Decimal | None:
    """How far the starts are apart; None where the two were never there at one time."""
    start_s = job.start_s if job.start_s is not None else Decimal(told.start_s)
    end_s = job.end_s if job.end_s is not None else Decimal(span.until_s)
    if start_s > told.known_until_s + _SLACK_S or end_s < told.start_s - _SLACK_S:
        return None
    return abs(start_s - told.start_s)


def _at(told: OutsideJob, span: Range) -> OutsideJob:
    """As it was at the end of the range."""
    if told.known_until_s <= span.until_s:
        return told
    return OutsideJob(
        **{name: getattr(told, name) for name in told.__slots__}
        | {"end_s": None, "seen_s": span.until_s, "status": RUNNING, "exit_code": None}
    )


def _outside(told: OutsideJob, span: Range) -> Job:
    then = _at(told, span)
    place = then.provider
    return Job(
        names={
            "user": then.user,
            "team": then.team,
            "job_name": then.name,
            "model": then.model,
            "scheduler": then.scheduler,
        },
        places={place: {then.status}},
        running={place} if then.running else set(),
        ends_s={} if then.end_s is None else {place: Decimal(then.end_s)},
        start_s=Decimal(then.start_s),
        told=then,
        is_measured=False,
    )


def _free_key(run: Run, taken: Mapping[JobKey, Job]) -> JobKey:
    """A requeued job's runs are named as on the nodes; what is taken gets its start behind it."""
    return next(key for key in _keys(run) if key not in taken)


def _keys(run: Run) -> Iterator[JobKey]:
    provider, job_id = run.job.provider, run.job.job_id
    yield provider, f"{job_id}-r{run.earlier}" if run.earlier else job_id
    yield provider, f"{job_id}@{run.job.start_s}"
