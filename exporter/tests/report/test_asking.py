"""Too much at once is asked in halves; the rest is asked as it is, in order, with progress."""

from __future__ import annotations

import re
from contextlib import contextmanager
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from gputally.report.asking import Inquiry, Task
from gputally.report.failures import ReportError, TooMuch
from gputally.report.ranges import DAY_S, Part, Range
from tests.report.inquiring import Scripted, sample

WEEK = Range(1_000_000, 1_000_000 + 7 * DAY_S, ZoneInfo("UTC"))
TO_THE_END = Part(WEEK.from_s, WEEK.until_s)


def span_ms(text: str) -> int:
    number, unit = re.fullmatch(r"(\d+)(ms|s)", text).groups()
    return int(number) * (1000 if unit == "s" else 1)


def limited(most_s: float) -> Scripted:
    """Answers with the milliseconds asked for; refuses more than a length."""

    def answer(expression: str, _at_s: int) -> list:
        if span_ms(expression) > most_s * 1000:
            raise TooMuch("http://x: too many samples")
        return [sample(span_ms(expression))]

    return Scripted(answer)


@pytest.mark.parametrize("most_s", [7 * DAY_S, 2 * DAY_S, 5000])
def test_halves_cover_the_part_without_overlap(most_s):
    server = limited(most_s)
    inquiry = Inquiry(server, WEEK, WEEK.until_s)
    ((_task, samples),) = inquiry.answers([Task("kwh", lambda span: span, TO_THE_END)])
    answered = sorted(
        (at * 1000 - span_ms(span), at * 1000) for span, at in server.asked if span_ms(span) <= most_s * 1000
    )
    assert answered[0][0] == WEEK.from_s * 1000
    assert answered[-1][1] == WEEK.until_s * 1000
    # Each later piece begins a millisecond after the one before ends: an instant is in one of them.
    assert all(two[0] - one[1] == 1 for one, two in pairwise(answered))
    assert len(samples) == len(answered)


def test_what_is_too_much_even_of_an_hour_is_an_error():
    inquiry = Inquiry(limited(10), WEEK, WEEK.until_s)
    with pytest.raises(ReportError, match=r"http://x: too many samples; even of \d+m?s"):
        list(inquiry.answers([Task("kwh", lambda span: span, TO_THE_END)]))


def test_what_cannot_be_halved_is_not():
    server = limited(10)
    with pytest.raises(ReportError, match="too many samples"):
        Inquiry(server, WEEK, WEEK.until_s).ask(lambda span: span)
    assert len(server.asked) == 1


def test_questions_are_asked_in_order_and_each_is_a_step():
    steps = []

    @contextmanager
    def progress(total):
        steps.append(total)
        yield lambda: steps.append("step")

    server = limited(7 * DAY_S)
    inquiry = Inquiry(server, WEEK, WEEK.until_s, progress)
    tasks = [Task(str(n), lambda span: span, Part(WEEK.from_s, WEEK.from_s + 60 + n)) for n in range(3)]
    assert [task.column for task, _ in inquiry.answers(tasks)] == ["0", "1", "2"]
    assert steps == [3, "step", "step", "step"]


def test_a_note_stands_once():
    inquiry = Inquiry(limited(1), WEEK, WEEK.until_s)
    for text in ("b", "a", "b"):
        inquiry.note(text)
    assert list(inquiry.notes) == ["b", "a"]
