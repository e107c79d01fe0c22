"""What tests book: files made of rows, and instants that stand still."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gputally.config.reservations import parse_reservations
from gputally.model.reservation import Reservation

if TYPE_CHECKING:
    from gputally.model.reservation import Book

NS = 1_000_000_000
HOUR_NS = 3600 * NS
T0 = datetime(2026, 11, 20, 8, tzinfo=UTC)
T0_NS = int(T0.timestamp()) * NS
FULL = """\
# Bookings of the lab. Ask in the channel before you take all of gpu01.
reservations:
  # camera-ready is on the 22nd
  - id: cvpr-rush
    team: vision
    users: [alice, "bob"]   # both of them
    host: gpu01
    gpus: [0, 1]
    start: 2026-11-20T09:00:00+01:00
    end:   2026-11-22T18:00:00+01:00
    note: camera-ready

  - {id: sweep, team: nlp, host: gpu01, count: 2, start: "2026-11-20T12:00Z", end: '2026-11-21 12:00:00Z',
     price_per_gpu_hour: 0.5}   # cheaper: at night
  - id: by-uuid
    team: nlp
    host: gpu02
    gpus: [GPU-b]
    start: 2026-11-20T10:00:00-05:00
    end: 2026-11-20T23:00:00Z
    cancelled: 2026-11-20T16:00:00Z
policy: {min_duration: 30m, max_duration: 14d, horizon: 60d, max_gpus_per_team: 6}
inventory: {gpu01: 4, gpu02: [GPU-a, GPU-b]}
price: {per_gpu_hour: 1.20, currency: EUR}
"""


def book(text: str = FULL) -> Book:
    return parse_reservations(text.encode(), "r.yml")


def at(hours: float) -> str:
    """Hours after T0, as it stands in a file."""
    return datetime.fromtimestamp(T0.timestamp() + hours * 3600, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def row(name: str, start: float, end: float, gpus: str = "[0]", **more: object) -> str:
    """One booking in one line; `gpus` is a list, or a number of them."""
    which = f"gpus: {gpus}" if gpus.startswith("[") else f"count: {gpus}"
    given = {"id": name, "team": "vision", "host": "gpu01", **more}
    pairs = ", ".join(f"{key}: {value}" for key, value in given.items())
    return f"- {{{pairs}, {which}, start: {at(start)}, end: {at(end)}}}"


def file(*rows: str, rest: str = "") -> str:
    return "\n".join(["reservations:", *rows, rest, ""])


def reservation(name: str = "a", start: float = 0, end: float = 1, **more: object) -> Reservation:
    given = {
        "team": "vision",
        "users": (),
        "host": "gpu01",
        "gpus": ("0",),
        "count": 1,
        "start_ns": T0_NS + round(start * HOUR_NS),
        "end_ns": T0_NS + round(end * HOUR_NS),
    }
    return Reservation(id=name, **(given | more))
