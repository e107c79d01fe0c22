"""Whole numbers divided by weight: exact in sum, and each part as near as a whole number can be."""

import math
import sys
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gputally.node.attribution.weights import activity_ppm, apportion

TOTALS = st.integers(0, 10**18)
WEIGHT = st.one_of(
    st.integers(0, 10**24),
    st.floats(0, allow_nan=False, allow_infinity=False),
    st.sampled_from([0, 0.0, 5e-324, 0.1, 0.3, 1, 1.0, 7, sys.float_info.max, 10**400]),
)
WEIGHTS = st.lists(WEIGHT, min_size=1, max_size=12).filter(any)


@given(TOTALS, WEIGHTS)
@example(1, [5e-324, sys.float_info.max])
@example(10**18, [5e-324, 5e-324])
@example(7, [10**400, 0.5])
def test_parts_sum_to_the_total_and_each_is_off_by_less_than_one(total, weights):
    parts = apportion(total, weights)
    exact = [Fraction(weight) for weight in weights]
    together = sum(exact)
    assert sum(parts) == total
    for part, weight in zip(parts, exact, strict=True):
        assert part >= 0
        assert abs(part - total * weight / together) < 1
        assert type(part) is int


@given(TOTALS, WEIGHTS)
def test_who_weighs_nothing_gets_nothing_and_who_weighs_more_never_gets_less(total, weights):
    parts = apportion(total, weights)
    assert all(part == 0 for part, weight in zip(parts, weights, strict=True) if weight == 0)
    ordered = sorted(zip(weights, parts, strict=True), key=lambda pair: (pair[0], pair[1]))
    assert [part for _, part in ordered] == sorted(parts)


@pytest.mark.parametrize(
    ("total", "weights", "parts"),
    [
        (10, [1, 1, 1], [4, 3, 3]),
        (11, [1, 1, 1], [4, 4, 3]),
        (11, [1.0, 1, 1.0], [4, 4, 3]),
        (10, [1, 2, 3], [2, 3, 5]),  # 1.67, 3.33, 5
        (7, [0.5, 0.25, 0.25], [3, 2, 2]),  # 3.5, 1.75, 1.75
        (1, [1, 5, 1], [0, 1, 0]),
        (3, [2, 1, 2, 1], [1, 1, 1, 0]),  # 1, 0.5, 1, 0.5: a tie goes to whom comes first
        (5, [0, 3, 0], [0, 5, 0]),
        (0, [1, 2], [0, 0]),
        (0, [1], [0]),
        (9, [1e-9], [9]),
    ],
)
def test_parts_by_hand(total, weights, parts):
    assert apportion(total, weights) == parts


@pytest.mark.parametrize(
    ("total", "weights"),
    [
        (1, []),
        (0, []),
        (1, [0, 0.0]),
        (0, [0]),
        (-1, [1]),
        (1, [2, -1]),
        (1, [-1, -1]),
        (1, [1.0, math.nan]),
        (1, [1, math.inf]),
    ],
)
def test_what_cannot_be_divided_is_refused(total, weights):
    with pytest.raises(ValueError, match=r"cannot be divided|infinite|NaN"):
        apportion(total, weights)


@pytest.mark.parametrize(
    ("ratio", "ppm"),
    [
        (None, None),
        (math.nan, None),
        (-0.1, None),
        (0.0, 0),
        (1e-9, 0),
        (0.37, 370_000),
        (1.0, 1_000_000),
        (1.3, 1_000_000),
        (math.inf, 1_000_000),
    ],
)
def test_activity_is_weighed_between_none_and_all(ratio, ppm):
    assert activity_ppm(ratio) == ppm
