"""How much any client may take: sizes, deadlines, numbers of connections, requests per second, log lines."""

import logging
import resource
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace

from gputally.web.settings import RateLimit

_SPARE_DESCRIPTORS = 64  # for state files, the driver, /proc, listeners, a log
_FEWEST_CONNECTIONS = 8
_REMEMBERED_ADDRESSES = 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of one server. Sizes in bytes, times in seconds."""

    connections: int = 128
    connections_per_address: int = 32
    request_s: float = 10.0  # TLS handshake; then from connection or last answer to the end of the headers
    write_s: float = 10.0  # from the first byte of an answer to its last
    header_bytes: int = 16 * 1024
    body_bytes: int = 1024

    def fitted(self, descriptors: int | None = None) -> "Limits":
        """Lower the number of connections to what LimitNOFILE leaves after the rest of the program."""
        if descriptors is None:
            descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        if descriptors == resource.RLIM_INFINITY:
            return self
        room = max(_FEWEST_CONNECTIONS, min(self.connections, descriptors - _SPARE_DESCRIPTORS))
        return replace(
            self, connections=room, connections_per_address=min(self.connections_per_address, room)
        )


class TokenBuckets:
    """`rate_limit`, one bucket per client address; the address seen longest ago is forgotten first."""

    def __init__(self, rate: RateLimit, clock: Callable[[], float]) -> None:
        self._rate, self._clock = rate, clock
        self._empty_until: OrderedDict[object, float] = OrderedDict()  # when the bucket is full again

    def take(self, address: object) -> bool:
        """Take one request's token, or say that there is none."""
        now, interval_s = self._clock(), self._rate.interval_s
        full_at = max(self._empty_until.pop(address, now), now)
        allowed = full_at + interval_s <= now + self._rate.burst * interval_s + 1e-9
        self._empty_until[address] = full_at + interval_s if allowed else full_at
        while len(self._empty_until) > _REMEMBERED_ADDRESSES:
            self._empty_until.popitem(last=False)
        return allowed


class OncePerMinute(logging.Filter):
    """Lets one record a minute through and says how many it held back, so no client can fill a disk."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()
        self._clock = clock
        self._next = float("-inf")
        self._held_back = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Decide about one record."""
        now = self._clock()
        if now < self._next:
            self._held_back += 1
            return False
        if self._held_back:
            record.msg, record.args = (
                f"{record.getMessage()} (and {self._held_back} more since the last line)",
                (),
            )
        self._next, self._held_back = now + 60.0, 0
        return True
