"""The server: listeners, handshakes and the look at the clock, on the loop of the calling thread.

Decides that nothing here may block or fail as a whole: accepting is done in small turns, so requests are
read between them; out of descriptors, each new connection costs an old one; refused clients are logged once a
minute as a sum. It refuses to know a metric, a GPU or a route.
"""

import asyncio
import logging
import socket
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from tornado.http1connection import HTTP1ConnectionParameters, HTTP1ServerConnection
from tornado.ioloop import IOLoop
from tornado.iostream import IOStream, SSLIOStream, StreamClosedError

from gputally.web.connections import Connection, ConnectionTable, client_key
from gputally.web.counts import Counts
from gputally.web.exchange import Conversation, House
from gputally.web.exposition import Exposition, Health
from gputally.web.handlers import Agent, Site
from gputally.web.landing import Landing
from gputally.web.limits import Limits, OncePerMinute
from gputally.web.listen import bind, format_address, parse_address
from gputally.web.reload import WebConfig
from gputally.web.tls import Identity, name_is_allowed

logger = logging.getLogger(__name__)

# Few enough that what waits in the listener cannot push out, in one turn, a client whose request is there.
_ACCEPTS_PER_TURN = 8
_PAUSE_S = 0.2  # with no descriptor left and none to give up; accept would fail in a busy loop
_LOOK_S = 1.0
_LOOKS_PER_REPORT = 60
_READ_CHUNK_BYTES = 4096
# Tornado's own complaints are about single clients; what matters of them is counted here.
_TORNADO_FILTER = OncePerMinute(time.monotonic)


