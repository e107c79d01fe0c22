"""The report `jobs`: what each job has used by its end, or until now; on several machines it is one row."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import partial

from gputally.model.elsewhere import Run
from gputally.report import questions
from gputally.report.answers import Sample
from gputally.report.asking import Inquiry, Task
from gputally.report.columns import (
    BUSY,
    COST,
    GPU_HOURS,
    JOBS,
    KWH,
    MEAN,
    UNMETERED,
    UNUSED_COST,
    UNUSED_HOURS,
    WHICH,
)
from gputally.report.elsewhere import hours, join
from gputally.report.gathering import DAY, Key, require_data, require_rule
from gputally.report.names import JOB_NAMES, Job, JobKey, after, find_jobs
from gputally.report.questions import Measure
from gputally.report.sheet import Amounts, Sheet, best_first, together
from gputally.report.site import note_default_price
from gputally.report.usage import Filters, Layout, is_among, keys, lay_out
from gputally.tables.columns import CURRENCY, Column, Row, Value

AMOUNTS = (
    KWH,
    replace(COST, digits=4),  # a job of seconds costs less than a cent
    WHICH,
    GPU_HOURS,
    BUSY,
    MEAN,
    UNUSED_HOURS,
    replace(UNUSED_COST, digits=4),
)
_SURELY_RECORDED_S = 900  # rules of jobs come every five minutes
_MOST_IDS = 200  # jobs in one question
NAMES = ("cluster", "job_id", "job_name", "team", "user", "model", "scheduler", "state", "start", "end")


def jobs(inquiry: Inquiry, by: Key, filters: Filters, told: Sequence[Run] | None = None) -> Sheet:
    """A row for each job that ran in the range, with all that it ever used; or sums of them.

    `told` is what a ledger has of that time; None where there is no ledger.
    """
    there = find_jobs(inquiry)
    if told is not None:
        there = join(inquiry, there, told)
    found = {key: job for key, job in there.items() if is_among(key, job, filters)}
    if not found:
        require_data(inquiry)
        inquiry.note("No such job ran in this time.")
    used = _amounts(inquiry, {key: job for key, job in found.items() if job.is_measured})
    for amounts in used.values():
        amounts.settle()
    used |= {key: hours(job) for key, job in found.items() if not job.is_measured}
    columns = AMOUNTS if told is None else (*AMOUNTS, UNMETERED)
    if by:
        groups: dict[Key, Amounts] = {}
        for key, amounts in used.items():
            group = tuple(_known(inquiry, key, found[key]).get(label, "") for label in by)
            groups.setdefault(group, Amounts()).merge(amounts)
            groups[group].add("jobs", Decimal(1))
        return lay_out(inquiry, Layout("jobs", (*keys(by), *columns, JOBS), by), groups)
    names = NAMES if told is None else (*NAMES, "exit_code")
    return _by_job(inquiry, found, used, (*keys(names), *columns))


def _by_job(
    inquiry: Inquiry,
    found: Mapping[JobKey, Job],
    used: Mapping[JobKey, Amounts],
    columns: Sequence[Column],
) -> Sheet:
    rows: list[Row] = []
    for key in best_first(used, "cost", days=False):
        rows += used[key].rows(_names(inquiry, key, found[key]))
    note_default_price(inquiry)
    nameless = not any(cluster for cluster, _ in found)
    return Sheet(
        "jobs",
        inquiry.range,
        tuple(column for column in columns if not (nameless and column.name == "cluster")),
        rows,
        together(used.values()).rows({}) if rows else (),
        tuple(inquiry.notes),
    )


def _known(inquiry: Inquiry, key: JobKey, job: Job) -> dict[str, str]:
    """What jobs can be grouped by; the day is that of their beginning."""
    day = "" if job.start_s is None else inquiry.range.moment(int(job.start_s)).date().isoformat()
    return {**job.names, "cluster": key[0], "state": job.state, DAY: day}


def _names(inquiry: Inquiry, key: JobKey, job: Job) -> dict[str, Value]:
    moment, told = inquiry.range.moment, job.told
    end_s = job.end_s if told is None or told.end_s is None else told.end_s
    return {
        "cluster": key[0],
        "job_id": key[1],
        **{name: job.names.get(name, "") for name in JOB_NAMES},
        "state": job.state,
        "start": moment(int(job.start_s)) if job.start_s is not None else None,
        "end": moment(int(end_s)) if end_s is not None else None,
        "exit_code": None if told is None or told.exit_code is None else str(told.exit_code),
    }


def _amounts(inquiry: Inquiry, found: Mapping[JobKey, Job]) -> dict[JobKey, Amounts]:
    """The greatest value of every amount, by the rules; and by the counters, what no rule has seen yet."""
    used: dict[JobKey, Amounts] = {key: Amounts() for key in found}
    recorded = set()
    tasks = [
        Task(column, partial(questions.finals, measure), part)
        for column, measure in questions.JOB.items()
        for part in inquiry.range.parts()
    ]
    for task, samples in inquiry.answers(tasks):
        _raise(used, task.column, samples)
        if samples:
            recorded.add(task.column)
    end_s, after_s = inquiry.range.until_s, after(inquiry)
    for column, measure in questions.JOB.items():
        _raise(used, column, inquiry.now(questions.live(measure)))
        if after_s > end_s:
            # Who ended in the last seconds was scraped afterwards; who runs on counts up to the range's end.
            ended = {key: amounts for key, amounts in used.items() if not found[key].running}
            _raise(ended, column, inquiry.now(questions.live(measure), after_s))
        if column not in recorded and found and inquiry.range.seconds > _SURELY_RECORDED_S:
            _require(inquiry, measure)
    _add_machines(inquiry, used, [key for key, job in found.items() if job.is_uneven])
    _note_unknown(inquiry, used)
    return used


def _raise(used: Mapping[JobKey, Amounts], column: str, samples: Sequence[Sample]) -> None:
    money = questions.JOB[column].money
    for sample in samples:
        cluster, job_id = sample.key(questions.JOB_LABELS)
        if (amounts := used.get((cluster, job_id))) is not None:
            amounts.raise_to(column, sample.value, sample.labels.get(CURRENCY, "") if money else None)


def _add_machines(inquiry: Inquiry, used: dict[JobKey, Amounts], uneven: Sequence[JobKey]) -> None:
    """Ask for jobs that left their machines one by one machine by machine, and add that up."""
    ids = sorted({job_id for _, job_id in uneven})
    tasks = [
        Task(column, partial(questions.by_machine, measure, ids[at : at + _MOST_IDS]), part)
        for column, measure in questions.JOB.items()
        for at in range(0, len(ids), _MOST_IDS)
        for part in inquiry.range.parts()
    ]
    greatest: dict[tuple[str, frozenset[tuple[str, str]]], Sample] = {}
    for task, samples in inquiry.answers(tasks):
        for sample in samples:
            place = (task.column, frozenset(sample.labels.items()))
            greatest[place] = max(greatest.get(place, sample), sample, key=lambda one: one.value)
    for key in uneven:
        used[key] = Amounts()
    for (column, _labels), sample in greatest.items():
        cluster, job_id = sample.key(questions.JOB_LABELS)
        if (cluster, job_id) in uneven:
            money = questions.JOB[column].money
            used[cluster, job_id].add(
                column, sample.value, sample.labels.get(CURRENCY, "") if money else None
            )


def _require(inquiry: Inquiry, measure: Measure) -> None:
    """Raise ReportError for a rule that nobody records although there is what it is made of."""
    if inquiry.ask(lambda span: f"count(count_over_time({measure.counter}[{span}:5m]))"):
        require_rule(inquiry, measure.rule)


def _note_unknown(inquiry: Inquiry, used: Mapping[JobKey, Amounts]) -> None:
    unknown = sum(not amounts.numbers and not amounts.money for amounts in used.values())
    if unknown:
        inquiry.note(
            f"What {unknown} of {len(used)} jobs have used is not known: nobody recorded rule "
            f"{questions.JOB['kwh'].rule} at that time."
        )
