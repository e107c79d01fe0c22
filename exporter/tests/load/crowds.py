"""Crowds of clients that mean no good, or too much of it, in a process of their own.

    python crowds.py KIND HOST PORT COUNT [--addresses N]

Each client that is turned away comes again after a second. Ends with its standard input, and then prints what
happened as one JSON object. Clients come from so many addresses of the loopback network, other ones for each
kind, none of them 127.0.0.1.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import ssl
import subprocess
import sys
import threading
from collections import Counter
from typing import Any, Self

REQUEST = b"GET /metrics HTTP/1.1\r\nHost: crowd\r\nAccept-Encoding: gzip\r\n\r\n"
HALF_A_HELLO = bytes.fromhex("1603010200010001fc0303")  # of TLS; the rest never comes
AGAIN_S = 1.0
GIANT_BYTES = 1 << 20
PER_ADDRESS = 25
KINDS = ("idle", "drip", "unread", "scrape", "giant", "handshake")


def addresses(kind: str, count: int) -> int:
    """From how many addresses so many of them come: scrapers each from its own."""
    return count if kind == "scrape" else -(-count // PER_ADDRESS)


class Client:
    """One of them; `count` is everybody's."""

    def __init__(
        self, kind: str, address: tuple[str, int], source: str, count: Counter[str], *, tls: bool
    ) -> None:
        self._kind, self._address, self._source, self._count = kind, address, source, count
        self._context: ssl.SSLContext | None = None
        if tls and kind != "handshake":
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            self._context.check_hostname, self._context.verify_mode = False, ssl.CERT_NONE

    async def go_on(self) -> None:
        """Until cancelled."""
        while True:
            with contextlib.suppress(OSError, ssl.SSLError, asyncio.IncompleteReadError):
                await self._once()
            await asyncio.sleep(AGAIN_S)

    async def _once(self) -> None:
        reader, writer = await asyncio.open_connection(
            *self._address, ssl=self._context, local_addr=(self._source, 0)
        )
        self._count["connected"] += 1
        try:
            await getattr(self, f"_{self._kind}")(reader, writer)
        finally:
            writer.transport.abort()

    async def _idle(self, reader: asyncio.StreamReader, _writer: Any) -> None:
        await reader.read()
        self._count["turned away"] += 1

    async def _handshake(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HALF_A_HELLO)
        await self._idle(reader, writer)

    async def _drip(self, _reader: Any, writer: asyncio.StreamWriter) -> None:
        for byte in REQUEST.replace(b"\r\n\r\n", b"\r\nX-Long: ") + b"x" * 10_000:
            writer.write(bytes([byte]))
            try:
                await writer.drain()
            except OSError:
                self._count["turned away"] += 1
                raise
            await asyncio.sleep(0.5)

    async def _unread(self, _reader: Any, writer: asyncio.StreamWriter) -> None:
        _reader._transport.pause_reading()  # nothing is taken from the kernel
        while not writer.transport.is_closing():
            writer.write(REQUEST * 40)
            await writer.drain()
            await asyncio.sleep(0.5)
        self._count["turned away"] += 1

    async def _giant(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(REQUEST[:-2] + b"X-Giant: ")
        for _ in range(GIANT_BYTES >> 14):
            writer.write(b"x" * (1 << 14))
            await writer.drain()
        await self._idle(reader, writer)

    async def _scrape(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(REQUEST)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            body = await reader.readexactly(length)
            self._count["answered" if head.startswith(b"HTTP/1.1 200 ") and body else "refused"] += 1
            await asyncio.sleep(AGAIN_S)


async def _crowd(arguments: argparse.Namespace, count: Counter[str]) -> None:
    address = arguments.host, arguments.port
    sources = [
        f"127.{10 + KINDS.index(arguments.kind)}.0.{1 + at % arguments.addresses}"
        for at in range(arguments.count)
    ]
    clients = [Client(arguments.kind, address, source, count, tls=arguments.tls) for source in sources]
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    threading.Thread(
        target=lambda: (sys.stdin.read(), loop.call_soon_threadsafe(over.set)), daemon=True
    ).start()
    tasks = {asyncio.create_task(client.go_on()) for client in clients}
    print("begun", flush=True)  # noqa: T201 - its parent waits for it
    await over.wait()
    assert tasks
    print(json.dumps(count), flush=True)  # noqa: T201 - its parent reads it
    os._exit(0)  # with all connections, at once


class Crowd:
    """A crowd for the time of a `with`; `count` says afterwards what happened."""

    def __init__(self, kind: str, address: tuple[str, int], count: int, *, addresses: int, tls: bool = False):
        where = [str(word) for word in (kind, *address, count)]
        more = [f"--addresses={addresses}", *(["--tls"] if tls else [])]
        self.kind = kind
        self._command = [sys.executable, __file__, *where, *more]
        self.count: Counter[str] = Counter()

    def __enter__(self) -> Self:
        """Let it loose."""
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self._process.stdout
        assert self._process.stdout.readline() == "begun\n"
        return self

    def __exit__(self, *_: object) -> None:
        """Take it away."""
        out, _err = self._process.communicate("", timeout=30)
        self.count.update(json.loads(out))


def main() -> None:
    """Be the crowd."""
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("count", type=int)
    parser.add_argument("--addresses", type=int, default=20)
    parser.add_argument("--tls", action="store_true")
    count: Counter[str] = Counter()
    os.nice(19)  # what it takes of the machine shall not be taken for what it does to the agent
    asyncio.run(_crowd(parser.parse_args(), count))


if __name__ == "__main__":
    main()
