"""Whom the agents ask: who is configured and nobody else, wherever an answer, a proxy or a library leads."""

from __future__ import annotations

import io
import socket
import ssl
import threading
import zipfile
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
import trustme

from gputally.config.market import ProviderSettings
from gputally.config.providers import WITH_A_KEY
from gputally.site.market import cards, clouds, narrow
from gputally.site.market.http import Http
from gputally.site.market.registry import PROVIDERS
from tests.report.answering import Answer, Seen, speaking
from tests.security.listening import PROXIES, failure
from tests.site.market.dripping import dripping

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.agent.running import RunningAgent
    from tests.site.market.dripping import dripping
from tests.security.listening import Ear

KEY = "canary-key-8c1f0d3e"
LISTS = "dstack-gpu-pricing.s3.eu-west-1.amazonaws.com"  # where gpuhunt has its lists


def address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    assert parts.hostname
    assert parts.port
    return parts.hostname, parts.port


# agents


def test_the_node_agent_asks_nobody(heard: Callable[..., RunningAgent], ear: Ear) -> None:
    running = heard("node", "--source=simulated", "--simulated.gpus=2", "--jobs.announce=1s")
    running.wait_until(lambda scrape: scrape.value("gpu_up", gpu="0") == 1)
    running.terminate()
    assert ear.reached == set()
    assert ear.names == set()
    assert ear.file.exists(), "nothing was heard at all"


def test_the_site_agent_asks_nobody_without_a_market(heard: Callable[..., RunningAgent], ear: Ear) -> None:
    running = heard("site")
    running.wait_until(lambda scrape: scrape.value("site_pue_ratio"))
    running.terminate()
    assert (ear.reached, ear.names) == (set(), set())


def test_the_site_agent_asks_who_is_configured_and_not_where_an_answer_leads(
    heard: Callable[..., RunningAgent], ear: Ear, key_file: Path, tmp_path: Path
) -> None:
    """A provider that was taken over sends the agent to another host, with the key: it does not go."""
    file = tmp_path / "gputally.yml"
    with speaking(lambda _: Answer(body=b"{}")) as stranger, speaking(leading_to(stranger.url)) as provider:
        keyed = "".join(
            f"    {name}: {{base_url: '{provider.url}/{name}', api_key_file: {key_file}}}\n"
            for name in WITH_A_KEY
        )
        file.write_text(f"market:\n  providers:\n{keyed}    akash: {{base_url: '{provider.url}/akash'}}\n")
        env = dict.fromkeys(PROXIES, stranger.url)
        running = heard("site", f"--config.file={file}", env=env)
        running.wait_until(lambda scrape: failed_of(scrape) >= 6, 20.0, "all providers to be asked")
        running.terminate()
        assert ear.reached == {address(provider.url)}
        assert stranger.seen == []
        assert {seen.path.split("/")[1] for seen in provider.seen} >= {"vast", "lambda", "akash"}
        assert KEY in str([seen.headers for seen in provider.seen])
    assert not running.lines(KEY)
    assert running.lines("nobody is followed elsewhere")


def leading_to(url: str) -> Callable[[Seen], Answer]:
    return lambda seen: Answer(307, headers={"Location": f"{url}{seen.path}", "Set-Cookie": "id=1"})


def failed_of(scrape) -> int:
    found = scrape.series("gpu_market_fetch_failures_total")
    return len({dict(labels)["provider"] for labels, value in found.items() if value})


class Tunnels:
    """A proxy that opens no tunnel, and says to whom one was wanted and with which headers."""

    def __init__(self) -> None:
        self.wanted: dict[str, bytes] = {}

    def serve(self, server: socket.socket) -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(5)
                head = b""
                while b"\r\n\r\n" not in head and (part := connection.recv(4096)):
                    head += part
                method, target, *_ = head.decode().split(" ")
                self.wanted[f"{method} {target}"] = head
                connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")


@pytest.fixture
def tunnels():
    found = Tunnels()
    with socket.create_server(("127.0.0.1", 0)) as server:
        found.url = f"http://proxy-user:proxy-word@127.0.0.1:{server.getsockname()[1]}"
        thread = threading.Thread(target=found.serve, args=(server,))
        thread.start()
        yield found
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_by_themselves_providers_are_asked_at_known_hosts_over_tls_and_a_proxy_sees_no_key(
    heard: Callable[..., RunningAgent], ear: Ear, key_file: Path, tmp_path: Path, tunnels: Tunnels
) -> None:
    """The proxy of the environment is used, for the lists of the clouds, too: it is told hosts alone."""
    file = tmp_path / "gputally.yml"
    keyed = "".join(
        f"    {name}: {{api_key_file: {key_file}}}\n"
        for name in ("vast", "ionet", "runpod", "lambda", "verda")
    )
    file.write_text(f"market:\n  providers:\n{keyed}    akash: {{}}\n    clouds: {{names: [aws]}}\n")
    env = {"https_proxy": tunnels.url, "HTTPS_PROXY": tunnels.url, "no_proxy": "", "NO_PROXY": ""}
    running = heard("site", f"--config.file={file}", env=env)
    running.wait_until(lambda scrape: failed_of(scrape) == 7, timeout=30, what="all providers to be asked")
    running.terminate()
    known = {urlsplit(provider.url).hostname for provider in PROVIDERS.values() if provider.url}
    assert set(tunnels.wanted) == {f"CONNECT {host}:443" for host in (*known, LISTS)}
    assert ear.reached == {address(tunnels.url)}
    assert not any(KEY.encode() in head for head in tunnels.wanted.values())
    assert not running.lines("proxy-word")
    assert not running.lines("Traceback")


