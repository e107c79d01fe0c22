"""The reports `teams`, `users`, `models` and `gpus`: what groups have used in a range, and left unused."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from gputally.report import questions
from gputally.report.asking import Inquiry
from gputally.report.columns import BUSY, COST, GPU_HOURS, JOBS, KEYS, KWH, MEAN, UNUSED, WHICH
from gputally.report.gathering import DAY, Key, Wanted, gather, parts, require_data
from gputally.report.names import Card, Job, JobKey, find_cards, find_jobs, hours_up
from gputally.report.sheet import Amounts, Sheet, best_first, together
from gputally.report.site import note_default_price
from gputally.tables.columns import Column, Row

GPU = "gpu"
Filters = Mapping[str, Sequence[str]]


def by_team(inquiry: Inquiry, report: str, by: Key, filters: Filters) -> Sheet:
    """Who used what: by any of cluster, team, user, model and day."""
    groups = gather(inquiry, Wanted(tuple(questions.TEAM.values()), by, questions.matching(filters)))
    if not groups:
        require_data(inquiry)
    jobs = {key: job for key, job in find_jobs(inquiry).items() if is_among(key, job, filters)}
    counted = _count(inquiry, jobs, by)
    for key in counted:
        groups.setdefault(key, Amounts())
    for key, amounts in groups.items():
        amounts.settle()
        amounts.add("jobs", Decimal(counted[key]))
    columns = (*keys(by), KWH, COST, WHICH, GPU_HOURS, BUSY, MEAN, *UNUSED, JOBS)
    # A job is counted on every day on which it ran, and once in the total.
    return lay_out(inquiry, Layout(report, columns, by), groups, {"jobs": Decimal(len(jobs))})


def is_among(key: JobKey, job: Job, filters: Filters) -> bool:
    """Whether a job is one of those that were asked for."""
    known = {**job.names, "cluster": key[0]}
    return all(known.get(label, "") in values for label, values in filters.items() if values)


def _count(inquiry: Inquiry, jobs: Mapping[JobKey, Job], by: Key) -> Counter[Key]:
    counted: Counter[Key] = Counter()
    for part in parts(inquiry, by) if DAY in by else [None]:
        for (cluster, _), job in jobs.items():
            if part is None or job.within(part.from_s, part.until_s):
                known = {**job.names, "cluster": cluster, DAY: part.day if part is not None else ""}
                counted[tuple(known.get(label, "") for label in by)] += 1
    return counted


def by_gpu(inquiry: Inquiry, by: Key, filters: Filters) -> Sheet:
    """What each card has used, or each machine, kind of card, cluster or day."""
    asked = ("cluster", "uuid", *((DAY,) if DAY in by else ()))
    where = questions.matching(filters)
    found = gather(inquiry, Wanted(tuple(questions.GPU.values()), asked, where))
    if not found:
        require_data(inquiry)
    for task, samples in inquiry.answers(hours_up(inquiry, parts(inquiry, by), where)):
        for sample in samples:
            key = Wanted((), asked).key(sample.key(("cluster", "uuid")), task.part.day)
            found.setdefault(key, Amounts()).add(task.column, sample.value)
    for amounts in found.values():
        amounts.settle()
    return lay_out_cards(inquiry, (KWH, COST, WHICH, GPU_HOURS, BUSY, MEAN), asked, by, found)


def lay_out_cards(
    inquiry: Inquiry, columns: Sequence[Column], asked: Key, by: Key, found: Mapping[Key, Amounts]
) -> Sheet:
    """Amounts of cards, by card or by what was asked for; then with the number of cards."""
    cards, labels = find_cards(inquiry), card_labels(by)
    groups: dict[Key, Amounts] = {}
    members: dict[Key, set[tuple[str, str]]] = {}
    for key, amounts in found.items():
        known = dict(zip(asked, key, strict=True))
        place = (known["cluster"], known["uuid"])
        row = known | cards.get(place, Card()).row()
        group = tuple(row[label] for label in labels)
        groups.setdefault(group, Amounts()).merge(amounts)
        members.setdefault(group, set()).add(place)
    if GPU in by:
        return lay_out(inquiry, Layout("gpus", (*keys(labels), *columns), labels), groups)
    for group, some in members.items():
        groups[group].add("gpus", Decimal(len(some)))
    all_columns = (*keys(labels), *columns, Column("gpus", "GPUS", "count"))
    number = Decimal(len(set().union(*members.values())))
    return lay_out(inquiry, Layout("gpus", all_columns, labels), groups, {"gpus": number})


def card_labels(by: Key) -> Key:
    """What stands in a row: of a single card all that it is known by."""
    days = tuple(label for label in by if label == DAY)
    if GPU in by:
        return (*days, "cluster", "instance", "gpu", "name", "uuid", "state")
    return (*days, *(label for label in by if label != DAY))


def keys(by: Iterable[str]) -> list[Column]:
    """Columns of what rows are grouped by."""
    return [KEYS[label] for label in by]


@dataclass(frozen=True, slots=True)
class Layout:
    """How groups become rows."""

    report: str
    columns: Sequence[Column]
    by: Key  # what the keys of the groups are
    order: str = "cost"


def lay_out(
    inquiry: Inquiry,
    layout: Layout,
    groups: Mapping[Key, Amounts],
    totals: Mapping[str, Decimal] | None = None,
) -> Sheet:
    """Rows, dearest first, and their sum; `totals` stand instead of sums.

    Groups that used nothing are left out, and so is the column of clusters where none has a name.
    """
    some = {key: amounts for key, amounts in groups.items() if not amounts.nothing()}
    rows: list[Row] = []
    for key in best_first(some, layout.order, days=layout.by[:1] == (DAY,)):
        rows += some[key].rows(dict(zip(layout.by, key, strict=True)))
    total = together(some.values())
    total.numbers.update(totals or {})
    note_default_price(inquiry)
    nameless = not any(row.get("cluster") for row in rows)
    return Sheet(
        layout.report,
        inquiry.range,
        tuple(column for column in layout.columns if not (nameless and column.name == "cluster")),
        rows,
        total.rows({}) if rows else (),
        tuple(inquiry.notes),
    )
