"""Who is connected, and who must go when somebody new comes.

Decides fairness: a new connection always gets in, and its place is taken from whoever deserves it least,
among the connections of the same address or among all. A client that sits silent, drips its header or reads
nothing loses to any scraper that behaves, and of equals loses who has the most connections: a scraper has one
or two, wherever a crowd comes from. An answer on its way is given up when nothing else is left, or when a
client with more than a fair part of all connections leaves it unread.
"""

import asyncio
import contextlib
import socket
import struct
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from enum import Enum, auto
from typing import TYPE_CHECKING

from tornado.iostream import IOStream

from gputally.web.limits import Limits

if TYPE_CHECKING:
    from tornado.http1connection import HTTP1ServerConnection

# An honest client has sent its request by then; before that, having sent anything counts. And it has read its
# answer, as far as one is asked that has more than a fair part of all connections.
GRACE_S = 1.0
# Who goes first: never came to the point; will come again; does not read; new, without a word; with one.
_POINTLESS, _RETURNING, _UNREAD, _SILENT, _SPOKEN, _ANSWERED = range(6)
_DROP = struct.pack("ii", 1, 0)
_BYTES_RECEIVED = struct.Struct("=Q")
_BYTES_RECEIVED_OFFSET = 128  # tcpi_bytes_received in struct tcp_info, Linux 4.1 and later


class Phase(Enum):
    """What a connection is doing."""

    STARTING = auto()  # no request yet: handshake or header
    IDLE = auto()  # between two requests
    ANSWERING = auto()  # a whole request is here


class Connection:
    """One client."""

    __slots__ = ("address", "answers", "phase", "serving", "since", "stream", "timer", "trust")

    def __init__(self, stream: IOStream, address: object, now: float, trust: object) -> None:
        self.stream, self.address, self.since = stream, address, now
        self.trust = trust  # the identity it was let in under
        self.phase = Phase.STARTING
        self.answers = 0
        self.serving: HTTP1ServerConnection | None = None  # once the handshake is done
        self.timer: asyncio.TimerHandle | None = None

    def enter(self, phase: Phase, now: float) -> None:
        """Go to another phase; the deadline of the last one is off."""
        self.phase, self.since = phase, now
        self.disarm()

    def arm(self, timer: asyncio.TimerHandle) -> None:
        """Set the deadline of this phase."""
        self.disarm()
        self.timer = timer

    def disarm(self) -> None:
        """Take the deadline off."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def close(self) -> None:
        """End it at once, whatever it is doing; what the kernel has been given is still delivered."""
        self.disarm()
        self.stream.close()

    def abort(self) -> None:
        """End it and drop what the kernel holds for a client that does not read: minutes of memory."""
        if not self.stream.closed():
            self.stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _DROP)
        self.close()


def client_key(host: str) -> object:
    """Say who counts as one client: an IPv4 address, or the /64 network that one IPv6 host is given whole."""
    if ":" not in host:
        return host
    host = host.partition("%")[0]
    if host.startswith("::ffff:") and "." in host:
        return host.removeprefix("::ffff:")
    with contextlib.suppress(OSError):
        return socket.inet_pton(socket.AF_INET6, host)[:8]
    return host


class ConnectionTable:
    """All connections of one server; used on the loop's thread only."""

    def __init__(self, limits: Limits, clock: Callable[[], float]) -> None:
        self._limits, self._clock = limits, clock
        self._connections: dict[Connection, None] = {}
        self._by_address: Counter[object] = Counter()

    def __len__(self) -> int:
        return len(self._connections)

    def __iter__(self) -> Iterator[Connection]:
        return iter(tuple(self._connections))

    def add(self, connection: Connection) -> None:
        """Note a new connection."""
        self._connections[connection] = None
        self._by_address[connection.address] += 1

    def remove(self, connection: Connection) -> None:
        """Forget a connection; harmless when it is forgotten already."""
        if connection not in self._connections:
            return
        del self._connections[connection]
        connection.disarm()
        self._by_address[connection.address] -= 1
        if not self._by_address[connection.address]:
            del self._by_address[connection.address]

    def make_room(self, address: object) -> str | None:
        """Close a connection if a new one from this address would be one too many; gives the reason."""
        if self._by_address[address] >= self._limits.connections_per_address:
            self._evict(connection for connection in self._connections if connection.address == address)
            return "address_limit"
        if len(self._connections) >= self._limits.connections:
            self._evict(self._connections)
            return "connection_limit"
        return None

    def evict_one(self) -> bool:
        """Give up one connection, whosever it is, for its descriptor; False when there is none."""
        if self._connections:
            self._evict(self._connections)
            return True
        return False

    def _evict(self, candidates: Iterable[Connection]) -> None:
        """Of the lowest merit, one of whoever has the most connections; of those the oldest."""
        now, count = self._clock(), self._by_address
        fair = self._limits.connections // max(1, len(count))

        def worth(connection: Connection) -> tuple[int, int, bool, float]:
            its = count[connection.address]
            merit = _merit(connection, now, its=its, fair=fair)
            return merit, -its, connection.phase is not Phase.IDLE, connection.since

        victim = min(candidates, key=worth)
        self.remove(victim)
        if victim.phase is Phase.ANSWERING:
            victim.abort()
        else:
            victim.close()


def _merit(connection: Connection, now: float, *, its: int, fair: int) -> int:
    """Rank a connection by how much it deserves to stay, of a client that has `its`; `fair` would be fair."""
    lasts_s = now - connection.since
    if connection.phase is Phase.ANSWERING:
        return (_UNREAD if lasts_s >= GRACE_S else _SPOKEN) if its > fair else _ANSWERED
    if connection.phase is Phase.IDLE:
        return _RETURNING if its > 1 else _SPOKEN  # the only one of a scraper: it has asked before
    if lasts_s >= GRACE_S:
        return _POINTLESS
    return _SPOKEN if _has_sent(connection) else _SILENT


def _has_sent(connection: Connection) -> bool:
    """Whether the client has sent a byte, read or not: a TLS hello waits where no stream can see it."""
    try:
        report = connection.stream.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    except (AttributeError, OSError):  # closed under our hands
        return False
    if len(report) < _BYTES_RECEIVED_OFFSET + _BYTES_RECEIVED.size:
        return True
    return bool(_BYTES_RECEIVED.unpack_from(report, _BYTES_RECEIVED_OFFSET)[0])