class Server:
    """Serves one agent until it is stopped."""

    def __init__(  # noqa: PLR0913 - one call, with names, puts the front together
        self,
        *,
        listen: Sequence[str],
        telemetry_path: str,
        web_config_file: Path | None,
        exposition: Exposition,
        health: Health,
        landing: Callable[[], Landing],
        documents: Mapping[str, Exposition] | None = None,
        limits: Limits | None = None,
    ) -> None:
        """Check the arguments.

        Raises:
            ValueError: an address or the telemetry path is not one.
        """
        self._wanted = [parse_address(address) for address in listen]
        self._counts, self._limits = Counts(), (limits or Limits()).fitted()
        self._config = WebConfig(web_config_file, time.monotonic)
        self._table = ConnectionTable(self._limits, time.monotonic)
        agent = Agent(exposition, health, landing, documents or {})
        site = Site(telemetry_path, agent, self._config, self._counts)
        self._house = House(site, self._table, self._config, self._counts, self._limits, time.monotonic)
        self._parameters = HTTP1ConnectionParameters(
            chunk_size=_READ_CHUNK_BYTES,
            max_header_size=self._limits.header_bytes,
            header_timeout=self._limits.request_s,
            max_body_size=self._limits.body_bytes,
            body_timeout=self._limits.request_s,
        )
        self._listeners: list[socket.socket] = []
        self._handshakes: set[asyncio.Task[None]] = set()
        self._looks = 0
        self._reported: dict[str, int] = dict(self._counts.refused)
        self._next_look: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Load the web configuration, bind, and begin to accept on the running loop.

        Raises:
            ConfigError: the web configuration cannot be used.
            WebError: an address cannot be had.
        """
        for name in ("tornado.general", "tornado.application"):
            logging.getLogger(name).setLevel(logging.ERROR)
            logging.getLogger(name).addFilter(_TORNADO_FILTER)
        self._config.start()
        self._listeners = bind(self._wanted)
        for listener in self._listeners:
            self._open(listener)
        self._next_look = asyncio.get_running_loop().call_later(_LOOK_S, self._look)
        logger.info(
            "listening on %s, TLS %s", ", ".join(self.addresses), "on" if self._config.identity else "off"
        )

    async def stop(self) -> None:
        """Stop listening, close every connection, and wait until the loop has let go of them."""
        if self._next_look is not None:
            self._next_look.cancel()
        for listener in self._listeners:
            self._shut(listener)
            listener.close()
        self._listeners = []
        for task in tuple(self._handshakes):
            task.cancel()
        await asyncio.gather(*self._handshakes, return_exceptions=True)
        for connection in self._table:
            connection.close()
            if connection.serving is not None:
                await connection.serving.close()
            self._table.remove(connection)
        self._config.authenticator.close()

    def reload(self) -> bool:
        """Read the web configuration again, as at SIGHUP; whether it is now in force."""
        return self._config.reload()

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where it listens, with the port the kernel chose for port 0."""
        return tuple(format_address(*listener.getsockname()[:2]) for listener in self._listeners)

    @property
    def last_reload_success(self) -> bool:
        """Whether the web configuration on disk is the one in force."""
        return self._config.last_reload_success

    @property
    def last_reload_success_timestamp(self) -> float:
        """When a web configuration was last put in force."""
        return self._config.last_reload_success_timestamp

    @property
    def certificate_expiry_timestamp(self) -> float | None:
        """When the certificate served ends; None without TLS."""
        return self._config.identity.expires if self._config.identity else None

    @property
    def requests_total(self) -> Mapping[int, int]:
        """Answers by status code."""
        return self._counts.requests

    @property
    def connections_open(self) -> int:
        """Connections now."""
        return len(self._table)

    @property
    def connections_refused_total(self) -> Mapping[str, int]:
        """Connections ended before their time, by reason."""
        return self._counts.refused

    @property
    def auth_failures_total(self) -> int:
        """Requests with a wrong user or password."""
        return self._counts.auth_failures

    def _open(self, listener: socket.socket) -> None:
        IOLoop.current().add_handler(listener, lambda sock, _events: self._accept(sock), IOLoop.READ)

    def _shut(self, listener: socket.socket) -> None:
        IOLoop.current().remove_handler(listener)

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(_ACCEPTS_PER_TURN):
            try:
                client, address = listener.accept()
            except (BlockingIOError, ConnectionError):  # nobody left, or gone again
                return
            except OSError:  # EMFILE, ENFILE, ENOBUFS, ENOMEM
                self._counts.refused["descriptors"] += 1
                if self._table.evict_one():
                    continue
                self._shut(listener)
                asyncio.get_running_loop().call_later(_PAUSE_S, self._reopen, listener)
                return
            self._admit(client, client_key(address[0]))

    def _reopen(self, listener: socket.socket) -> None:
        if listener in self._listeners:
            self._open(listener)

    def _admit(self, client: socket.socket, address: object) -> None:
        if reason := self._table.make_room(address):
            self._counts.refused[reason] += 1
        identity = self._config.identity
        stream = self._stream(client, identity)
        if stream is None:
            return
        connection = Connection(stream, address, time.monotonic(), self._config.trust)
        self._table.add(connection)
        if isinstance(stream, SSLIOStream) and identity is not None:
            # Asked for here: a stream that is closed before it is asked would never answer.
            done = stream.wait_for_handshake()
            task = asyncio.ensure_future(self._shake_hands(connection, done, identity))
            self._handshakes.add(task)
            task.add_done_callback(self._handshakes.discard)
        else:
            self._serve(connection)

    def _stream(self, client: socket.socket, identity: Identity | None) -> IOStream | None:
        if identity is None:
            return IOStream(client, read_chunk_size=_READ_CHUNK_BYTES)
        try:
            wrapped = identity.context.wrap_socket(client, server_side=True, do_handshake_on_connect=False)
        except OSError:  # gone between accept and here
            client.close()
            return None
        return SSLIOStream(wrapped, ssl_options=identity.context, read_chunk_size=_READ_CHUNK_BYTES)

    async def _shake_hands(
        self, connection: Connection, done: Awaitable[SSLIOStream], identity: Identity
    ) -> None:
        connection.arm(asyncio.get_running_loop().call_later(self._limits.request_s, connection.stream.close))
        try:
            stream = await done
        except (OSError, StreamClosedError):
            self._refuse(connection, "handshake")
            return
        if stream.closed():  # evicted since
            return
        # A client with Nagle's algorithm holds its request back until its last message is acknowledged.
        stream.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        certificate = stream.socket.getpeercert()
        if name_is_allowed(certificate, identity.allowed_sans):
            self._serve(connection)
        else:
            self._refuse(connection, "certificate_name")

    def _refuse(self, connection: Connection, reason: str) -> None:
        self._counts.refused[reason] += 1
        self._table.remove(connection)
        connection.close()

    def _serve(self, connection: Connection) -> None:
        connection.serving = HTTP1ServerConnection(connection.stream, self._parameters)
        connection.serving.start_serving(Conversation(connection, self._house))

    def _look(self) -> None:
        """Once a second: have the files changed? Once a minute: was anybody refused?"""
        self._next_look = asyncio.get_running_loop().call_later(_LOOK_S, self._look)
        self._config.look()
        self._looks += 1
        if self._looks % _LOOKS_PER_REPORT == 0:
            now = dict(self._counts.refused)
            new = {reason: count - self._reported[reason] for reason, count in now.items()}
            self._reported = now
            if any(new.values()):
                logger.warning(
                    "refused in the last minute: %s",
                    ", ".join(f"{count} by {reason}" for reason, count in new.items() if count),
                )
