"""What is said about an exchange: no key, no password of a proxy, nothing that drives a terminal."""

from __future__ import annotations

import json
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from gputally.config.market import ProviderSettings
from gputally.report.access import Access
from gputally.report.failures import ReportError
from gputally.report.prometheus import Prometheus
from gputally.site.market import cards, runpod
from gputally.site.market.http import FetchFailed, Http
from tests.report.answering import Answer, speaking
from tests.security.listening import PROXIES, failure

if TYPE_CHECKING:
    from pathlib import Path

KEY = "canary-key-8c1f0d3e"


BAD_PROXIES = (
    "http://user:battery/staple@proxy.example.com:3128",
    "http://user:staple@",
    "http://user:staple@proxy.example.com:port",
    "http://user:staple@[::1",
    "http://user:staple@ proxy.example.com:1",
    "user:staple@127.0.0.1:1",
    "ftp://user:staple@proxy.example.com",
    "socks5://user:staple@127.0.0.1:1",
)


@pytest.mark.parametrize("proxy", BAD_PROXIES)
def test_a_proxy_that_cannot_be_used_is_one_line_without_its_password(
    proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the market and of reports; a library quotes it, or fails with a TypeError."""
    for name in PROXIES:
        monkeypatch.setenv(name, proxy)
    failed = failure(lambda: Http(timeout_seconds=2).get_json("https://prices.invalid/x"))
    assert failed.reason == "network"
    assert_hushed(str(failed), "staple", "battery")
    with pytest.raises(ReportError) as caught:
        Prometheus(Access("https://prometheus.invalid:9090"), sleep=lambda _: None).query("up", 0)
    assert_hushed(str(caught.value), "staple", "battery")


def test_an_address_that_cannot_be_asked_is_not_quoted_with_its_password():
    failed = failure(lambda: Http().get_json("https://user:staple@prices.invalid:99999/x?key=staple"))
    assert_hushed(str(failed), "staple")


def assert_hushed(message: str, *words: str) -> None:
    assert not any(word in message for word in words), message
    assert "\n" not in message


# what comes back


def test_a_provider_that_repeats_the_key_does_not_put_it_into_a_message(key_file: Path) -> None:
    """As those do that refuse it: 'invalid API key canary-...'."""
    reply = {"errors": [{"message": f"the key {KEY} is not known"}]}
    with speaking(lambda _: Answer(body=json.dumps(reply).encode())) as provider:
        settings = ProviderSettings("runpod", "runpod", provider.url, api_key_file=key_file)
        failed = failure(lambda: runpod.fetch(Http(), settings, cards.load()))
    assert_hushed(str(failed), KEY)
    assert "the key (a key) is not known" in str(failed)


@pytest.mark.parametrize("key", ["abc/def+ghi==", 'quote"d-key-1', "plain-key-12345"])
def test_a_key_is_taken_out_however_json_writes_it(key: str) -> None:
    bodies = [json.dumps([f"bad {key}"]), json.dumps([f"bad {key}"]).replace("/", "\\/")]
    for body in bodies:
        with speaking(lambda _, body=body: Answer(body=body.encode())) as provider:
            found = Http().get_json(provider.url, headers={"x-api-key": key})
        assert found == ["bad (a key)"]


def test_words_of_a_provider_drive_no_terminal_and_break_no_line():
    said = FetchFailed("schema", "expected an object at data.\x1b[2J\r\nlevel=info \u202emsg" + "x" * 9000)
    assert said.message.isprintable()
    assert len(said.message) <= 500
    assert str(said) == said.message


@pytest.mark.parametrize(
    "answer",
    [
        Answer(422, json.dumps({"errorType": "bad_data", "error": "a\x1b[2Jb\u202ec"}).encode()),
        Answer(302, headers={"Location": "/a\x1b[2Jb"}),
    ],
    ids=["message", "location"],
)
def test_words_of_prometheus_drive_no_terminal(answer: Answer) -> None:
    with speaking(lambda _: answer) as server, pytest.raises(ReportError) as caught:
        Prometheus(Access(server.url)).query("up", 0)
    assert str(caught.value).isprintable()


def test_a_status_line_of_rubbish_drives_no_terminal():
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"\x1b]0;owned\x07 rubbish\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        failed = failure(lambda: Http(timeout_seconds=5).get_json(url))
        thread.join()
    assert failed.message.isprintable()
