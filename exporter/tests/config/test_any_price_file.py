"""Files of prices with anything in any place: one line about it, or a series in order of whole numbers."""

from __future__ import annotations

import json
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gputally.config.intervals import PRICE, read_series
from gputally.config.strict import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

MOST = 25
NANO = 10**9
ROWS = [
    ["2026-10-25T02:00:00+02:00", "2026-10-25T03:00:00+02:00", "0.0873"],
    ["2026-10-25T01:00Z", "2026-10-25T02:00Z", "-0.005"],
    ["2026-10-25T03:00:00+01:00", "2026-10-25T03:15:00+01:00", "0"],
]
HEADS = st.sampled_from(
    [["start", "end", "price_per_kwh"]] * 6 + [["end", "price_per_mwh", "start"], ["start"], []]
)
ODD = st.sampled_from(
    [
        *(
            "",
            "0",
            "-0",
            "1e3",
            "1e99",
            "NaN",
            "inf",
            "25.0000000001",
            "0.0000000001",
            "1_0",
            "1,5",
            "\u0663",
            "x" * 200,
        ),
        *(
            "2026-10-25",
            "2026-10-25T02:00",
            "2026-10-25T02:00:00.5Z",
            "2026-10-25T24:00Z",
            "0001-01-01T00:00+14:00",
        ),
        *(
            "9999-12-31T23:59-14:00",
            "1792-01-01T00:00Z",
            "2026-W43-7T01:00Z",
            "20261025T0100Z",
            "2026-10-25T01:00+99:00",
        ),
        *("2026-10-25T01:00z", "2026-10-25 01:00Z", "\x00", '"', "\n", "\u202e", "=1+1"),
    ]
)
CELLS = st.one_of(st.sampled_from([cell for row in ROWS for cell in row]), ODD)
LINES = st.one_of(st.sampled_from(ROWS), st.lists(CELLS, min_size=1, max_size=4))
JSON_CELLS = st.one_of(CELLS, st.sampled_from([None, True, 0.1, 10**30, [], {}]))


@st.composite
def as_csv(draw: st.DrawFn) -> bytes:
    rows = [draw(HEADS), *draw(st.one_of(st.just(ROWS), st.lists(LINES, max_size=4)))]
    separator, end = (
        draw(st.sampled_from([",", ", ", ";"])),
        draw(st.sampled_from(["\n", "\r\n", "\n\n", "\r"])),
    )
    return end.join(separator.join(row) for row in rows).encode()


@st.composite
def as_json(draw: st.DrawFn) -> bytes:
    names = ["start", "end", "price_per_kwh"]
    objects = [dict(zip(names, row, strict=True)) for row in ROWS]
    for _ in range(draw(st.integers(0, 3))):
        one = draw(st.sampled_from(objects))
        one[draw(st.sampled_from([*names, "price_per_mwh", "note"]))] = draw(JSON_CELLS)
    return json.dumps(draw(st.sampled_from([objects, objects[0], objects[:0], {"rows": objects}]))).encode()


@pytest.mark.fault("prices-bad")
@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.one_of(as_csv(), as_json(), st.binary(max_size=60), st.just(b"[" * 20_000)))
def test_any_file_of_prices_is_one_line_or_a_series(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "prices.csv"
    path.write_bytes(data)
    try:
        found = read_series(path, PRICE, NANO, Decimal(MOST))
    except ConfigError as error:
        message = str(error)
    else:
        assert found.values
        assert len(found.values) == len(found.starts_ns)
        assert all(abs(price) <= MOST * NANO for price in found.values)
        assert all(before < after for before, after in pairwise([*found.starts_ns, found.end_ns]))
        return
    assert message.startswith(f"{path}:")
    assert message.isprintable()
    assert len(message) < 400
