"""Durations in Prometheus' spelling."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gputally.config import durations


@pytest.mark.parametrize(
    ("text", "duration_ns"),
    [
        ("0", 0),
        ("0s", 0),
        ("250ms", 250_000_000),
        ("1s", 1_000_000_000),
        ("1m30s", 90_000_000_000),
        ("90m", 5_400_000_000_000),
        ("2h", 7_200_000_000_000),
        ("1d", 86_400_000_000_000),
        ("1d2h3m4s5ms", 93_784_005_000_000),
    ],
)
def test_durations(text: str, duration_ns: int) -> None:
    assert durations.parse_ns(text) == duration_ns


@pytest.mark.parametrize(
    "text",
    [
        *[
            "1",
            "s",
            "-1s",
            "+1s",
            "1.5s",
            "1S",
            "1sec",
            "1w",
            "1s1h",
            "1s1s",
            "1us",
            "1e3s",
            "٣s",
            "99999999s",
            "1:30",
        ],
        "",
        " 1s",
        "1s\n",
    ],
)
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match=r"^expected a duration such as 250ms, 1s, 1m30s, 2h or 1d$"):
        durations.parse_ns(text)


@given(st.integers(0, 10**9))
def test_a_duration_is_written_as_it_is_read(milliseconds: int) -> None:
    duration_ns = milliseconds * 1_000_000
    assert durations.parse_ns(durations.format_ns(duration_ns)) == duration_ns
