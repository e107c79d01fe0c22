"""When a provider is asked next: bounds that hold for whatever happens in whatever order."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gputally.model.market import FAILURES
from gputally.site.market.schedule import (
    BROKEN_FACTOR,
    FAILURES_TO_BREAK,
    FRESH,
    JITTER,
    LONGEST_PAUSE_SECONDS,
    Course,
    Failure,
    after_failure,
    after_success,
    first,
)

CHANCES = st.floats(0, 1)
INTERVALS = st.floats(60, 604_800)
STATUSES = st.none() | st.integers(300, 599)
WISHES = st.none() | st.floats(0, 86_400)
REPLIES = st.builds(Failure, st.sampled_from(FAILURES), STATUSES, WISHES)
COURSES = st.builds(Course, st.integers(0, 2), st.integers(0, 20))
LASTING = [Failure(reason) for reason in ("auth", "parse", "schema", "empty")] + [
    Failure("http", 404),
    Failure("http"),
]
PASSING = [Failure("network"), Failure("timeout"), Failure("rate_limited", 429), Failure("http", 503)]


@settings(max_examples=50)
@given(INTERVALS, CHANCES)
def test_after_a_good_reply_the_next_turn_comes_in_an_interval_give_or_take(interval, chance):
    step = after_success(interval, chance)
    assert step.course == FRESH
    assert abs(step.wait_seconds / interval - 1) <= JITTER + 1e-9


@settings(max_examples=50)
@given(COURSES, REPLIES, INTERVALS, CHANCES)
def test_nobody_is_asked_before_they_want_to_be(course, failure, interval, chance):
    step = after_failure(course, failure, interval, chance)
    assert step.wait_seconds >= (failure.retry_after_seconds or 0)
    assert step.wait_seconds <= max(
        interval * BROKEN_FACTOR * (1 + JITTER) + 1e-6,
        failure.retry_after_seconds or 0,
    )


@settings(max_examples=50)
@given(st.lists(st.tuples(REPLIES, CHANCES), min_size=1, max_size=60), INTERVALS)
def test_no_turn_has_more_than_three_questions_and_turns_keep_their_distance(replies, interval):
    course, in_turn = FRESH, 0
    for failure, chance in replies:
        in_turn += 1
        step = after_failure(course, failure, interval, chance)
        if step.course.repetitions:
            assert step.wait_seconds <= LONGEST_PAUSE_SECONDS
            assert step.course.failed_turns == course.failed_turns
        else:
            assert step.wait_seconds >= interval * (1 - JITTER) - 1e-6
            assert step.course.failed_turns == course.failed_turns + 1
            in_turn = 0
        assert in_turn < 3
        course = step.course


@settings(max_examples=50)
@given(st.sampled_from(LASTING), COURSES, INTERVALS, CHANCES)
def test_what_will_not_pass_is_not_asked_again_in_the_same_turn(failure, course, interval, chance):
    assert after_failure(course, failure, interval, chance).course.repetitions == 0


@settings(max_examples=50)
@given(st.sampled_from(PASSING), INTERVALS, CHANCES)
def test_what_may_pass_is_asked_twice_more_with_longer_and_longer_pauses(failure, interval, chance):
    one = after_failure(FRESH, failure, interval, chance)
    two = after_failure(one.course, failure, interval, chance)
    last = after_failure(two.course, failure, interval, chance)
    assert [step.course for step in (one, two, last)] == [Course(1, 0), Course(2, 0), Course(0, 1)]
    assert 1 < one.wait_seconds < two.wait_seconds < last.wait_seconds


@pytest.mark.fault("provider-refuses")
@settings(max_examples=50)
@given(INTERVALS, CHANCES)
def test_after_five_failed_turns_a_provider_is_hardly_asked_until_it_answers(interval, chance):
    course = FRESH
    for turn in range(1, 9):
        step = after_failure(course, Failure("schema"), interval, chance)
        factor = BROKEN_FACTOR if turn >= FAILURES_TO_BREAK else 1
        assert abs(step.wait_seconds / (interval * factor) - 1) <= JITTER + 1e-9
        course = step.course
    assert course.is_broken
    assert after_failure(course, Failure("network"), interval, chance).course.repetitions == 0
    assert after_success(interval, chance).course == FRESH


@settings(max_examples=50)
@given(CHANCES, INTERVALS)
def test_whoever_wants_to_be_left_alone_for_long_waits_for_the_next_turn(chance, interval):
    step = after_failure(FRESH, Failure("rate_limited", 429, 61), interval, chance)
    assert step.course == Course(0, 1)
    assert after_failure(FRESH, Failure("rate_limited", 429, 30), interval, chance).wait_seconds == 30


@settings(max_examples=50)
@given(CHANCES)
def test_the_first_question_comes_at_once_but_not_everywhere_at_the_same_time(chance):
    assert 0 <= first(chance) <= 2
