"""Every way in which a provider may not answer has its word, and none holds or harms us."""

from __future__ import annotations

import gzip
import json
import re
import socket
import ssl
import threading
import tracemalloc
from email.utils import formatdate
from pathlib import Path

import pytest
import trustme

from gputally import __version__
from gputally.model.market import FAILURES
from gputally.site.market.http import FetchFailed, Http
from tests.report.answering import Answer, Seen, speaking
from tests.site.market.dripping import dripping

NOON_S = 1_793_188_800
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def failure(http: Http, url: str) -> FetchFailed:
    with pytest.raises(FetchFailed) as caught:
        http.get_json(url, params={"key": "hush"}, headers={"Authorization": "Bearer hush"})
    assert caught.value.reason in FAILURES
    assert "hush" not in str(caught.value)
    assert "\n" not in str(caught.value)
    return caught.value


def failure_of(answer: Answer, **more) -> FetchFailed:
    with speaking(lambda _: answer) as provider:
        return failure(Http(**more), f"{provider.url}/offers")


def test_asks_by_get_with_parameters_and_says_who_asks():
    with speaking(lambda _: Answer(body=b'{"offers": []}')) as provider:
        assert Http().get_json(f"{provider.url}/a", params={"q": "H 100"}, headers={"X-Key": "k"}) == {
            "offers": []
        }
    (seen,) = provider.seen
    assert (seen.method, seen.path, seen.body) == ("GET", "/a?q=H+100", b"")
    assert seen.headers["User-Agent"] == f"gputally/{__version__}"
    assert (seen.headers["X-Key"], seen.headers["Accept"]) == ("k", "application/json")


def test_asks_by_post_with_json():
    with speaking(lambda seen: Answer(body=seen.body)) as provider:
        assert Http().post_json(provider.url, {"limit": 64}) == {"limit": 64}
    assert provider.seen[0].headers["Content-Type"] == "application/json"


def test_reads_what_is_packed():
    packed = Answer(body=gzip.compress(b'{"a": 1}'), headers={"Content-Encoding": "gzip"})
    with speaking(lambda _: packed) as provider:
        assert Http().get_json(provider.url) == {"a": 1}


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (400, "http"),
        (401, "auth"),
        (403, "auth"),
        (404, "http"),
        (429, "rate_limited"),
        (500, "http"),
        (502, "http"),
        (503, "http"),
        (599, "http"),
    ],
)
def test_a_status_that_is_not_good_has_its_reason(status, reason):
    failed = failure_of(Answer(status, b'{"offers": []}'))
    assert (failed.reason, failed.status) == (reason, status)
    assert str(status) in str(failed)
    assert failed.retry_after_seconds is None


@pytest.mark.fault("provider-refuses")
@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": " 0 "}, 0),
        ({"Retry-After": "9" * 400}, 86_400),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "Fri, 99 Foo 2026 12:00:00 GMT"}, None),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_how_long_the_provider_wants_to_be_left_alone(status, headers, seconds):
    assert failure_of(Answer(status, headers=headers)).retry_after_seconds == seconds


@pytest.mark.parametrize(("later_s", "seconds"), [(90, 90), (-60, 0), (10**7, 86_400)])
def test_a_moment_is_measured_by_the_clock_of_the_server(later_s, seconds):
    head = (
        f"HTTP/1.1 429 Too Many Requests\r\nDate: {formatdate(NOON_S, usegmt=True)}\r\n"
        f"Retry-After: {formatdate(NOON_S + later_s, usegmt=True)}\r\nContent-Length: 1\r\n\r\n"
    )
    with dripping(head.encode(), b"x") as address:
        failed = failure(Http(), f"http://{address}/")
    assert (failed.reason, failed.retry_after_seconds) == ("rate_limited", seconds)


@pytest.mark.fault("provider-redirects")
@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_nobody_is_followed_elsewhere(status):
    with speaking(lambda _: Answer(body=b"{}")) as other:
        failed = failure_of(Answer(status, headers={"Location": f"{other.url}/?take=the-key"}))
    assert (failed.reason, other.seen) == ("http", [])
    assert "followed" in str(failed)


@pytest.mark.fault("provider-nonsense")
@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<!doctype html><p>Just a moment", "found HTML"),
        (b"", "0 bytes"),
        (b'{"price": NaN}', "something else"),
        (b'{"price": 1e999', "something else"),
        (b'{"price": "\xff"}', "something else"),
        (b"[" * 200_000, "something else"),
    ],
)
def test_what_is_not_json_is_said_to_be_something_else(body, words):
    failed = failure_of(Answer(body=body))
    assert failed.reason == "parse"
    assert words in str(failed)


def test_a_reply_without_content_is_no_reply():
    assert failure_of(Answer(204)).reason == "parse"


@pytest.mark.parametrize(
    "body", [b"not packed at all", gzip.compress(json.dumps([0] * 999).encode(), mtime=0)[:-30] + b"?" * 30]
)
def test_what_cannot_be_unpacked_is_said_to_be_broken(body):
    failed = failure_of(Answer(body=body, headers={"Content-Encoding": "gzip"}))
    assert failed.reason == "parse"
    assert "unpacked" in str(failed)


@pytest.mark.fault("provider-large")
@pytest.mark.parametrize("is_packed", [False, True])
def test_what_is_too_large_is_not_read_to_its_end(is_packed):
    body = json.dumps("x" * (2 << 20)).encode()
    answer = Answer(body=body)
    if is_packed:
        answer = Answer(body=gzip.compress(body), headers={"Content-Encoding": "gzip"})
    failed = failure_of(answer, most_bytes=1 << 20)
    assert failed.reason == "parse"
    assert "more than 1 MiB" in str(failed)


