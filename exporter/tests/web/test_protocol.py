"""What the server says to well-made and to ill-made requests."""

import gzip
import socket
from collections.abc import Callable

import pytest

from tests.web.harness import (
    OPENMETRICS,
    TEXT,
    Running,
    ask,
    connect,
    parse,
    read_all,
    read_one,
    request,
    talk,
)

Serve = Callable[..., Running]
TEXT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def test_a_scrape_is_the_exposition_with_its_exact_type_and_length(serve: Serve) -> None:
    answer = ask(serve().address)
    assert (answer.code, answer.body) == (200, TEXT)
    assert answer.headers["Content-Type"] == TEXT_TYPE
    assert answer.headers["Content-Length"] == str(len(TEXT))
    assert "Server" not in answer.headers
    assert "Transfer-Encoding" not in answer.headers


def test_openmetrics_goes_to_those_who_ask_for_it(serve: Serve) -> None:
    answer = ask(serve().address, Accept="application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
    assert answer.body == OPENMETRICS
    assert answer.headers["Content-Type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"


def test_gzip_is_the_same_text(serve: Serve) -> None:
    answer = ask(serve().address, Accept_Encoding="gzip")
    assert answer.headers["Content-Encoding"] == "gzip"
    assert answer.headers["Vary"] == "Accept, Accept-Encoding"
    assert answer.headers["Content-Length"] == str(len(answer.body))
    assert gzip.decompress(answer.body) == TEXT


@pytest.mark.parametrize("path", ["/metrics", "/", "/-/healthy", "/-/ready", "/nothing"])
@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_head_has_the_headers_of_get_and_no_body(serve: Serve, path: str, encoding: str) -> None:
    address = serve().address
    get = ask(address, path, Accept_Encoding=encoding)
    head = ask(address, path, "HEAD", Accept_Encoding=encoding)
    assert head.body == b""
    assert head.code == get.code
    for headers in (head.headers, get.headers):
        del headers["Date"]
    assert head.headers == get.headers


def test_keep_alive_serves_many_requests_on_one_connection(serve: Serve) -> None:
    address = serve().address
    with connect(address) as sock:
        for _ in range(3):
            sock.sendall(b"GET /-/healthy HTTP/1.1\r\nHost: a\r\n\r\n")
            assert read_one(sock).body == b"healthy\n"


def test_pipelined_requests_are_answered_in_order(serve: Serve) -> None:
    address = serve().address
    with connect(address) as sock:
        sock.sendall(b"HEAD /metrics HTTP/1.1\r\nHost: a\r\n\r\n" + request("/-/ready"))
        first, second = read_all(sock).split(b"HTTP/1.1 200 OK")[1:]
    assert first.endswith(b"\r\n\r\n")
    assert second.endswith(b"\r\n\r\nready\n")


def test_http_1_0_gets_a_length_too(serve: Serve) -> None:
    """A body without length, cut short, would be stored as a smaller number."""
    answer = parse(talk(serve().address, b"GET /metrics HTTP/1.0\r\n\r\n"))
    assert answer.headers["Content-Length"] == str(len(TEXT))
    assert answer.body == TEXT


def test_every_path_but_four_is_unknown_and_not_repeated(serve: Serve) -> None:
    address = serve().address
    for path in (
        "/metrics/",
        "/Metrics",
        "/%6detrics",
        "/index.html",
        "//metrics",
        "/-/reload",
        "/<script>x",
    ):
        answer = ask(address, path)
        assert (answer.code, answer.body) == (404, b"Not Found\n"), path


def test_only_get_and_head_are_allowed(serve: Serve) -> None:
    address = serve().address
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "get", "BREW"):
        for path in ("/metrics", "/", "/-/ready"):
            answer = ask(address, path, method)
            assert (answer.code, answer.body) == (405, b"Method Not Allowed\n")
            assert answer.headers["Allow"] == "GET, HEAD"


def test_the_path_of_the_exposition_can_be_chosen(serve: Serve) -> None:
    address = serve(path="/gpu/figures").address
    assert ask(address, "/gpu/figures").body == TEXT
    assert ask(address, "/metrics").code == 404
    assert b'href="/gpu/figures"' in ask(address, "/").body


def test_the_exposition_may_take_the_place_of_the_page(serve: Serve) -> None:
    assert ask(serve(path="/").address, "/").body == TEXT


def test_a_query_and_an_absolute_target_change_nothing(serve: Serve) -> None:
    address = serve().address
    for target in ("/metrics?name[]=gpu_up", "http://test/metrics", "HTTPS://x:1/metrics?a"):
        assert ask(address, target).body == TEXT, target


def test_health_paths_say_why_not(serve: Serve) -> None:
    running = serve()
    assert (ask(running.address, "/-/healthy").code, ask(running.address, "/-/ready").code) == (200, 200)
    running.agent.ready_state = (False, "no sample yet: the driver is not loaded")
    running.agent.healthy_state = (False, "the loop is stuck")
    ready, healthy = ask(running.address, "/-/ready"), ask(running.address, "/-/healthy")
    assert (ready.code, ready.body) == (503, b"no sample yet: the driver is not loaded\n")
    assert (healthy.code, healthy.body) == (503, b"the loop is stuck\n")
    assert ask(running.address).code == 200


@pytest.mark.fault("page-fails")
def test_a_failing_renderer_is_a_500_without_details_and_heals(serve: Serve) -> None:
    running = serve()
    running.agent.fault = RuntimeError("secret detail")
    answer = ask(running.address)
    assert (answer.code, answer.body) == (500, b"Internal Server Error\n")
    running.agent.fault = None
    assert ask(running.address).code == 200


def test_two_scrapes_of_one_snapshot_render_once_and_read_the_same_bytes(serve: Serve) -> None:
    running = serve()
    bodies = {ask(running.address, Accept_Encoding="gzip").body for _ in range(5)}
    assert len(bodies) == 1
    assert len(running.agent.renders) == 1
    running.agent.version = 2
    ask(running.address)
    assert len(running.agent.renders) == 2


HOSTILE = {
    "a line of 1 MB": b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    "a header of 70 KB": request(Cookie="x" * 70_000),
    "10,000 headers": b"GET /metrics HTTP/1.1\r\nHost: a\r\n" + b"a: b\r\n" * 10_000 + b"\r\n",
    "a header just too long": request(Cookie="x" * 16_384),
    "length and chunks": (
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    ),
    "10 GB announced": b"GET /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000000\r\n\r\n",
    "2 KB of body": b"GET /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 2048\r\n\r\n" + b"x" * 2048,
    "2 KB in chunks": b"GET /metrics HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n800\r\n"
    + b"x" * 2048,
    "two lengths": b"GET /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
    "a negative length": b"GET /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    "a length in words": b"GET /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: ten\r\n\r\n",
    "an unknown coding": b"GET /metrics HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
    "a chunk of nonsense": b"POST /metrics HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "HTTP/0.9": b"GET /metrics\r\n\r\n",
    "HTTP/2.0": b"GET /metrics HTTP/2.0\r\nHost: a\r\n\r\n",
    "the HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "no host": b"GET /metrics HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /metrics HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "a trace": request("/metrics", "TRACE"),
    "a tunnel": b"CONNECT example.org:443 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "a walk upwards": request("/../../etc/passwd"),
    "an encoded walk upwards": request("/%2e%2e/%2e%2e/etc/passwd"),
    "a walk and back": request("/metrics/../metrics"),
    "5,000 arguments": b"GET /metrics?" + b"a=1&" * 5000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    "a NUL in the path": b"GET /metrics\0 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "a NUL in a header": b"GET /metrics HTTP/1.1\r\nHost: a\0b\r\nConnection: close\r\n\r\n",
    "a folded header": b"GET /metrics HTTP/1.1\r\nHost: a\r\nX: y\r\n z: w\r\nX Y: z\r\n\r\n",
    "a header without colon": b"GET /metrics HTTP/1.1\r\nHost: a\r\nnonsense\r\n\r\n",
    "a space before the colon": b"GET /metrics HTTP/1.1\r\nHost : a\r\n\r\n",
    "three spaces": b"GET   /metrics   HTTP/1.1\r\nHost: a\r\n\r\n",
    "a TLS hello": bytes.fromhex("16030100c8010000c40303") + b"\0" * 190 + b"\r\n\r\n",
    "an SSH hello": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "noise": bytes(range(256)) * 4 + b"\r\n\r\n",
    "bytes above ASCII in the path": "GET /métrïcs HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode(),
}


@pytest.mark.fault("requests-malformed")
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_request_is_refused_and_the_next_scrape_is_fine(serve: Serve, name: str) -> None:
    address = serve().address
    raw = talk(address, HOSTILE[name])
    if raw:
        assert parse(raw).code in {400, 404, 405, 413, 414, 431, 501, 505}
    assert ask(address).code == 200


@pytest.mark.fault("requests-malformed")
def test_no_answer_repeats_what_was_asked(serve: Serve) -> None:
    """The marker stands in the path, the query, the host, a header and the method."""
    address, marker = serve().address, "zqxjk"
    for path in (f"/{marker}", f"/metrics?{marker}", f"/{marker}/<b>"):
        assert marker.encode() not in talk(address, request(path, X_Marker=marker, Accept=marker))
    assert marker.encode() not in talk(address, request("/", marker.upper())).lower()


@pytest.mark.fault("requests-malformed")
def test_half_a_request_and_a_goodbye_harm_nobody(serve: Serve) -> None:
    address = serve().address
    for data in (b"", b"G", b"GET /metrics HTTP/1.1\r\nHo"):
        with connect(address) as sock:
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            assert read_all(sock) == b""
    assert ask(address).code == 200


def test_requests_are_counted_by_code(serve: Serve) -> None:
    running = serve()
    ask(running.address)
    ask(running.address, "/nothing")
    ask(running.address, "/metrics", "PUT")
    counts = running.server.requests_total
    assert (counts[200], counts[404], counts[405], counts[500]) == (1, 1, 1, 0)
