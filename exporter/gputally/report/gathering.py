"""Adds up what groups have used in a range: by hourly tiles as dashboards do, or by the counters themselves.

Tiles know nothing of days, and nothing between a date and the next full hour. So whoever asks for dates or
days gets the counters: every sample of the range is read, and what happened while nobody scraped is in it.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from gputally.report import questions
from gputally.report.asking import Inquiry, Question, Task
from gputally.report.failures import ReportError
from gputally.report.questions import Measure
from gputally.report.ranges import Part
from gputally.report.sheet import Amounts
from gputally.tables.columns import CURRENCY

DAY = "day"
Key = tuple[str, ...]
LOAD_RULES = "load prometheus/rules/ and fill the past as docs/rules.md says, or give --from as a date"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which amounts, by what, of whom."""

    measures: Sequence[Measure]
    by: tuple[str, ...]  # labels; days among them
    where: str = ""  # matchers

    @property
    def labels(self) -> tuple[str, ...]:
        """Without the day, which is no label."""
        return tuple(label for label in self.by if label != DAY)

    def key(self, labels: Key, day: str) -> Key:
        """Values in the order of `by`."""
        given = iter(labels)
        return tuple(day if label == DAY else next(given) for label in self.by)


def gather(inquiry: Inquiry, wanted: Wanted) -> dict[Key, Amounts]:
    """Amounts by group. Raises ReportError where a rule is missing, or there are no data at all."""
    use_tiles = inquiry.range.by_tiles and DAY not in wanted.by
    if use_tiles and _no_tile_yet(inquiry, wanted.measures):
        use_tiles = False
    groups: dict[Key, Amounts] = {}
    tasks = list(_tasks(inquiry, wanted, use_tiles=use_tiles))
    by_column = {measure.column: measure for measure in wanted.measures}
    for task, samples in inquiry.answers(tasks):
        money = by_column[task.column].money
        for sample in samples:
            key = wanted.key(sample.key(wanted.labels), task.part.day)
            currency = sample.labels.get(CURRENCY, "") if money else None
            groups.setdefault(key, Amounts()).add(task.column, sample.value, currency)
    return groups


def parts(inquiry: Inquiry, by: Iterable[str]) -> list[Part]:
    """The pieces in which counters are asked."""
    return list(inquiry.range.days() if DAY in by else inquiry.range.parts())


def _tasks(inquiry: Inquiry, wanted: Wanted, *, use_tiles: bool) -> Iterable[Task]:
    whole = [Part(inquiry.range.from_s, inquiry.range.until_s)]
    for measure in wanted.measures:
        for part in whole if use_tiles else parts(inquiry, wanted.by):
            yield Task(measure.column, _question(measure, wanted, use_tiles=use_tiles), part)


def _question(measure: Measure, wanted: Wanted, *, use_tiles: bool) -> Question:
    ask = questions.tiles if use_tiles else questions.increase
    return lambda span: ask(measure, wanted.labels, span, wanted.where)


def _no_tile_yet(inquiry: Inquiry, measures: Sequence[Measure]) -> bool:
    """Whether rules are loaded and have not come to their first hour; says so where hours are missing.

    Raises ReportError for a rule that nobody records.
    """
    young, due = False, None
    said: set[int] = set()  # rules of one file are missing for the same hours
    for measure in measures:
        there = _hours(inquiry, questions.hours_with_tiles, measure)
        if due is None or there + 1 < due:
            due = _hours(inquiry, questions.hours_with_counters, measure)
        if not there and due:
            require_rule(inquiry, measure.rule)
            young = True
        elif there + 1 < due and there not in said:
            said.add(there)
            inquiry.note(
                f"{measure.rule} has {there} of {due} hours of this range, so amounts are too small: "
                f"{LOAD_RULES}."
            )
    if young:
        inquiry.note(
            "The hourly rules have not come to their first hour yet: these are the counters' figures."
        )
    return young


def _hours(inquiry: Inquiry, question: Callable[[Measure, str], str], measure: Measure) -> int:
    found = inquiry.ask(lambda span: question(measure, span))
    return int(found[0].value) if found else 0


def require_rule(inquiry: Inquiry, rule: str) -> None:
    """Raise ReportError for a rule that is not loaded."""
    if rule not in (inquiry.server.rules() or ()):
        raise ReportError(f"rule {rule} is not recorded: {LOAD_RULES}")


def require_data(inquiry: Inquiry) -> None:
    """Raise ReportError where no agent was scraped in the range."""
    step = inquiry.range.step
    if not inquiry.ask(lambda span: questions.seen_now_and_then("gputally_build_info", (), span, step)):
        start, end = (
            inquiry.range.moment(at).isoformat(" ", "minutes")
            for at in (inquiry.range.from_s, inquiry.range.until_s)
        )
        raise ReportError(f"no data from {start} to {end}: no agent of gputally was scraped in this time")
