"""The file of reservations, a merge request to which is a booking, and the block that says where it is.

reservations:
  - id: cvpr-rush
    team: vision
    users: [alice, bob]                  # beside the team's own members
    host: gpu01
    gpus: [0, 1]                         # indexes or UUIDs; or count: 2
    start: 2026-11-20T09:00:00+01:00     # an offset is required
    end: 2026-11-22T18:00:00+01:00
    note: camera-ready
policy: {min_duration: 30m, max_duration: 14d, horizon: 60d, max_gpus_per_team: 8}
inventory: {gpu01: 8, gpu02: [GPU-6f0c0a7b, GPU-1a2b3c4d]}
price: {per_gpu_hour: 1.20, currency: EUR}
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from gputally.config.checked import CURRENCY, matching
from gputally.config.durations import format_ns
from gputally.config.instants import INSTANT_IS, parse_instant_ns, shown
from gputally.config.overlaps import Conflict, conflicts, over_limit
from gputally.config.strict import ConfigError, Section, Value, parse
from gputally.config.yamltree import read_regular_file
from gputally.model.clock import NS_PER_SECOND
from gputally.model.reservation import Book, Policy, Reservation

MOST = 1000  # reservations of a file
MOST_HOSTS, MOST_GPUS, MOST_USERS = 1000, 64, 64
LONGEST_NOTE = 200
_DAY_NS = 86_400_000_000_000
_LONGEST_NS = 3660 * _DAY_NS
_LEAST_PRICE, _MOST_PRICE = Decimal(0), Decimal(1_000_000)
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_ID_IS = "a name of at most 64 letters, digits and ._-"
_TEAM = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}", re.ASCII)
_TEAM_IS = "a name of at most 64 letters, digits, blanks and ._-"
_HOST = re.compile(r"[A-Za-z0-9\[][A-Za-z0-9._:\]-]{0,252}", re.ASCII)
_HOST_IS = "a host as in the label instance, without its port"
_USER = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.@$-]{0,63}", re.ASCII)
_GPU = re.compile(r"0|[1-9][0-9]{0,2}|[A-Za-z][A-Za-z0-9._:-]{0,79}", re.ASCII)
_GPU_IS = "an index such as 0, or a UUID"


class ConflictError(ConfigError):
    """Bookings of a file that cannot be kept together; the line tells of the first."""

    def __init__(self, file: str, book: Book, found: tuple[Conflict, ...]) -> None:
        self.found, self.book = found, book
        self.lines = tuple(say(conflict, book) for conflict in found)
        line = book.lines.get(found[0].second.id, 0)
        more = f"; and {len(found) - 1} more" if len(found) > 1 else ""
        super().__init__(file, self.lines[0] + more, line, 1 if line else 0, "reservations")


_NOTHING = Book()


@dataclass(frozen=True, slots=True)
class ReservationSettings:
    """Where bookings are written down, and what they were when the file was last good."""

    file: Path
    book: Book = _NOTHING


def read_reservations_block(root: Section, folder: Path, *, is_read: bool) -> ReservationSettings | None:
    """Read the block, and the file that it names where `is_read`. Raises ConfigError."""
    block = root.mapping("reservations")
    if not block.present:
        return None
    path = folder / block.string("file")
    block.finish()  # a slip of the pen is told before a file that is not there
    return ReservationSettings(path, read_reservations(path) if is_read else Book())


def read_reservations(path: Path) -> Book:
    """Read the file of reservations.

    Raises:
        ConflictError: two bookings cannot be kept together.
        ConfigError: the file cannot be read, or anything else in it is wrong.
    """
    return parse_reservations(read_regular_file(path), str(path))


def parse_reservations(data: bytes, name: str) -> Book:
    """Read it from memory; `name` stands for the file in messages. Raises as `read_reservations`."""
    root = parse(data, name)
    policy = _policy(root.mapping("policy"))
    inventory = _inventory(root.mapping("inventory"))
    price, currency = _price(root.mapping("price"))
    listed = root.list("reservations")
    if len(listed) > MOST:
        raise root.error("reservations", f"expected at most {MOST}, found {len(listed)}: old ones may go")
    reader = _Rows(policy, inventory, price, currency)
    rows = tuple(reader.read(value) for value in listed)
    root.finish()
    book = Book(rows, policy, inventory, price, currency, reader.lines)
    if found := conflicts(book):
        raise ConflictError(name, book, found)
    _refuse_over_limit(book, name)
    return book


def say(conflict: Conflict, book: Book) -> str:
    """A conflict in words: both ids and both lines, what they share, and when."""
    ids = [
        f"{one.id} (line {book.lines[one.id]})" if one.id in book.lines else one.id
        for one in (conflict.second, conflict.first)
    ]
    span = f"from {shown(conflict.from_ns)} to {shown(conflict.until_ns)}"
    return f"{ids[0]} and {ids[1]} both want {conflict.what} {span}"


def _policy(section: Section) -> Policy:
    least, most, ahead = (
        section.duration_ns(key, None, minimum=NS_PER_SECOND, maximum=_LONGEST_NS)
        for key in ("min_duration", "max_duration", "horizon")
    )
    if least is not None and most is not None and least > most:
        raise section.error("min_duration", f"longer than max_duration, {format_ns(most)}")
    return Policy(least, most, ahead, section.integer("max_gpus_per_team", None, minimum=1, maximum=100_000))


def _inventory(section: Section) -> Mapping[str, tuple[str, ...]] | None:
    hosts: dict[str, tuple[str, ...]] = {}
    for host, value in section.items():
        if not _HOST.fullmatch(host):
            raise value.error(f"expected {_HOST_IS}")
        if value.node.items is None:
            hosts[host] = tuple(str(index) for index in range(value.integer(1, MOST_GPUS)))
        else:
            hosts[host] = _uuids(value)
    if len(hosts) > MOST_HOSTS:
        raise section.value.error(f"expected at most {MOST_HOSTS} hosts, found {len(hosts)}")
    return hosts if section.present else None


def _uuids(value: Value) -> tuple[str, ...]:
    uuids = tuple(matching(item, _GPU, _GPU_IS) for item in value.list())
    if any(uuid.isdecimal() for uuid in uuids):
        raise value.error("expected UUIDs in the order of their indexes, or how many GPUs there are")
    if not 1 <= len(set(uuids)) == len(uuids) <= MOST_GPUS:
        raise value.error(f"expected 1 to {MOST_GPUS} UUIDs, each once")
    return uuids


def _price(section: Section) -> tuple[Decimal | None, str]:
    price, currency = section.get("per_gpu_hour"), section.get("currency")
    if not section.present:
        return None, ""
    if price is None or currency is None:
        raise section.value.error("expected per_gpu_hour and currency")
    return (
        price.decimal(_LEAST_PRICE, _MOST_PRICE),
        matching(currency, CURRENCY, "three capital letters such as EUR"),
    )


class _Rows:
    """Reads bookings one by one."""

    def __init__(
        self,
        policy: Policy,
        inventory: Mapping[str, tuple[str, ...]] | None,
        price: Decimal | None,
        currency: str,
    ) -> None:
        self._policy, self._inventory = policy, inventory
        self._price, self._currency = price, currency
        self.lines: dict[str, int] = {}

    def read(self, value: Value) -> Reservation:
        section = value.mapping()
        name, team = self._id(section), self._text(section, "team", _TEAM, _TEAM_IS)
        host = self._text(section, "host", _HOST, _HOST_IS)
        start_ns, end_ns, cancelled_ns = self._times(section)
        gpus, count = self._gpus(section, host)
        users = tuple(dict.fromkeys(matching(one, _USER, "a user's name") for one in section.list("users")))
        if len(users) > MOST_USERS:
            raise section.error("users", f"expected at most {MOST_USERS}, found {len(users)}")
        price = section.decimal("price_per_gpu_hour", None, minimum=_LEAST_PRICE, maximum=_MOST_PRICE)
        if price is not None and not self._currency:
            raise section.error("price_per_gpu_hour", "in which currency? The file has no block price")
        price = self._price if price is None else price
        note = section.string("note", "")
        if len(note) > LONGEST_NOTE:
            raise section.error("note", f"expected at most {LONGEST_NOTE} characters")
        section.finish()
        return Reservation(
            *(name, team, users, host, gpus, count, start_ns, end_ns, note, cancelled_ns, price),
            currency=self._currency,
        )

    @staticmethod
    def _text(section: Section, key: str, pattern: re.Pattern[str], what: str) -> str:
        value = section.get(key)
        if value is None:
            raise section.value.error(f"missing key {key}")
        return matching(value, pattern, what)

    def _id(self, section: Section) -> str:
        name = self._text(section, "id", _ID, _ID_IS)
        if name in self.lines:
            raise section.error("id", f"{name} is there twice, first at line {self.lines[name]}")
        self.lines[name] = section.value.node.line
        return name

    def _times(self, section: Section) -> tuple[int, int, int | None]:
        start_ns, end_ns, cancelled_ns = (_instant_ns(section, key) for key in ("start", "end", "cancelled"))
        if start_ns is None or end_ns is None:
            raise section.value.error(f"missing key {'start' if start_ns is None else 'end'}")
        if end_ns <= start_ns:
            raise section.error("end", "it must come after start")
        if cancelled_ns is not None and cancelled_ns >= end_ns:
            raise section.error("cancelled", "it was over by then: expected a time before end")
        least, most, took_ns = self._policy.min_duration_ns, self._policy.max_duration_ns, end_ns - start_ns
        if least is not None and took_ns < least:
            raise section.error(
                "end", f"{format_ns(took_ns)} is shorter than {format_ns(least)}, the policy's"
            )
        if most is not None and took_ns > most:
            raise section.error("end", f"{format_ns(took_ns)} is longer than {format_ns(most)}, the policy's")
        return start_ns, end_ns, cancelled_ns

    def _gpus(self, section: Section, host: str) -> tuple[tuple[str, ...], int]:
        known = None
        if self._inventory is not None:
            if host not in self._inventory:
                raise section.error("host", f"{host} is not in the inventory")
            known = self._inventory[host]
        count, listed = section.get("count"), section.get("gpus")
        if (count is None) == (listed is None):
            raise section.value.error("expected either gpus or count")
        if count is not None:
            if known is None:
                raise count.error(f"how many GPUs {host} has, only an inventory tells; or name them by gpus")
            return (), count.integer(1, len(known))
        assert listed is not None  # noqa: S101 - one of the two is there
        gpus = tuple(_gpu(one, host, known) for one in listed.list())
        if not 1 <= len(gpus) <= MOST_GPUS:
            raise listed.error(f"expected 1 to {MOST_GPUS} GPUs, found {len(gpus)}")
        return gpus, _distinct(listed, gpus, known)


def _gpu(value: Value, host: str, known: tuple[str, ...] | None) -> str:
    gpu = matching(value, _GPU, _GPU_IS)
    if known is not None and (int(gpu) >= len(known) if gpu.isdecimal() else gpu not in known):
        raise value.error(f"{host} has no GPU {gpu} by the inventory, which has {len(known)}")
    return gpu


def _distinct(listed: Value, gpus: tuple[str, ...], known: tuple[str, ...] | None) -> int:
    if known is not None:
        indexes = {gpu if gpu.isdecimal() else str(known.index(gpu)) for gpu in gpus}
    else:
        indexes = set(gpus)
        if len({gpu.isdecimal() for gpu in gpus}) > 1:
            raise listed.error(
                "indexes and UUIDs beside each other: only an inventory tells which are the same"
            )
    if len(indexes) < len(gpus):
        raise listed.error("a GPU is there twice")
    return len(gpus)


def _instant_ns(section: Section, key: str) -> int | None:
    value = section.get(key)
    if value is None:
        return None
    try:
        return parse_instant_ns(value.string(INSTANT_IS))
    except ValueError as error:
        raise value.error(str(error)) from None


def _refuse_over_limit(book: Book, name: str) -> None:
    found = over_limit(book)
    if found is not None:
        one, held, at_ns = found
        most = book.policy.max_gpus_per_team
        who = f"with {one.id}, team {one.team} holds {held} GPUs from {shown(at_ns)} on"
        message = f"{who}, at most {most} are allowed"
        raise ConfigError(name, message, book.lines[one.id], 1, "reservations")
