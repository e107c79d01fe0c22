"""What `gputally reservations` says: tables of bookings and free slots, and a booking in a sentence."""

from collections.abc import Iterator, Mapping
from datetime import datetime, tzinfo
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click

from gputally.cli.values import At
from gputally.config.durations import format_ns
from gputally.config.instants import shown
from gputally.config.reservations import ConflictError, read_reservations
from gputally.config.strict import ConfigError
from gputally.model.clock import NS_PER_SECOND
from gputally.model.reservation import Book, Reservation
from gputally.site.reservations.changes import written
from gputally.site.reservations.edit import Row
from gputally.site.reservations.free import Slot, slots
from gputally.site.reservations.hours import charged
from gputally.tables import columns
from gputally.tables.columns import Column
from gputally.tables.listed import Listed

BOOKED = (
    Column("id", "ID"),
    Column("state", "STATE"),
    Column("team", "TEAM"),
    Column("host", "HOST"),
    Column("gpus", "GPUS"),
    Column("start", "START", "time"),
    Column("end", "END", "time"),
    Column("gpu_hours", "GPU-H", "hours"),
    Column("held_gpu_hours", "SO FAR", "hours"),
    Column("amount", "COST", "money"),
    Column("currency", ""),
    Column("users", "USERS"),
    Column("note", "NOTE"),
)
FREE = (
    Column("host", "HOST"),
    Column("gpus", "GPUS"),
    Column("start", "START", "time"),
    Column("end", "END", "time"),
    Column("free_until", "FREE UNTIL", "time"),
)
_SOON = ("pending", "active")
_EVER_NS = 2**62


def checked(file: Path, now_ns: int) -> tuple[int, list[str]]:
    """The exit status of a check, and what there is to say."""
    try:
        book = read_reservations(file)
    except ConflictError as error:
        return 2, [f"gputally: error: {file}: {line}" for line in error.lines]
    except ConfigError as error:
        return 2, [f"gputally: error: {error}"]
    if late := list(_beyond_horizon(book, now_ns)):
        return 2, [f"gputally: error: {file}: {line}" for line in late]
    states = [one.state(now_ns) for one in book.reservations]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    return 0, [
        f"{file}: {len(states)} reservation{'s' * (len(states) != 1)}" + (f": {counts}" if counts else "")
    ]


def _beyond_horizon(book: Book, now_ns: int) -> Iterator[str]:
    horizon_ns = book.policy.horizon_ns
    for one in book.reservations:
        if horizon_ns is not None and one.start_ns > now_ns + horizon_ns and one.cancelled_ns is None:
            where = f"{one.id} (line {book.lines[one.id]})"
            yield f"{where} begins more than {format_ns(horizon_ns)} ahead, the policy's horizon"


def zone_of(name: str) -> tzinfo:
    """A time zone. Raises click.UsageError where nobody knows it."""
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # of its name, its file, and of a zone that is none
        raise click.UsageError(f"--timezone {name}: no such time zone") from None


def booked(book: Book, flags: Mapping[str, Any], now_ns: int, zone: tzinfo) -> Listed:
    """The bookings that the flags ask for."""
    states = flags["states"] or _SOON
    found = [
        one
        for one in sorted(book.reservations, key=lambda one: (one.start_ns, one.id))
        if ("all" in states or one.state(now_ns) in states)
        and (not flags["teams"] or one.team in flags["teams"])
        and (not flags["hosts"] or one.host in flags["hosts"])
    ]
    rest = len(book.reservations) - len(found)
    notes = (f"Not among these: {rest} (--state all, --team, --host).",) if rest else ()
    title = f"reservations: {len(found)} of {len(book.reservations)}, times in {zone}"
    rows = [_row(one, now_ns, zone) for one in found]
    return Listed("reservations", title, BOOKED, rows, notes, {"as_of": shown(now_ns)}, ("users",))


