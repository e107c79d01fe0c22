"""Asks the questions of a report, a part of the range at a time; what is too much is asked in halves."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Protocol

from gputally.report.answers import Sample
from gputally.report.failures import ReportError, TooMuch
from gputally.report.ranges import Part, Range

HOUR_S = 3_600
Question = Callable[[str], str]  # the span as text -> PromQL
# Told how many questions there will be; gives what is called after each of them.
Progress = Callable[[int], AbstractContextManager[Callable[[], object]]]


class Server(Protocol):
    """Whoever answers PromQL."""

    def query(self, expression: str, at_s: int) -> Sequence[Sample]:
        """The instant answer."""

    def rules(self) -> frozenset[str] | None:
        """Names of the recording rules that are loaded; None where the server does not say."""


@dataclass(frozen=True, slots=True)
class Task:
    """One question about one part."""

    column: str
    question: Question
    part: Part
    splits: bool = True  # whether the answers of two halves can be put together


def no_progress(_total: int) -> AbstractContextManager[Callable[[], object]]:
    """For who does not look."""
    return nullcontext(lambda: None)


@dataclass(slots=True)
class Inquiry:
    """A range, somebody to ask about it, and what has to be said beside the figures."""

    server: Server
    range: Range
    now_s: int
    progress: Progress = no_progress
    notes: dict[str, None] = field(default_factory=dict)  # in order, each once

    def note(self, text: str) -> None:
        """Say something beside the figures."""
        self.notes[text] = None

    def answers(self, tasks: Sequence[Task]) -> Iterator[tuple[Task, Sequence[Sample]]]:
        """Ask one after the other."""
        with self.progress(len(tasks)) as step:
            for task in tasks:
                yield task, self._answer(task.question, task.part, splits=task.splits)
                step()

    def ask(self, question: Question, part: Part | None = None) -> Sequence[Sample]:
        """Ask about one part, or the whole range."""
        whole = Part(self.range.from_s, self.range.until_s)
        return self._answer(question, part or whole, splits=False)

    def now(self, expression: str, at_s: int | None = None) -> Sequence[Sample]:
        """Ask about an instant: the end of the range."""
        return self.server.query(expression, self.range.until_s if at_s is None else at_s)

    def _answer(
        self, question: Question, part: Part, *, splits: bool, later: bool = False
    ) -> Sequence[Sample]:
        # A later half begins a millisecond late: Prometheus 2 counts the first instant in, which the half
        # before has, too.
        span = f"{part.seconds}s" if not later else f"{part.seconds * 1000 - 1}ms"
        try:
            return self.server.query(question(span), part.until_s)
        except TooMuch as error:
            if not splits or part.seconds <= HOUR_S:
                raise ReportError(f"{error}; even of {span}") from None
        middle_s = part.from_s + part.seconds // 2
        return [
            *self._answer(question, Part(part.from_s, middle_s), splits=True, later=later),
            *self._answer(question, Part(middle_s, part.until_s), splits=True, later=True),
        ]