@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_reply_that_would_unpack_to_a_lot_is_not_unpacked(times):
    """Packed three times, 256 MiB are some hundred bytes; what is too much is noticed after a few pieces."""
    body = b"0" * (256 << 20)
    for _ in range(times):
        body = gzip.compress(body, 1)
    answer = Answer(body=body, headers={"Content-Encoding": ", ".join(["gzip"] * times)})
    tracemalloc.start()
    try:
        assert "more than 1 MiB" in str(failure_of(answer, most_bytes=1 << 20))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 16 << 20


@pytest.mark.fault("provider-large")
def test_a_reply_that_grows_for_ever_is_left_when_it_is_too_large():
    with dripping(HEAD + b"\r\n[", b"1," * (1 << 19)) as address:
        assert "more than 2 MiB" in str(failure(Http(most_bytes=2 << 20), f"http://{address}/"))


@pytest.mark.fault("provider-slow")
@pytest.mark.parametrize(
    ("opening", "drop"),
    [
        (b"", b""),
        (b"HTTP/1.1 200 OK\r\n", b"X-Pad"),
        (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
        (HEAD + b"Content-Length: 1000000\r\n\r\n[", b"1,"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"2\r\n1,\r\n"),
        (HEAD + b"\r\n[", b" "),
    ],
    ids=["silent", "within a header", "headers", "body", "chunks", "body of any length"],
)
def test_a_server_that_drips_for_ever_is_left_when_the_time_is_up(opening, drop):
    with dripping(opening, drop) as address:
        failed = failure(Http(timeout_seconds=0.4), f"http://{address}/offers")
    assert (failed.reason, str(failed)) == ("timeout", f"{address}/offers: no whole reply within 0.4 s")


@pytest.mark.fault("provider-slow")
@pytest.mark.parametrize("drop", [b"", b"\x16"])
def test_a_handshake_that_never_ends_is_left_too(drop):
    with dripping(b"\x16\x03\x03\x40\x00" if drop else b"", drop) as address:
        assert failure(Http(timeout_seconds=0.4), f"https://{address}/offers").reason == "timeout"


def test_a_reply_that_breaks_off_is_no_reply():
    with speaking(lambda _: Answer(body=b"[1,", headers={"Content-Length": "999"})) as provider:
        failed = failure(Http(), provider.url)
    assert failed.reason == "network"


@pytest.mark.fault("provider-unreachable")
def test_a_connection_that_is_refused_says_so():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    failed = failure(Http(), f"http://127.0.0.1:{port}/offers")
    assert (failed.reason, str(failed)) == ("network", f"127.0.0.1:{port}/offers: Connection refused")


@pytest.mark.fault("provider-unreachable")
def test_a_name_that_nobody_has_says_so():
    assert failure(Http(), "http://nobody.invalid/offers").reason == "network"


@pytest.mark.parametrize("url", ["http://", "http://[::1", "http://127.0.0.1:0/", "ftp://127.0.0.1/"])
def test_an_address_that_is_none_is_a_failure_as_any_other(url):
    assert failure(Http(timeout_seconds=2), url).reason == "network"


@pytest.mark.fault("provider-unreachable")
def test_a_certificate_is_verified(tmp_path: Path):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    for names, verified in ((("127.0.0.1",), True), (("other.example",), False)):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(*names).configure_cert(context)
        with speaking(lambda _: Answer(body=b"[1]"), context) as provider:
            failed = failure(Http(), provider.url)
            assert failed.reason == "network"
            assert re.search(r"TLS: .*(self.signed|local issuer) certificate", str(failed))
            trusting = Http(ca_file=tmp_path / "ca.pem")
            if verified:
                assert trusting.get_json(provider.url) == [1]
            else:
                assert "TLS: " in str(failure(trusting, provider.url))
                assert provider.seen == []


def test_passwords_are_not_looked_for_in_the_home_folder(tmp_path: Path, monkeypatch):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login mine password hush\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    with speaking(lambda _: Answer(body=b"{}")) as provider:
        Http().get_json(provider.url.replace("http://", "http://me:hush@"))
    assert "Authorization" not in provider.seen[0].headers


def test_a_proxy_is_used_for_others_and_not_for_this_machine(monkeypatch):
    with speaking(lambda seen: Answer(body=json.dumps(seen.path).encode())) as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        assert Http().get_json("http://prices.invalid/a") == "http://prices.invalid/a"
        with speaking(lambda _: Answer(body=b'"direct"')) as provider:
            assert Http().get_json(provider.url) == "direct"
    assert len(proxy.seen) == 1


def test_closing_ends_what_is_under_way_and_refuses_the_rest():
    http, failures = Http(timeout_seconds=60), []
    asked = threading.Event()

    def hold(_: Seen) -> Answer:
        asked.set()
        over.wait(60)
        return Answer(body=b"{}")

    over = threading.Event()
    with speaking(hold) as provider:
        asking = threading.Thread(target=lambda: failures.append(failure(http, provider.url)))
        asking.start()
        assert asked.wait(30)
        http.close()
        asking.join(30)
        over.set()
        assert not asking.is_alive()
        failures.append(failure(http, provider.url))
    assert [failed.reason for failed in failures] == ["network", "network"]
    assert all("no longer asked" in str(failed) for failed in failures)
    assert len(provider.seen) == 1


def test_several_threads_may_ask_at_once_and_nothing_stays_open():
    http = Http()
    with speaking(lambda seen: Answer(body=json.dumps(seen.path).encode())) as provider:
        found: list[object] = []
        threads = [
            threading.Thread(target=lambda n=n: found.append(http.get_json(f"{provider.url}/{n}")))
            for n in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(map(str, found)) == [f"/{n}" for n in range(8)]
    assert http._lines == set()