def free_slots(book: Book, flags: Mapping[str, Any], now_ns: int, zone: tzinfo) -> Listed:
    """The next times at which what the flags ask for is free. Raises click.UsageError."""
    if book.inventory is None:
        raise click.UsageError("which GPUs there are, the file does not say: it has no inventory")
    for host in flags["hosts"]:
        if host not in book.inventory:
            raise click.UsageError(f"--host {host}: none of {', '.join(book.inventory)}")
    now_ns += -now_ns % NS_PER_SECOND
    found = slots(book, flags["gpus"], flags["for_ns"], now_ns, flags["hosts"])
    gpus, duration = flags["gpus"], format_ns(flags["for_ns"])
    title = f"free: {gpus} GPU{'s' * (gpus != 1)} of one host for {duration}, times in {zone}"
    notes = () if found else ("No host has so many GPUs, or none has them within the policy's horizon.",)
    return Listed("free", title, FREE, [_slot(one, zone) for one in found], notes, {"as_of": shown(now_ns)})


def row_of(name: str, flags: Mapping[str, Any]) -> Row:
    """What is written into the file for a new booking."""
    start: At = flags["start"]
    end: At = flags["end"] or At(start.ns + flags["for_ns"], start.offset)
    row: dict[str, Any] = {"id": name, "team": flags["team"]}
    if flags["users"]:
        row["users"] = flags["users"]
    row["host"] = flags["host"]
    if flags["gpus"] is not None:
        row["gpus"] = [gpu.strip() for gpu in flags["gpus"].split(",")]
    else:
        row["count"] = str(flags["count"])
    row |= {"start": written(*start), "end": written(*end)}
    if flags["price"] is not None:
        row["price_per_gpu_hour"] = flags["price"]
    if flags["note"]:
        row["note"] = flags["note"]
    return row


def sentence(one: Reservation) -> str:
    """A booking for whoever made it."""
    (hours,) = charged([one], 0, _EVER_NS) or (None,)
    what = f"{_gpus(one)} of {one.host} for {one.team} from {shown(one.start_ns)} to {shown(one.until_ns)}"
    if hours is None:
        return f"{one.id}: {what}"
    size = f"{float(hours.gpu_hours):.2f} GPU hours"
    cost = f", {hours.amount:.2f} {one.currency}" if hours.amount is not None else ""
    return f"{one.id}: {what}, {size}{cost}"


def _gpus(one: Reservation) -> str:
    if not one.gpus:
        return f"{one.count} GPU{'s' * (one.count != 1)}"
    return f"GPU{'s' * (one.count != 1)} {', '.join(one.gpus)}"


def _row(one: Reservation, now_ns: int, zone: tzinfo) -> columns.Row:
    (whole,) = charged([one], 0, _EVER_NS) or (None,)
    (held,) = charged([one], 0, now_ns) or (None,)
    zero = Decimal(0)
    return {
        "id": one.id,
        "state": one.state(now_ns),
        "team": one.team,
        "host": one.host,
        "gpus": ",".join(one.gpus) or f"any {one.count}",
        "start": _at(one.start_ns, zone),
        "end": _at(one.until_ns, zone),
        "gpu_hours": _decimal(whole.gpu_hours) if whole else zero,
        "held_gpu_hours": _decimal(held.gpu_hours) if held else zero,
        "amount": whole.amount if whole else (zero if one.currency else None),
        "currency": one.currency,
        "users": " ".join(one.users),
        "note": one.note,
    }


def _slot(one: Slot, zone: tzinfo) -> columns.Row:
    return {
        "host": one.host,
        "gpus": ",".join(one.gpus),
        "start": _at(one.start_ns, zone),
        "end": _at(one.end_ns, zone),
        "free_until": _at(one.until_ns, zone) if one.until_ns is not None else None,
    }


def _at(at_ns: int, zone: tzinfo) -> datetime:
    return datetime.fromtimestamp(at_ns // NS_PER_SECOND, zone)


def _decimal(value: Fraction) -> Decimal:
    return Decimal(value.numerator) / Decimal(value.denominator)
