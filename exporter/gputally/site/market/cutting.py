"""Connections that can be cut from outside, whatever they wait for.

A time-out of a socket begins anew with every byte, so a server that drips holds its client for ever: in the
handshake, in the head or in the body. Whoever holds the line of an exchange can end it.
"""

import socket
import threading
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, ProxyManager
from urllib3.connection import HTTPConnection, HTTPSConnection


class Line:
    """All sockets of one exchange."""

    def __init__(self) -> None:
        self.is_cut = False
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()

    def add(self, connection: socket.socket) -> None:
        """Note a connection. A second handle is kept: TLS takes the first one away."""
        with self._lock:
            self._sockets.append(connection.dup())
            if self.is_cut:
                self._shut()

    def cut(self) -> None:
        """End the exchange: whoever waits for a byte of it gets the end of the stream."""
        with self._lock:
            self.is_cut = True
            self._shut()

    def close(self) -> None:
        """Forget the connections; to be called when the exchange is over."""
        with self._lock:
            for connection in self._sockets:
                connection.close()
            self._sockets.clear()

    def _shut(self) -> None:
        for connection in self._sockets:
            with suppress(OSError):  # it ended by itself
                connection.shutdown(socket.SHUT_RDWR)


LINE: ContextVar[Line] = ContextVar("LINE")  # of the exchange that the thread is in


class _Plain(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        connection = super()._new_conn()
        LINE.get().add(connection)
        return connection


class _Secure(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        connection = super()._new_conn()
        LINE.get().add(connection)
        return connection


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Plain


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _Secure


_POOLS = {"http": _PlainPool, "https": _SecurePool}


class Adapter(HTTPAdapter):
    """Makes connections that belong to the `LINE` of their thread."""

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - the library's
        """As the library does, with our connections."""
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **options: Any) -> ProxyManager:  # noqa: ANN401 - likewise
        """As the library does, with our connections, but through SOCKS, which has its own."""
        manager: ProxyManager = super().proxy_manager_for(proxy, **options)
        if not proxy.lower().startswith("socks"):
            manager.pool_classes_by_scheme = _POOLS
        return manager
