"""A stand-in for Grafana, Prometheus or Alertmanager: says what reached it, and speaks WebSocket."""

import asyncio
import threading
from typing import Any, Self

import tornado.httpserver
import tornado.netutil
import tornado.web
import tornado.websocket

OWN_HEADERS = {  # what Grafana sends by itself, and what the proxy is to say once
    "X-Frame-Options": "deny",
    "X-Content-Type-Options": "nosniff",
    "X-XSS-Protection": "1; mode=block",
    "Strict-Transport-Security": "max-age=1",
}


class Echo(tornado.web.RequestHandler):
    """Answers with what was asked."""

    def initialize(self, name: str) -> None:
        self._name = name

    def prepare(self) -> None:
        for header, value in OWN_HEADERS.items():
            self.set_header(header, value)
        self.write(
            {
                "name": self._name,
                "method": self.request.method,
                "uri": self.request.uri,
                "headers": dict(self.request.headers.get_all()),
                "remote": self.request.remote_ip,
                "bytes": len(self.request.body),
            }
        )
        if self.request.path == "/missing":
            self.set_status(404)
        self.finish()


class Live(tornado.websocket.WebSocketHandler):
    """Says what it hears. Refuses pages of another origin, as Grafana does: Tornado looks at the Host."""

    def initialize(self, name: str) -> None:
        self._name = name

    async def on_message(self, message: str | bytes) -> None:
        await self.write_message(message, binary=isinstance(message, bytes))


class Upstream:
    """Serves in a thread of its own for as long as the context lasts."""

    def __init__(self, port: int, name: str = "grafana", address: str = "127.0.0.1") -> None:
        self._name, self._port, self._address = name, port, address
        self._loop = asyncio.new_event_loop()
        self._listening = threading.Event()
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._end: asyncio.Event | None = None

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._until_told())
        self._loop.close()

    async def _until_told(self) -> None:
        own: dict[str, Any] = {"name": self._name}
        app = tornado.web.Application(
            [(r"/api/live/ws", Live, own), (r".*", Echo, own)], websocket_ping_interval=0
        )
        server = tornado.httpserver.HTTPServer(app)
        server.add_sockets(tornado.netutil.bind_sockets(self._port, self._address))
        self._end = asyncio.Event()
        self._listening.set()
        await self._end.wait()
        server.stop()
        await server.close_all_connections()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._listening.wait(10), "the upstream does not listen"
        return self

    def __exit__(self, *_: object) -> None:
        assert self._end is not None
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(10)
