"""Grafana behind TLS: what browsers are told, what is refused, what happens when Grafana goes and comes."""

import asyncio
import http.client
import re
import socket
import ssl

import pytest
import requests
from proxy.tests.conftest import Proxy
from proxy.tests.grafana import OWN_HEADERS, Upstream
from proxy.tests.names import NameServer
from scripts.stack.processes import LOOPBACK
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.websocket import websocket_connect

HEADERS = {
    "Strict-Transport-Security": "max-age=31536000",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Content-Security-Policy": "frame-ancestors 'self'; object-src 'none'; base-uri 'self'",
}
MIB = 1 << 20

with_grafana = pytest.mark.usefixtures("grafana")


def test_plain_http_says_where_to_go_and_nothing_else(proxy: Proxy) -> None:
    for method in ("GET", "POST"):
        answer = requests.request(
            method,
            proxy.url("/d/gputally-fleet?from=now-1h&to=now", "http"),
            headers={"Host": "gpus.example.org"},
            allow_redirects=False,
            timeout=20,
        )
        assert answer.status_code == 308  # what was posted is posted again
        assert answer.headers["Location"] == "https://gpus.example.org/d/gputally-fleet?from=now-1h&to=now"
        assert re.fullmatch("nginx", answer.headers["Server"])


# TLS


def greet(proxy: Proxy, context: ssl.SSLContext) -> tuple[str | None, str, str | None]:
    """Version, cipher and protocol of one handshake."""
    with (
        socket.create_connection((LOOPBACK, proxy.ports["https"]), 20) as raw,
        context.wrap_socket(raw, server_hostname="gpus.example.org") as tls,
    ):
        return tls.version(), (tls.cipher() or ("",))[0], tls.selected_alpn_protocol()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_todays_versions_of_tls_are_spoken_with_forward_secrecy(
    proxy: Proxy, version: ssl.TLSVersion
) -> None:
    context = proxy.context()
    context.minimum_version = context.maximum_version = version
    spoken, cipher, _ = greet(proxy, context)
    assert spoken == version.name.replace("_", ".")
    assert cipher.startswith(("ECDHE-", "TLS_"))


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_older_versions_are_refused_by_the_server_and_not_by_this_client(
    proxy: Proxy, version: ssl.TLSVersion
) -> None:
    context = proxy.context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = version
    context.maximum_version = version
    with pytest.raises(ssl.SSLError, match="TLSV1_ALERT_PROTOCOL_VERSION"):
        greet(proxy, context)


def test_ciphers_without_forward_secrecy_are_refused(proxy: Proxy) -> None:
    context = proxy.context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AES128-GCM-SHA256:AES256-SHA")
    with pytest.raises(ssl.SSLError, match="HANDSHAKE_FAILURE"):
        greet(proxy, context)


def test_browsers_may_speak_http_2(proxy: Proxy) -> None:
    context = proxy.context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    assert greet(proxy, context)[2] == "h2"


# what browsers are told


@with_grafana
@pytest.mark.parametrize(
    ("path", "method", "size", "status"),
    [
        ("/d/gputally-fleet", "GET", 0, 200),
        ("/missing", "GET", 0, 404),
        ("/metrics", "GET", 0, 404),
        ("/api/ds/query", "POST", 5 * MIB, 413),
        ("/api/live/ws", "POST", 0, 405),
    ],
)
def test_every_answer_has_every_header_once(
    proxy: Proxy, path: str, method: str, size: int, status: int
) -> None:
    answer = proxy.ask(path, method, data=b"x" * size)
    assert answer.status_code == status
    assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS  # repeated ones would be joined
    assert "X-XSS-Protection" in OWN_HEADERS
    assert "X-XSS-Protection" not in answer.headers


@with_grafana
def test_grafana_hears_who_asks_and_for_what_and_no_lies_about_it(proxy: Proxy) -> None:
    lies = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "http", "X-Real-IP": "203.0.113.9"}
    heard = proxy.ask("/api/x?token=y", headers={**lies, "Authorization": "Bearer t"}).json()
    headers = heard["headers"]
    assert heard["uri"] == "/api/x?token=y"
    assert headers["Host"] == headers["X-Forwarded-Host"] == f"{LOOPBACK}:{proxy.ports['https']}"
    assert (headers["X-Forwarded-For"], headers["X-Real-Ip"]) == (LOOPBACK, LOOPBACK)
    assert headers["X-Forwarded-Proto"] == "https"
    assert headers["Authorization"] == "Bearer t"  # Grafana's own tokens


@with_grafana
def test_what_stands_behind_a_question_mark_is_not_logged(proxy: Proxy) -> None:
    assert proxy.ask("/d/x?auth_token=canary").status_code == 200
    log = proxy.folder / "access.log"
    proxy.until(lambda: '"GET /d/x" 200' in log.read_text(), "the request is logged")
    assert "canary" not in log.read_text()


def test_without_an_optional_part_nothing_but_grafana_can_be_reached(proxy: Proxy, grafana: Upstream) -> None:
    with (
        Upstream(proxy.ports["prometheus"], "prometheus"),
        Upstream(proxy.ports["alertmanager"], "alertmanager"),
    ):
        for path in ("/prometheus/api/v1/query", "/alertmanager/", "/-/reload", "//prometheus/"):
            assert proxy.ask(path).json()["name"] == "grafana"
    assert grafana


