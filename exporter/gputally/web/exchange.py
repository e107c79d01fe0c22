"""One HTTP exchange on one connection: a request as Tornado reads it, the answer, and its deadline."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus

from tornado import httputil

from gputally.web.connections import Connection, ConnectionTable, Phase
from gputally.web.counts import Counts
from gputally.web.handlers import Response, Site
from gputally.web.limits import Limits
from gputally.web.reload import WebConfig

_JOINED_BYTES = 2048


@dataclass(frozen=True, slots=True)
class House:
    """The parts of one server that its connections share."""

    site: Site
    table: ConnectionTable
    config: WebConfig
    counts: Counts
    limits: Limits
    clock: Callable[[], float]


class Conversation(httputil.HTTPServerConnectionDelegate):
    """All exchanges of one connection."""

    def __init__(self, connection: Connection, house: House) -> None:
        self.connection, self.house = connection, house

    def start_request(
        self, server_conn: object, request_conn: httputil.HTTPConnection
    ) -> httputil.HTTPMessageDelegate:
        """Begin to wait for a request: the first, or one more after an answer."""
        del server_conn
        connection = self.connection
        connection.enter(Phase.IDLE if connection.answers else Phase.STARTING, self.house.clock())
        return _Exchange(self, request_conn)

    def on_close(self, server_conn: object) -> None:
        """Forget the connection, and note whether it ended because it never came to the point."""
        del server_conn
        connection = self.connection
        waited_s = self.house.clock() - connection.since
        if connection.phase is Phase.STARTING and waited_s >= self.house.limits.request_s:
            self.house.counts.refused["request_deadline"] += 1
        self.house.table.remove(connection)

    def is_stale(self) -> bool:
        """Whether this client was let in by rules that hold no longer."""
        return self.connection.trust != self.house.config.trust


class _Exchange(httputil.HTTPMessageDelegate):
    def __init__(self, conversation: Conversation, out: httputil.HTTPConnection) -> None:
        self._conversation, self._out = conversation, out
        self._line = httputil.RequestStartLine("", "", "")
        self._headers = httputil.HTTPHeaders()

    def headers_received(
        self,
        start_line: httputil.RequestStartLine | httputil.ResponseStartLine,
        headers: httputil.HTTPHeaders,
    ) -> Awaitable[None] | None:
        if isinstance(start_line, httputil.RequestStartLine):
            self._line = start_line
        self._headers = headers
        return None

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        """Drop the body, which Tornado keeps below the limit: no path takes one."""

    def finish(self) -> None:
        talk = self._conversation
        talk.connection.enter(Phase.ANSWERING, talk.house.clock())
        if talk.is_stale():
            talk.connection.close()
            return
        verdict = talk.house.site.admit(self._line, self._headers, talk.connection.address)
        if isinstance(verdict, asyncio.Future):
            verdict.add_done_callback(self._password_checked)
        else:
            self._send(verdict or talk.house.site.respond(self._line, self._headers))

    def on_connection_close(self) -> None:
        """Nothing is held for a request that never came whole."""

    def _password_checked(self, right: asyncio.Future[bool]) -> None:
        if right.cancelled() or self._conversation.connection.stream.closed():
            return
        site = self._conversation.house.site
        if right.exception() is None and right.result():
            self._send(site.respond(self._line, self._headers))
        else:
            self._send(site.wrong_password())

    def _send(self, response: Response) -> None:
        talk, out = self._conversation, self._out
        connection = talk.connection
        connection.answers += 1
        talk.house.counts.requests[response.code] += 1
        loop = asyncio.get_running_loop()
        connection.arm(loop.call_later(talk.house.limits.write_s, self._too_slow))
        line = httputil.ResponseStartLine("HTTP/1.1", response.code, HTTPStatus(response.code).phrase)
        connection.stream.set_nodelay(True)
        body = b"" if self._line.method == "HEAD" else response.body
        # A large body goes apart: joined to the headers, it would be a copy per client that reads slowly.
        small = len(body) <= _JOINED_BYTES
        written = out.write_headers(line, talk.house.site.headers(response), body if small else None)
        if not small:
            written = out.write(body)
        if response.code == HTTPStatus.BAD_REQUEST:
            written.add_done_callback(lambda _written: connection.close())
        out.finish()

    def _too_slow(self) -> None:
        self._conversation.house.counts.refused["write_deadline"] += 1
        self._conversation.connection.abort()
