"""When a provider is asked next. Pure: what has happened goes in, how long to wait comes out.

A turn is one question and at most two repetitions of it. Turns follow each other at the provider's interval;
after five that failed in a row, at six times that, without repetitions, until one of them is answered.
"""

from dataclasses import dataclass

PAUSES_SECONDS = (2.0, 10.0)  # before the first repetition, and before the second
LONGEST_PAUSE_SECONDS = 60.0  # whoever wants to be left alone for longer is asked at the next turn
JITTER = 0.1
FAILURES_TO_BREAK = 5
BROKEN_FACTOR = 6
FIRST_WITHIN_SECONDS = 2.0  # agents that start together do not ask together
_PASSING = frozenset({"network", "timeout", "rate_limited"})
_SERVER_ERROR = 500


@dataclass(frozen=True, slots=True)
class Course:
    """How asking one provider has gone."""

    repetitions: int = 0  # in this turn
    failed_turns: int = 0  # in a row

    @property
    def is_broken(self) -> bool:
        """Whether the provider is hardly asked any more."""
        return self.failed_turns >= FAILURES_TO_BREAK


FRESH = Course()


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a question was not answered."""

    reason: str  # one of gputally.model.market.FAILURES
    status: int | None = None  # of HTTP, where there was one
    retry_after_seconds: float | None = None  # as the provider wishes

    @property
    def is_passing(self) -> bool:
        """Whether it may be over in a moment."""
        return self.reason in _PASSING or (self.status or 0) >= _SERVER_ERROR


@dataclass(frozen=True, slots=True)
class Step:
    """What comes next."""

    course: Course
    wait_seconds: float


def first(chance: float) -> float:
    """How long to wait before the first question of all. `chance` is from 0 to 1, in each of these."""
    return chance * FIRST_WITHIN_SECONDS


def after_success(interval_seconds: float, chance: float) -> Step:
    """The next turn."""
    return Step(FRESH, _jittered(interval_seconds, chance))


def after_failure(course: Course, failure: Failure, interval_seconds: float, chance: float) -> Step:
    """The same question again, or the next turn; never before the provider wants to be asked again."""
    wish_seconds = failure.retry_after_seconds or 0.0
    if failure.is_passing and not course.is_broken and course.repetitions < len(PAUSES_SECONDS):
        pause = max(_jittered(PAUSES_SECONDS[course.repetitions], chance), wish_seconds)
        if pause <= LONGEST_PAUSE_SECONDS:
            return Step(Course(course.repetitions + 1, course.failed_turns), pause)
    then = Course(0, course.failed_turns + 1)
    wait = _jittered(interval_seconds * (BROKEN_FACTOR if then.is_broken else 1), chance)
    return Step(then, max(wait, wish_seconds))


def _jittered(seconds: float, chance: float) -> float:
    return seconds * (1 + JITTER * (2 * chance - 1))
