"""Listening addresses: from `HOST:PORT`, `:PORT` or `[IPv6]:PORT` to bound sockets.

Decides the socket options that bound what a crowd of slow clients can cost, and turns every refusal of the
kernel into one line. Refuses to know what is served.
"""

import errno
import os
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass

_ADDRESS = re.compile(r"(?:\[(?P<bracketed>[^][]*)\]|(?P<host>[^][:/]*)):(?P<port>[0-9]{1,5})")
_HOST = re.compile(r"[A-Za-z0-9._%:-]*")
_HIGHEST_PORT = 65535
_BACKLOG = 1024  # a burst of connections waits in the kernel instead of being dropped and retried after 1 s
# Kernel memory of a socket counts towards the unit's MemoryMax: without a bound, 128 clients that do not read
# could park 2.5 MB each. Accepted sockets inherit both.
_SEND_BUFFER_BYTES = 128 * 1024
_RECEIVE_BUFFER_BYTES = 32 * 1024
_NO_IPV6 = (errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT, errno.EADDRNOTAVAIL)


class WebError(Exception):
    """The web front cannot start. `str()` is one line."""


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """Where to listen; an empty host means every address of the machine."""

    host: str
    port: int

    def __str__(self) -> str:
        return format_address(self.host, self.port)


def format_address(host: str, port: int) -> str:
    """Write an address as it is written on the command line."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def parse_address(text: str) -> ListenAddress:
    """Read one `--web.listen-address`; port 0 lets the kernel choose.

    Raises:
        ValueError: the text is no address; the message is one line.
    """
    shown = text if text.isprintable() and len(text) <= 80 else ascii(text[:80])
    if text.startswith(("vsock:", "unix:")) or "://" in text:
        raise ValueError(f"{shown}: only TCP is supported, expected HOST:PORT, :PORT or [IPv6]:PORT")
    match = _ADDRESS.fullmatch(text)
    if match is None:
        hint = "; an IPv6 address stands in brackets" if text.count(":") > 1 else ""
        raise ValueError(f"{shown}: expected HOST:PORT, :PORT or [IPv6]:PORT{hint}")
    host, port = match["bracketed"], int(match["port"])
    if host is not None and ":" not in host:
        raise ValueError(f"{shown}: expected an IPv6 address in the brackets")
    if port > _HIGHEST_PORT:
        raise ValueError(f"{shown}: expected a port from 0 to {_HIGHEST_PORT}, found {port}")
    host = match["host"] if host is None else host
    if not _HOST.fullmatch(host):
        raise ValueError(f"{shown}: expected a host name or an IP address before the port")
    return ListenAddress(host, port)


def bind(addresses: Sequence[ListenAddress]) -> list[socket.socket]:
    """Bind and listen on all addresses, or on none.

    Raises:
        WebError: one of them cannot be had.
    """
    sockets: list[socket.socket] = []
    try:
        for address in addresses:
            sockets.extend(_bind_one(address))
    except WebError:
        for sock in sockets:
            sock.close()
        raise
    return sockets


def _bind_one(address: ListenAddress) -> list[socket.socket]:
    try:
        if not address.host:
            return [_bind_every_address(address.port)]
        return _bind_host(address)
    except OSError as error:
        raise WebError(f"cannot listen on {address}: {_reason(error)}") from None
    except UnicodeError:  # a label of more than 63 characters
        raise WebError(f"cannot listen on {address}: not a host name") from None


def _bind_host(address: ListenAddress) -> list[socket.socket]:
    """Bind every address of a host; a name like `localhost` may have an IPv6 one that this machine lacks."""
    found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    sockets: list[socket.socket] = []
    missing: OSError | None = None
    for family, where in dict.fromkeys((family, where) for family, _type, _protocol, _name, where in found):
        try:
            sockets.append(_listen(family, where))
        except OSError as error:
            if error.errno not in _NO_IPV6:
                for sock in sockets:
                    sock.close()
                raise
            missing = error
    if missing is not None and not sockets:
        raise missing
    return sockets


def _bind_every_address(port: int) -> socket.socket:
    """One socket for IPv6 and IPv4, or IPv4 alone where the kernel has no IPv6."""
    try:
        return _listen(socket.AF_INET6, ("::", port), dual_stack=True)
    except OSError as error:
        if error.errno not in _NO_IPV6:
            raise
    return _listen(socket.AF_INET, ("0.0.0.0", port))  # noqa: S104 - the operator asked for every address


def _listen(family: int, where: tuple[object, ...], *, dual_stack: bool = False) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if dual_stack else 1)
        sock.setblocking(False)
        sock.bind(where)
        sock.listen(_BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def _reason(error: OSError) -> str:
    if isinstance(error, socket.gaierror):
        return f"the host name has no address ({error.strerror})"
    if error.errno == errno.EADDRINUSE:
        return "the port is in use"
    if error.errno == errno.EADDRNOTAVAIL:
        return "this machine does not have the address (yet)"
    if error.errno == errno.EACCES:
        return "no permission for this port"
    return os.strerror(error.errno) if error.errno else str(error)
