"""Listening addresses, good and bad."""

import errno
import socket
from collections.abc import Callable

import pytest

from gputally.web.listen import ListenAddress, WebError, bind, parse_address
from tests.web.harness import Running, ask

EXPECTED = "expected HOST:PORT, :PORT or [IPv6]:PORT"


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:9836", "127.0.0.1", 9836),
        (":9836", "", 9836),
        ("[::1]:9836", "::1", 9836),
        ("[fe80::1%eth0]:1", "fe80::1%eth0", 1),
        ("localhost:0", "localhost", 0),
        ("gpu-node.example.org:65535", "gpu-node.example.org", 65535),
    ],
)
def test_an_address_is_read_and_written_alike(text: str, host: str, port: int) -> None:
    assert parse_address(text) == ListenAddress(host, port)
    assert str(parse_address(text)) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", f": {EXPECTED}"),
        ("9836", f"9836: {EXPECTED}"),
        ("127.0.0.1", f"127.0.0.1: {EXPECTED}"),
        ("127.0.0.1:", f"127.0.0.1:: {EXPECTED}"),
        ("::1:9836", f"::1:9836: {EXPECTED}; an IPv6 address stands in brackets"),
        ("[::1]", f"[::1]: {EXPECTED}; an IPv6 address stands in brackets"),
        ("[127.0.0.1]:80", "[127.0.0.1]:80: expected an IPv6 address in the brackets"),
        ("host:65536", "host:65536: expected a port from 0 to 65535, found 65536"),
        ("host:-1", f"host:-1: {EXPECTED}"),
        ("host:+1", f"host:+1: {EXPECTED}"),
        ("host:٣", f"host:٣: {EXPECTED}"),
        ("host:http", f"host:http: {EXPECTED}"),
        ("ho st:80", "ho st:80: expected a host name or an IP address before the port"),
        ("a\nb:80", r"'a\nb:80': expected a host name or an IP address before the port"),
        ("vsock://:80", f"vsock://:80: only TCP is supported, {EXPECTED}"),
        ("unix:/run/x", f"unix:/run/x: only TCP is supported, {EXPECTED}"),
        ("http://host:80", f"http://host:80: only TCP is supported, {EXPECTED}"),
        ("*:9836", "*:9836: expected a host name or an IP address before the port"),
    ],
)
def test_a_bad_address_is_one_line(text: str, message: str) -> None:
    with pytest.raises(ValueError, match="expected") as caught:
        parse_address(text)
    assert str(caught.value) == message


def test_a_port_in_use_is_one_line_and_leaves_no_listener_behind() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(WebError) as caught:
            bind([ListenAddress("127.0.0.1", 0), ListenAddress("127.0.0.1", port)])
    assert str(caught.value) == f"cannot listen on 127.0.0.1:{port}: the port is in use"


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("192.0.2.1", "this machine does not have the address (yet)"),
        ("no-such-host.invalid", "the host name has no address"),
        ("a" * 64 + ".example", "not a host name"),
    ],
)
def test_an_address_that_cannot_be_had_is_one_line(host: str, reason: str) -> None:
    with pytest.raises(WebError) as caught:
        bind([ListenAddress(host, 0)])
    assert str(caught.value).startswith(f"cannot listen on {host}:0: {reason}")
    assert "\n" not in str(caught.value)


def test_no_host_means_both_families_on_one_port() -> None:
    (listener,) = bind([ListenAddress("", 0)])
    with listener:
        port = listener.getsockname()[1]
        for host in ("127.0.0.1", "::1") if listener.family == socket.AF_INET6 else ("127.0.0.1",):
            socket.create_connection((host, port), timeout=5).close()


@pytest.mark.fault("port-taken")
def test_a_kernel_without_ipv6_still_gets_every_address(monkeypatch: pytest.MonkeyPatch) -> None:
    genuine = socket.socket

    def without_ipv6(family: int = socket.AF_INET, *more: int) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "not supported")
        return genuine(family, *more)

    monkeypatch.setattr(socket, "socket", without_ipv6)
    (listener,) = bind([ListenAddress("", 0)])
    with listener:
        assert listener.family == socket.AF_INET
        assert listener.getsockname()[0] == "0.0.0.0"  # noqa: S104 - what was asked for


def test_a_server_tells_its_real_address_and_gives_the_port_back(serve: Callable[..., Running]) -> None:
    running = serve()
    host, port = running.address
    assert running.server.addresses == (f"{host}:{port}",)
    assert port != 0
    assert ask(running.address).code == 200
    running.call(lambda: None)


def test_a_stopped_server_closes_what_is_open() -> None:
    running = Running().start()
    with socket.create_connection(running.address, timeout=5) as waiting:
        waiting.sendall(b"GET /metr")
        ask(running.address)
        running.stop()
        assert waiting.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(running.address, timeout=5)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("metrics", "'metrics': expected a plain path such as /metrics"),
        ("", "'': expected a plain path such as /metrics"),
        ("/a b", "'/a b': expected a plain path such as /metrics"),
        ("/a?b", "'/a?b': expected a plain path such as /metrics"),
        ("/mé", r"'/m\xe9': expected a plain path such as /metrics"),
        ("/-/ready", "/-/ready: this path is taken by the health checks"),
    ],
)
def test_a_bad_telemetry_path_is_one_line(path: str, message: str) -> None:
    with pytest.raises(ValueError, match="path") as caught:
        Running(path=path)
    assert str(caught.value) == message
