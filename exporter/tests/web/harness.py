"""A real server on a loop of its own thread, and clients that speak to it byte by byte."""

import asyncio
import base64
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bcrypt
import trustme
from requests.structures import CaseInsensitiveDict

from gputally.web.exposition import Exposition, Format
from gputally.web.landing import Landing
from gputally.web.limits import Limits
from gputally.web.server import Server

TEXT = b"# HELP gpu_up Whether the GPU answers.\n# TYPE gpu_up gauge\ngpu_up 1\n" * 40
OPENMETRICS = TEXT + b"# EOF\n"


class Agent:
    """An agent whose figures and health a test sets."""

    def __init__(self) -> None:
        self.version: object = 1
        self.renders: list[Format] = []
        self.fault: Exception | None = None
        self.ready_state = (True, "ready")
        self.healthy_state = (True, "healthy")
        self.page = Landing("gputally node", "1.2.3", "2 GPUs, 413 W")
        self.bodies = {Format.TEXT_0_0_4: TEXT, Format.OPENMETRICS_1_0_0: OPENMETRICS}

    def render(self, fmt: Format) -> bytes:
        if self.fault:
            raise self.fault
        self.renders.append(fmt)
        return self.bodies[fmt]

    def ready(self) -> tuple[bool, str]:
        return self.ready_state

    def healthy(self) -> tuple[bool, str]:
        return self.healthy_state

    def landing(self) -> Landing:
        return self.page


class Running:
    """A started server; everything done to it is done on its own loop."""

    def __init__(
        self,
        web_config: Path | None = None,
        limits: Limits | None = None,
        path: str = "/metrics",
        documents: Mapping[str, Exposition] | None = None,
    ) -> None:
        self.agent = Agent()
        self.server = Server(
            listen=["127.0.0.1:0"],
            telemetry_path=path,
            web_config_file=web_config,
            exposition=self.agent,
            health=self.agent,
            landing=self.agent.landing,
            documents=documents,
            limits=limits,
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="loop")

    def start(self) -> "Running":
        self._thread.start()
        try:
            self.call(self.server.start)
        except BaseException:
            self.stop()
            raise
        host, port = self.server.addresses[0].rsplit(":", 1)
        self.address = (host, int(port))
        return self

    def call(self, function: Callable[[], Any]) -> Any:
        async def on_loop() -> Any:
            return function()

        return asyncio.run_coroutine_threadsafe(on_loop(), self._loop).result(10)

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self.server.stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()


@dataclass(frozen=True)
class Answer:
    """One HTTP answer, read to the end."""

    code: int
    headers: CaseInsensitiveDict[str]
    body: bytes


def request(path: str = "/metrics", method: str = "GET", **headers: str) -> bytes:
    """Write a request; underscores in header names become hyphens."""
    lines = [f"{method} {path} HTTP/1.1", "Host: test", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8")


def connect(
    address: tuple[str, int], context: ssl.SSLContext | None = None, name: str = "127.0.0.1"
) -> socket.socket:
    """Open a connection, with TLS if there is a context."""
    sock = socket.create_connection(address, timeout=10)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if context is None:
        return sock
    try:
        return context.wrap_socket(sock, server_hostname=name)
    except BaseException:
        sock.close()
        raise


def read_all(sock: socket.socket) -> bytes:
    """Read until the server closes, however it does."""
    parts = []
    while True:
        try:
            part = sock.recv(65536)
        except ConnectionError:
            part = b""
        if not part:
            return b"".join(parts)
        parts.append(part)


def read_one(sock: socket.socket) -> Answer:
    """Read one answer with a length, and leave the connection open."""
    raw = b""
    while True:
        part = sock.recv(65536)
        assert part, "the server closed"
        raw += part
        if b"\r\n\r\n" in raw:
            answer = parse(raw)
            if len(answer.body) >= int(answer.headers["Content-Length"]):
                return answer


def parse(raw: bytes) -> Answer:
    """Take an answer apart."""
    head, _blank, body = raw.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = CaseInsensitiveDict(line.split(": ", 1) for line in lines)
    return Answer(int(status.split(" ")[1]), headers, body)


def talk(address: tuple[str, int], data: bytes, context: ssl.SSLContext | None = None) -> bytes:
    """Send bytes and give everything that comes back."""
    with connect(address, context) as sock:
        try:
            sock.sendall(data)
        except ConnectionError:  # refused before all of it was sent
            return b""
        return read_all(sock)


def ask(address: tuple[str, int], path: str = "/metrics", method: str = "GET", **headers: str) -> Answer:
    """Make one plain request."""
    return parse(talk(address, request(path, method, **headers)))


def ask_tls(
    address: tuple[str, int], context: ssl.SSLContext, path: str = "/metrics", **headers: str
) -> Answer:
    """Make one request over TLS."""
    return parse(talk(address, request(path, **headers), context))


def until(condition: Callable[[], Any], seconds: float = 8.0) -> Any:
    """Wait for a condition; fails the test when it does not come true."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, "it did not become true in time"
        time.sleep(0.02)
    return result


def write_pair(certificate: trustme.LeafCert, directory: Path) -> None:
    """Write cert.pem and key.pem, each by a rename as a certificate tool does."""
    directory.mkdir(exist_ok=True)
    chain = b"".join(blob.bytes() for blob in certificate.cert_chain_pems)
    for name, data in (("cert.pem", chain), ("key.pem", certificate.private_key_pem.bytes())):
        new = directory / f"{name}.new"
        new.write_bytes(data)
        new.chmod(0o600)
        new.replace(directory / name)


def client_context(*authorities: trustme.CA, certificate: trustme.LeafCert | None = None) -> ssl.SSLContext:
    """Make a client that trusts these authorities only."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for authority in authorities:
        authority.configure_trust(context)
    if certificate is not None:
        certificate.configure_cert(context)
    return context


def hashed(password: bytes, cost: int = 4) -> bytes:
    """A password as the web configuration has it."""
    return bcrypt.hashpw(password[:72], bcrypt.gensalt(cost))


def basic(user: str | bytes, password: str | bytes) -> str:
    """The header of who has a password."""
    name = user if isinstance(user, bytes) else user.encode()
    word = password if isinstance(password, bytes) else password.encode()
    return "Basic " + base64.b64encode(name + b":" + word).decode()


def write_users(file: Path, users: dict[str, bytes]) -> None:
    """A web configuration with these users: name, hash."""
    file.write_text(
        "basic_auth_users:\n" + "".join(f"  {user}: {word.decode()}\n" for user, word in users.items())
    )
