"""The highest value of the last minute."""

import time

from hypothesis import given, settings
from hypothesis import strategies as st

from gputally.node.peaks import WINDOW_NS, Peak

SECOND = 1_000_000_000


def test_nothing_read_is_no_peak() -> None:
    assert Peak().value(0) is None
    assert Peak().push(0, None).value(0) is None


def test_a_spike_is_seen_for_a_minute_and_then_no_more() -> None:
    peak = Peak().push(0, 700.0)
    for n in range(1, 60):
        peak = peak.push(n * SECOND, 100.0)
    assert peak.value(60 * SECOND) == 700.0
    assert peak.push(61 * SECOND, 100.0).value(61 * SECOND) == 100.0


def test_a_peak_ends_though_nothing_more_is_read() -> None:
    peak = Peak().push(0, 700.0)
    assert peak.value(60 * SECOND) == 700.0
    assert peak.value(60 * SECOND + 1) is None


def test_a_peak_leaves_the_one_it_was_made_from_alone() -> None:
    """State in, state out: an advance that is thrown away leaves no trace."""
    before = Peak().push(0, 5.0)
    before.push(1, 9.0)
    assert before.value(1) == 5.0


@settings(deadline=None, derandomize=True, database=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 30 * SECOND), st.one_of(st.none(), st.floats(0, 1000))),
        max_size=60,
    )
)
def test_it_is_the_maximum_of_the_window(steps: list[tuple[int, float | None]]) -> None:
    """The same as looking at every value of the last minute."""
    now, peak, read = 0, Peak(), []
    for step, value in steps:
        now += step
        peak = peak.push(now, value)
        if value is not None:
            read.append((now, value))
        in_window = [v for at, v in read if now - at <= WINDOW_NS]
        assert peak.value(now) == max(in_window, default=None)


def test_it_keeps_no_more_than_the_window_and_takes_no_time() -> None:
    """The worst case, a power that only falls, at four ticks a second."""
    peak = Peak()
    began = time.thread_time()
    for n in range(4000):
        peak = peak.push(n * SECOND // 4, float(4000 - n))
    assert len(peak.values) == 241
    assert time.thread_time() - began < 0.5
