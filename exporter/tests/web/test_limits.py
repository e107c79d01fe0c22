"""Bounds that are pure arithmetic: descriptors, tokens, log lines."""

import logging

import pytest

from gputally.web.limits import Limits, OncePerMinute, TokenBuckets
from gputally.web.settings import RateLimit


@pytest.mark.parametrize(
    ("descriptors", "connections", "per_address"),
    [(1024, 128, 32), (192, 128, 32), (191, 127, 32), (100, 36, 32), (64, 8, 8), (10, 8, 8), (-1, 128, 32)],
)
def test_connections_leave_descriptors_for_the_rest(
    descriptors: int, connections: int, per_address: int
) -> None:
    fitted = Limits().fitted(descriptors)
    assert (fitted.connections, fitted.connections_per_address) == (connections, per_address)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_passes_and_then_one_request_an_interval() -> None:
    clock = Clock()
    buckets = TokenBuckets(RateLimit(interval_s=1.0, burst=3), clock)
    assert [buckets.take("a") for _ in range(5)] == [True, True, True, False, False]
    clock.now = 1.0
    assert [buckets.take("a") for _ in range(2)] == [True, False]
    clock.now = 60.0
    assert [buckets.take("a") for _ in range(4)] == [True, True, True, False]


def test_an_address_has_its_own_tokens() -> None:
    buckets = TokenBuckets(RateLimit(interval_s=10.0, burst=1), Clock())
    assert [buckets.take(name) for name in "abab"] == [True, True, False, False]


def test_a_crowd_of_addresses_does_not_grow_without_end() -> None:
    buckets = TokenBuckets(RateLimit(interval_s=10.0, burst=1), Clock())
    for index in range(3000):
        assert buckets.take(index)
    assert not buckets.take(2999)
    assert buckets.take(0)  # forgotten, so it begins anew
    assert len(buckets._empty_until) <= 1024


def test_one_line_a_minute_says_how_many_were_held_back() -> None:
    clock = Clock()
    only = OncePerMinute(clock)

    def record() -> logging.LogRecord:
        return logging.LogRecord("x", logging.ERROR, "f", 1, "broken by %s", ("it",), None)

    assert [only.filter(record()) for _ in range(5)] == [True, False, False, False, False]
    clock.now = 60.0
    late = record()
    assert only.filter(late)
    assert late.getMessage() == "broken by it (and 4 more since the last line)"
