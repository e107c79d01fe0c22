"""Files that people write: the configuration, prices, bookings, tokens, and the times in all of them."""

from __future__ import annotations

import contextlib
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from gputally.config.durations import format_ns, parse_ns
from gputally.config.instants import parse_instant_ns, shown
from gputally.config.intervals import GRAMS, PRICE, read_series
from gputally.config.reservations import parse_reservations
from gputally.config.strict import ConfigError
from gputally.report.ranges import read_range
from gputally.site.reservations import changes
from gputally.site.reservations.changes import RefusedError
from gputally.tokens.authfile import DamagedError, Token, make_token, read_tokens
from gputally.tokens.authfile import render as render_tokens
from gputally.tokens.holders import Holder, read_holders
from tests.config.manual import BLOCKS, complaints, put_files
from tests.fuzz.target import Target, file, folder, one_line
from tests.reservations.booking import FULL as BOOKED
from tests.reservations.booking import HOUR_NS, T0_NS, at, row
from tests.site.declaring import FULL

if TYPE_CHECKING:
    from collections.abc import Iterator

_NANO, _MOST = 10**9, 25
_NEW = {
    "id": "new",
    "team": "vision",
    "host": "gpu01",
    "gpus": ["1"],
    "start": at(1),
    "end": at(2),
    "note": "a: #",
}
_SPREAD = f"""\
reservations:   # all
  -
      id: a
      team: 'x y'
      host: '[::1]'
      gpus: [GPU-a]
      start: {at(0)}
      end: {at(4)}
      note: |
        two
        lines

# end"""
_HOLDERS = b"""\
store: http://127.0.0.1:8428
nodes: {n-1: {cluster: north}}
sites: {south: {}}
teams: {nlp: {}}
concurrency: {nodes: 4}
"""
_TIMES = [
    b"1m30s\n2026-11-20T09:00:00+01:00\n2026-03\n",
    b"7d\n2026-11-20 09:00Z\nyesterday\ntoday",
    b"250ms\n1970-01-01T00:00Z\n2026-10-25T02:30\n2026-10-25",
]


def configuration(data: bytes) -> bool:
    """Both agents read it: one line about it, or figures that can be published and rules that parse."""
    put_files(folder())
    node, site = complaints(folder(), data)
    assert (node == "") == (site == "") or "reservations" in node + site, (node, site)
    return site == ""


def prices(data: bytes) -> bool:
    """A series in order, of whole numbers within bounds."""
    path, read = file("any-prices.csv", data), False
    for column, most in ((PRICE, _MOST), (GRAMS, 2000)):
        try:
            found = read_series(path, column, _NANO, Decimal(most))
        except ConfigError as error:
            one_line(str(error), 400)
            continue
        assert len(found.values) == len(found.starts_ns) > 0
        assert all(abs(value) <= most * _NANO for value in found.values)
        assert column == PRICE or min(found.values) >= 0
        assert all(before < after for before, after in pairwise([*found.starts_ns, found.end_ns]))
        read = True
    return read


def reservations(data: bytes) -> bool:
    """A file of bookings: what is changed in it is read again, and nothing beside it is another."""
    try:
        before = parse_reservations(data, "r.yml")
    except ConfigError as error:
        one_line(str(error))
        return False
    assert all(one.start_ns < one.end_ns and one.count >= 1 for one in before.reservations)
    _booked(data, lambda: changes.add(data, "r.yml", _NEW, T0_NS), before.reservations)
    for one in before.reservations[:2]:
        others = tuple(other for other in before.reservations if other is not one)
        _booked(data, lambda one=one: changes.cancel(data, "r.yml", one.id, one.start_ns), others)
        later = lambda one=one: changes.extend(data, "r.yml", one.id, lambda end: end + HOUR_NS, one.start_ns)  # noqa: E731
        _booked(data, later, others)
    return True


def _booked(data: bytes, change, others: tuple) -> None:
    try:
        made = change()
    except (ConfigError, RefusedError) as error:
        one_line(str(error))
        return
    assert parse_reservations(made.data, "r.yml") == made.book
    assert tuple(one for one in made.book.reservations if one != made.reservation) == others
    head = next((n for n, (a, b) in enumerate(zip(data, made.data, strict=False)) if a != b), len(data))
    assert len(made.data) < len(data) + 500
    assert data[:head] == made.data[:head]


def tokens(data: bytes) -> bool:
    """Who may do what, and the tokens that were given out: ours are read, others' files are refused."""
    try:
        holders = read_holders(file("holders.yml", data))
    except ConfigError as error:
        one_line(str(error))
    else:
        given = [(holder, make_token(holder.key)) for holder in holders.by_key.values()]
        assert read_tokens(render_tokens(holders.store, given)) == [token for _, token in given]
        return True
    try:
        read_tokens(data.decode(errors="replace"))
    except DamagedError as error:
        one_line(str(error), 10_000)
        return False
    return True


def times(data: bytes) -> bool:
    """Lengths, instants and ranges: what is read is written in a way that reads the same."""
    first, second, start, end = (*data.decode(errors="replace").split("\n", 3), "", "", "", "")[:4]
    with contextlib.suppress(ValueError):
        length = parse_ns(first)
        assert 0 <= length == parse_ns(format_ns(length))
    with contextlib.suppress(ValueError):
        instant = parse_instant_ns(second)
        assert 0 <= instant == parse_instant_ns(shown(instant))
    try:
        found = read_range(start, end, T0_NS // _NANO, ZoneInfo("Europe/Berlin"))
    except ValueError as error:
        one_line(str(error), 100_000)
        return False
    assert 0 <= found.from_s < found.until_s <= T0_NS // _NANO
    assert sum(day.seconds for day in found.days()) == found.seconds
    assert sum(part.seconds for part in found.parts()) == found.seconds
    return True


def _files() -> Iterator[bytes]:
    yield FULL.encode()
    for kind, text in BLOCKS:
        if kind == "yaml":
            yield text.encode()


def _prices() -> Iterator[bytes]:
    for kind, text in BLOCKS:
        if kind != "yaml":
            yield text.encode()


def _bookings() -> Iterator[bytes]:
    yield BOOKED.encode()
    yield f"---\r\nreservations: [{row('a', 0, 4)[2:]},\r\n {row('b', 4, 5, '2')[2:]}]  # two\r\n".encode()
    yield f"\ufeff{_SPREAD}".encode()


def _tokens() -> Iterator[bytes]:
    yield _HOLDERS
    yield render_tokens(
        "http://127.0.0.1:8428", [(Holder("team", "nlp"), Token("team:nlp", "no-secret" * 4))]
    ).encode()


TARGETS = (
    Target("configuration", configuration, _files),
    Target("prices", prices, _prices, 1024),
    Target("reservations", reservations, _bookings, 2048),
    Target("tokens", tokens, _tokens, 1024),
    Target("times", times, lambda: _TIMES, 128),
)