def test_every_provider_is_asked_over_tls_by_itself():
    assert {urlsplit(one.url).scheme for one in PROVIDERS.values() if one.url} == {"https"}


# one question


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("name", ["Authorization", "x-api-key"])
def test_credentials_are_not_sent_on_to_another_host(status: int, name: str) -> None:
    with speaking(lambda _: Answer(body=b"{}")) as other:
        moved = Answer(status, headers={"Location": f"{other.url}/taken"})
        with speaking(lambda _: moved) as provider:
            http, headers = Http(), {name: f"Bearer {KEY}"}
            for ask in (http.get_json, lambda url, headers: http.post_json(url, {}, headers=headers)):
                assert failure(lambda ask=ask: ask(provider.url, headers=headers)).status == status
            assert len(provider.seen) == 2
        assert other.seen == []


def test_no_cookie_is_carried_from_one_question_to_the_next():
    with speaking(lambda _: Answer(body=b"{}", headers={"Set-Cookie": "session=1; Path=/"})) as provider:
        http = Http()
        for _ in range(2):
            http.get_json(provider.url)
    assert all("Cookie" not in seen.headers for seen in provider.seen)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://127.0.0.1/", "data:,1"])
def test_odd_schemes_are_not_asked(url: str) -> None:
    assert failure(lambda: Http(timeout_seconds=2).get_json(url)).reason == "network"


# the library that brings the lists of the clouds


def test_the_library_of_the_clouds_is_not_followed_elsewhere_and_opens_no_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with speaking(lambda _: Answer(body=b"20261128")) as other, speaking(leading_to(other.url)) as lists:
        monkeypatch.setenv("GPUHUNT_CATALOG_URL", f"{lists.url}/lists")
        failed = failure(lambda: clouds.fetch(Http(), aws(), cards.load()))
        assert "307" in str(failed)
        assert lists.seen
        assert other.seen == []
    folder = tmp_path / "lists" / "aws"
    (folder / "1").mkdir(parents=True)
    (folder / "version").write_text("1")
    monkeypatch.setenv("GPUHUNT_CATALOG_URL", f"file://{tmp_path}/lists")
    assert "unknown url type: file" in str(failure(lambda: clouds.fetch(Http(), aws(), cards.load())))


def aws() -> ProviderSettings:
    return ProviderSettings("aws", "clouds")


@pytest.mark.parametrize("bundle", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_who_is_known_by_a_file_of_ours_is_known_by_no_other(
    bundle: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`--site.ca-file` says whose certificates are good; a bundle of the environment does not widen that."""
    ours, theirs = trustme.CA(), trustme.CA()
    for name, authority in (("ours.pem", ours), ("theirs.pem", theirs)):
        authority.cert_pem.write_to_path(str(tmp_path / name))
    monkeypatch.setattr("gputally.site.market.http.is_loopback", lambda _url: False)
    monkeypatch.setenv(bundle, str(tmp_path / "theirs.pem"))
    for issuer, is_known in ((ours, True), (theirs, False)):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        issuer.issue_cert("127.0.0.1").configure_cert(context)
        with speaking(lambda _: Answer(body=b"[1]"), context) as server:
            ask = partial(Http(ca_file=tmp_path / "ours.pem").get_json, server.url)
            if is_known:
                assert ask() == [1]
            else:
                assert "TLS: " in str(failure(ask))


@pytest.mark.parametrize("drop", [b"", b"x"])
def test_the_library_of_the_clouds_neither_waits_for_ever_nor_fills_the_memory(drop: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\n\r\n"
    with dripping(head, drop) as where, pytest.raises(OSError, match=r"timed out|within"):
        narrow.Narrow(timeout_seconds=0.4).open(f"http://{where}/")
    with dripping(head, b"x" * 100_000) as where, pytest.raises(OSError, match="more than"):
        narrow.Narrow(timeout_seconds=20, most_bytes=1_000_000).open(f"http://{where}/")
    with (
        speaking(lambda _: Answer(body=b"20261128")) as server,
        narrow.Narrow().open(server.url) as answer,
    ):
        assert (answer.read(), answer.status) == (b"20261128", 200)


def test_a_list_that_would_unpack_to_too_much_is_none() -> None:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("aws.csv", b"0" * (65 << 20))
    assert len(data.getvalue()) < 100_000
    with (
        speaking(lambda _: Answer(body=data.getvalue())) as server,
        pytest.raises(OSError, match="would unpack to"),
    ):
        narrow.Narrow().open(server.url)
