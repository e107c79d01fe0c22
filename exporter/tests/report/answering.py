"""Web servers that stand where Prometheus should: they hand on what they get, or say what they are told."""

from __future__ import annotations

import base64
import http.server
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Answer:
    """What a server says."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Seen:
    """What a server was asked."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Speaker:
    """Answers as a function says, in a thread of its own."""

    def __init__(self, answer: Callable[[Seen], Answer], context: ssl.SSLContext | None = None) -> None:
        self.seen: list[Seen] = []
        speaker = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                seen = Seen(self.command, self.path, dict(self.headers.items()), self.rfile.read(length))
                speaker.seen.append(seen)
                said = answer(seen)
                self.send_response(said.status)
                for name, value in ({"Content-Length": str(len(said.body))} | said.headers).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(said.body)

            do_GET = do_POST = handle_any  # noqa: N815 - the library's names

            def log_message(self, *_arguments: object) -> None:
                """Nobody reads it."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
            self._server.handle_error = lambda *_: None  # type: ignore[method-assign]  # refused handshakes
        scheme = "http" if context is None else "https"
        self.url = f"{scheme}://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def speaking(answer: Callable[[Seen], Answer], context: ssl.SSLContext | None = None) -> Iterator[Speaker]:
    """A speaker for the time of a test."""
    speaker = Speaker(answer, context)
    try:
        yield speaker
    finally:
        speaker.stop()


def handing_on(url: str, check: Callable[[Seen], Answer | None] = lambda _: None) -> Callable[[Seen], Answer]:
    """A proxy before a server; what `check` answers itself is not handed on."""

    def answer(seen: Seen) -> Answer:
        refused = check(seen)
        if refused is not None:
            return refused
        headers = {name: seen.headers[name] for name in ("Content-Type",) if name in seen.headers}
        request = urllib.request.Request(  # noqa: S310 - http
            url + seen.path, data=seen.body or None, headers=headers, method=seen.method
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as got:  # noqa: S310 - as above
                return Answer(got.status, got.read(), {"Content-Type": got.headers["Content-Type"]})
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.read())

    return answer


def wanting(user: str, password: str) -> Callable[[Seen], Answer | None]:
    """Basic authentication, as a proxy before Prometheus does it."""
    good = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
    return lambda seen: None if seen.headers.get("Authorization") == good else Answer(401, b"<h1>401</h1>")