# Live


async def converse(proxy: Proxy, path: str, origin: str, said: list[str | bytes]) -> list[str | bytes | None]:
    request = HTTPRequest(
        proxy.url(path).replace("https", "wss"),
        headers={"Origin": origin},
        connect_timeout=20,
        ca_certs=str(proxy.folder / "ca.pem"),
    )
    connection = await websocket_connect(request)
    heard = []
    for one in said:
        await connection.write_message(one, binary=isinstance(one, bytes))
        heard.append(await connection.read_message())
    connection.close()
    assert await connection.read_message() is None  # hung up: no socket is left behind
    return heard


@with_grafana
def test_a_web_socket_goes_through_in_both_directions(proxy: Proxy) -> None:
    said = ["a", "b" * MIB, b"\0\xff", ""]
    assert asyncio.run(converse(proxy, "/api/live/ws", proxy.url(""), said)) == said


@with_grafana
def test_a_page_of_another_origin_gets_no_web_socket(proxy: Proxy) -> None:
    """Grafana compares with the Host, which is why the proxy passes it on with its port."""
    with pytest.raises(HTTPClientError, match="403"):
        asyncio.run(converse(proxy, "/api/live/ws", "https://evil.example.org", ["a"]))


# limits


@with_grafana
def test_a_request_of_four_mebibytes_goes_through(proxy: Proxy) -> None:
    assert proxy.ask("/api/dashboards/db", "POST", data=b"x" * 4 * MIB).json()["bytes"] == 4 * MIB


@with_grafana
def test_headers_without_end_are_refused(proxy: Proxy) -> None:
    assert proxy.ask("/", headers={"X-Long": "x" * 20_000}).status_code == 400
    assert proxy.ask(f"/{'x' * 20_000}").status_code == 414
    assert proxy.ask("/").status_code == 200


@with_grafana
def test_plain_http_on_the_port_of_tls_is_told_so(proxy: Proxy) -> None:
    connection = http.client.HTTPConnection(LOOPBACK, proxy.ports["https"], timeout=20)
    connection.request("GET", "/")
    assert connection.getresponse().status == 400
    connection.close()


@pytest.mark.fault("passwords-guessed")
@with_grafana
def test_guesses_of_passwords_are_slowed_down_and_nothing_else_is(proxy: Proxy) -> None:
    """Ten are let through at once; then it depends on how fast this machine asks."""
    statuses = []
    while 429 not in statuses and len(statuses) < 2000:
        statuses.append(proxy.ask("/login", "POST", data=b"{}").status_code)
    assert statuses[:11] == [200] * 11
    assert statuses[-1] == 429
    assert {proxy.ask("/login").status_code, proxy.ask("/api/login/ping", "POST").status_code} == {200}


# what goes, and comes back


@pytest.mark.fault("grafana-gone")
def test_without_grafana_it_is_502_and_with_it_all_is_well_again(proxy: Proxy) -> None:
    for _ in range(2):
        answer = proxy.ask("/")
        assert answer.status_code == 502
        assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
        with Upstream(proxy.ports["grafana"]):
            assert proxy.ask("/").json()["name"] == "grafana"
        assert requests.get(proxy.url("/", "http"), allow_redirects=False, timeout=20).status_code == 308


def serial(proxy: Proxy) -> str:
    """Of the certificate that a client is shown."""
    with (
        socket.create_connection((LOOPBACK, proxy.ports["https"]), 20) as raw,
        proxy.context().wrap_socket(raw, server_hostname="localhost") as tls,
    ):
        shown = tls.getpeercert() or {}
        return str(shown["serialNumber"])


def test_a_new_certificate_is_shown_after_a_reload(proxy: Proxy) -> None:
    before = serial(proxy)
    proxy.certify()
    assert serial(proxy) == before
    proxy.reload()
    proxy.until(lambda: serial(proxy) != before, "the new certificate is shown")


@pytest.mark.fault("grafana-gone")
def test_a_container_that_was_made_anew_is_found_at_its_new_address(bare: Proxy) -> None:
    """The variant for docker-compose.yml, with a name server in place of the engine's."""
    with NameServer("127.0.0.1") as names:
        bare.write("upstreams-compose.conf")
        upstreams = bare.folder / "upstreams-compose.conf"
        text = upstreams.read_text()
        assert "resolver 127.0.0.11 valid=5s ipv6=off;" in text
        upstreams.write_text(text.replace("127.0.0.11 valid=5s", f"127.0.0.1:{names.port} valid=1s"))
        bare.start()
        with Upstream(bare.ports["grafana"], "first"):
            assert bare.ask("/").json()["name"] == "first"
        with Upstream(bare.ports["grafana"], "second", "127.0.0.2"):
            assert bare.ask("/").status_code == 502
            names.address = "127.0.0.2"
            bare.until(lambda: bare.ask("/").status_code == 200, "the new address is asked for")
            assert bare.ask("/").json()["name"] == "second"
