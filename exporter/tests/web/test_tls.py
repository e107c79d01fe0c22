"""TLS: who is served, who is turned away, and how certificates are replaced."""

import contextlib
import datetime as dt
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from gputally.web.limits import Limits
from gputally.web.tls import name_is_allowed
from gputally.web.validity import not_after
from tests.web.harness import (
    TEXT,
    Running,
    ask_tls,
    client_context,
    connect,
    parse,
    read_all,
    read_one,
    request,
    talk,
    until,
    write_pair,
)

Serve = Callable[..., Running]
PAIR = "tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\n"
MUTUAL = PAIR + "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n"
KEEP = b"GET /-/healthy HTTP/1.1\r\nHost: a\r\n\r\n"
DAY = dt.timedelta(days=1)


@pytest.fixture
def config(tmp_path: Path, authority: trustme.CA, leaf: trustme.LeafCert) -> Path:
    """A web configuration beside a certificate; a test writes what it asks for."""
    write_pair(leaf, tmp_path)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    file = tmp_path / "web.yml"
    file.write_text(PAIR)
    return file


def is_refused(address: tuple[str, int], context: ssl.SSLContext) -> bool:
    """Whether this client gets no answer. In TLS 1.3 a client learns it at its first read only."""
    try:
        with connect(address, context) as sock:
            sock.sendall(request())
            return sock.recv(1) == b""
    except OSError:
        return True


def test_a_scrape_over_tls_is_the_same(serve: Serve, config: Path, authority: trustme.CA) -> None:
    answer = ask_tls(serve(config).address, client_context(authority))
    assert (answer.code, answer.body) == (200, TEXT)


def test_a_large_body_arrives_whole(serve: Serve, config: Path, authority: trustme.CA) -> None:
    running = serve(config)
    running.agent.bodies = dict.fromkeys(running.agent.bodies, bytes(3_000_000))
    assert len(ask_tls(running.address, client_context(authority)).body) == 3_000_000


@pytest.mark.fault("clients-unknown")
def test_plain_http_on_the_tls_port_is_closed_without_an_answer(
    serve: Serve, config: Path, authority: trustme.CA
) -> None:
    running = serve(config)
    assert b"HTTP" not in talk(running.address, request())
    until(lambda: running.server.connections_refused_total["handshake"] == 1)
    assert ask_tls(running.address, client_context(authority)).code == 200


@pytest.mark.fault("clients-unknown")
def test_a_client_below_the_lowest_version_is_refused(
    serve: Serve, config: Path, authority: trustme.CA
) -> None:
    config.write_text(PAIR + "  min_version: TLS13\n")
    running, old = serve(config), client_context(authority)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    assert is_refused(running.address, old)
    assert not is_refused(running.address, client_context(authority))


@pytest.mark.fault("tls-renegotiated")
def test_a_client_that_wants_to_shake_hands_again_is_refused(
    serve: Serve, config: Path, authority: trustme.CA
) -> None:
    """Each new handshake would cost the server far more than the client. TLS 1.3 has none."""
    running = serve(config)
    client = subprocess.run(
        ["openssl", "s_client", "-tls1_2", "-connect", "{}:{}".format(*running.address)],
        input=b"R\n",  # to the program: renegotiate
        capture_output=True,
        timeout=10,
        check=False,
    )
    assert b"RENEGOTIATING" in client.stdout + client.stderr
    assert b"no renegotiation" in client.stderr
    assert ask_tls(running.address, client_context(authority)).code == 200


def test_certificate_key_and_authority_may_stand_in_the_file(
    serve: Serve, config: Path, authority: trustme.CA
) -> None:
    def block(name: str) -> str:
        return "".join(f"    {line}\n" for line in (config.parent / name).read_text().splitlines())

    config.write_text(
        f"tls_server_config:\n  cert: |\n{block('cert.pem')}  key: |\n{block('key.pem')}"
        f"  client_ca: |\n{block('ca.pem')}  client_auth_type: RequireAndVerifyClientCert\n"
    )
    running = serve(config)
    assert is_refused(running.address, client_context(authority))
    known = client_context(authority, certificate=authority.issue_cert("prometheus"))
    assert ask_tls(running.address, known).code == 200


def certificates(authority: trustme.CA) -> dict[str, trustme.LeafCert | None]:
    yesterday = dt.datetime.now(dt.UTC) - DAY
    return {
        "none": None,
        "of another authority": trustme.CA().issue_cert("prometheus"),
        "expired": authority.issue_cert("prometheus", not_before=yesterday - DAY, not_after=yesterday),
        "other name": authority.issue_cert("somebody"),
        "name with a suffix": authority.issue_cert("prometheus.example"),
        "DNS name": authority.issue_cert("prometheus"),
        "one of two names": authority.issue_cert("a.example", "prometheus"),
        "IPv4 address": authority.issue_cert("10.0.0.1"),
        "IPv6 address": authority.issue_cert("2001:db8::1"),
        "mail address": authority.issue_cert("ops@example.org"),
    }


@pytest.mark.fault("clients-unknown")
@pytest.mark.parametrize(
    "case",
    [
        (
            MUTUAL,
            {
                "other name",
                "name with a suffix",
                "DNS name",
                "one of two names",
                "IPv4 address",
                "IPv6 address",
                "mail address",
            },
        ),
        (
            MUTUAL + "  client_allowed_sans: [prometheus, 10.0.0.1, '2001:0db8::1', ops@example.org]\n",
            {"DNS name", "one of two names", "IPv4 address", "IPv6 address", "mail address"},
        ),
        (
            MUTUAL.replace("RequireAndVerifyClientCert", "VerifyClientCertIfGiven"),
            {
                "none",
                "other name",
                "name with a suffix",
                "DNS name",
                "one of two names",
                "IPv4 address",
                "IPv6 address",
                "mail address",
            },
        ),
    ],
)
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_only_known_clients_are_served(
    serve: Serve, config: Path, authority: trustme.CA, version: ssl.TLSVersion, case: tuple[str, set[str]]
) -> None:
    asked, served = case
    config.write_text(asked)
    address = serve(config).address
    found = set()
    for kind, certificate in certificates(authority).items():
        context = client_context(authority, certificate=certificate)
        context.maximum_version = version
        if not is_refused(address, context):
            found.add(kind)
    assert found == served


@pytest.mark.fault("clients-unknown")
def test_a_client_with_a_wrong_name_is_counted(serve: Serve, config: Path, authority: trustme.CA) -> None:
    config.write_text(MUTUAL + "  client_allowed_sans: [prometheus]\n")
    running = serve(config)
    assert is_refused(running.address, client_context(authority, certificate=authority.issue_cert("x")))
    assert running.server.connections_refused_total["certificate_name"] == 1
    assert running.server.connections_open == 0


@pytest.mark.parametrize(
    ("names", "allowed"),
    [
        ((), False),
        ((("DNS", "other"),), False),
        ((("URI", "spiffe://site/prometheus"),), True),
        ((("URI", "spiffe://site/prometheus/"),), False),
        ((("DNS", "*.site"),), False),
        ((("IP Address", "2001:DB8:0:0:0:0:0:1\n"),), True),
    ],
)
def test_names_are_compared_letter_by_letter(names: tuple[Any, ...], allowed: bool) -> None:
    listed = frozenset({"spiffe://site/prometheus", "2001:db8::1", "a.site"})
    assert name_is_allowed({"subjectAltName": names}, listed) is allowed
    assert name_is_allowed({"subjectAltName": names}, frozenset())
    assert not name_is_allowed(None, listed)


@pytest.mark.fault("certificates")
def test_a_new_certificate_is_served_within_a_second_and_no_scrape_fails(
    serve: Serve, config: Path, authority: trustme.CA
) -> None:
    """A client that trusts both authorities scrapes all the time; one that trusts the new one waits."""
    running, successor = serve(config), trustme.CA()
    both, new = client_context(authority, successor), client_context(successor)
    failures: list[str] = []
    stop = threading.Event()

    def scrape() -> None:
        while not stop.is_set():
            try:
                assert ask_tls(running.address, both).code == 200
            except (OSError, AssertionError, IndexError) as error:
                failures.append(repr(error))

    thread = threading.Thread(target=scrape)
    thread.start()
    try:
        time.sleep(0.1)
        start = time.monotonic()
        write_pair(successor.issue_cert("127.0.0.1"), config.parent)
        until(lambda: not is_refused(running.address, new), 5)
        assert time.monotonic() - start < 3  # one second, on a machine with nothing else to do
    finally:
        stop.set()
        thread.join()
    assert failures == []
    assert running.server.last_reload_success


@pytest.mark.fault("certificates")
def test_a_key_that_does_not_fit_keeps_the_old_pair_until_it_does(
    serve: Serve, config: Path, authority: trustme.CA
) -> None:
    """A certificate tool replaces two files one after the other; in between nothing may break."""
    running, context = serve(config), client_context(authority)
    since = running.server.last_reload_success_timestamp
    expiry = running.server.certificate_expiry_timestamp
    replacement = authority.issue_cert("127.0.0.1", not_after=dt.datetime.now(dt.UTC) + 9 * DAY)
    directory = config.parent
    (directory / "cert.pem").write_bytes(replacement.cert_chain_pems[0].bytes())
    assert not running.call(running.server.reload)
    assert not running.server.last_reload_success
    assert running.server.last_reload_success_timestamp == since
    assert running.server.certificate_expiry_timestamp == expiry
    assert ask_tls(running.address, context).code == 200
    (directory / "key.pem").write_bytes(replacement.private_key_pem.bytes())
    until(lambda: running.server.last_reload_success)
    assert running.server.last_reload_success_timestamp > since
    assert running.server.certificate_expiry_timestamp != expiry
    assert ask_tls(running.address, context).code == 200


@pytest.mark.fault("certificates")
@pytest.mark.parametrize("damage", ["", "nonsense", "-----BEGIN CERTIFICATE-----\n", None])
def test_a_broken_or_missing_certificate_keeps_the_old_one(
    serve: Serve, config: Path, authority: trustme.CA, damage: str | None
) -> None:
    running, file = serve(config), config.parent / "cert.pem"
    if damage is None:
        file.unlink()
    else:
        file.write_text(damage)
    assert not running.call(running.server.reload)
    assert ask_tls(running.address, client_context(authority)).code == 200


@pytest.mark.fault("certificates")
def test_another_client_authority_holds_for_connections_that_are_open_already(
    serve: Serve, config: Path, authority: trustme.CA
) -> None:
    config.write_text(MUTUAL)
    running, successor = serve(config), trustme.CA()
    old = client_context(authority, certificate=authority.issue_cert("a"))
    new = client_context(authority, certificate=successor.issue_cert("a"))
    with connect(running.address, old) as sock:
        sock.sendall(KEEP)
        assert read_one(sock).code == 200
        successor.cert_pem.write_to_path(str(config.parent / "ca.pem"))
        assert running.call(running.server.reload)
        sock.sendall(KEEP)
        assert read_all(sock) == b""
    assert is_refused(running.address, old)
    assert ask_tls(running.address, new).code == 200


def test_a_replaced_certificate_leaves_open_connections_alone(
    serve: Serve, config: Path, authority: trustme.CA
) -> None:
    running = serve(config)
    with connect(running.address, client_context(authority)) as sock:
        sock.sendall(KEEP)
        assert read_one(sock).code == 200
        write_pair(authority.issue_cert("127.0.0.1"), config.parent)
        assert running.call(running.server.reload)
        sock.sendall(request("/-/healthy"))
        assert parse(read_all(sock)).code == 200


@pytest.mark.fault("tls-stalled")
def test_a_client_that_vanishes_in_its_handshake_leaves_nothing(serve: Serve, config: Path) -> None:
    running = serve(config)
    for data in (b"", b"\x16", bytes.fromhex("160301020001")):
        with connect(running.address) as sock:
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            read_all(sock)
    until(lambda: running.server.connections_open == 0)
    assert running.server.connections_refused_total["handshake"] == 3


@pytest.mark.fault("tls-stalled")
def test_a_client_that_never_shakes_hands_is_closed(serve: Serve, config: Path) -> None:
    running = serve(config, Limits(request_s=0.3))
    with connect(running.address) as sock:
        assert read_all(sock) == b""
    until(lambda: running.server.connections_refused_total["handshake"] == 1)
    assert running.server.connections_open == 0


@pytest.mark.parametrize("days", [1, 400, 20_000, 40_000])
def test_the_end_of_a_certificate_is_read_as_a_library_reads_it(authority: trustme.CA, days: int) -> None:
    """Beyond 2049 the time is written in another way."""
    end = dt.datetime.now(dt.UTC) + days * DAY
    pem = authority.issue_cert("a", not_after=end).cert_chain_pems[0].bytes()
    library = x509.load_pem_x509_certificate(pem).not_valid_after_utc
    assert not_after("text before\n" + pem.decode()) == library.timestamp()


def test_the_expiry_is_shown_and_absent_without_tls(
    serve: Serve, config: Path, leaf: trustme.LeafCert
) -> None:
    library = x509.load_pem_x509_certificate(leaf.cert_chain_pems[0].bytes()).not_valid_after_utc
    assert serve(config).server.certificate_expiry_timestamp == library.timestamp()
    assert serve().server.certificate_expiry_timestamp is None


@pytest.mark.fault("certificates")
def test_an_expired_certificate_is_served_and_said(
    serve: Serve, config: Path, authority: trustme.CA, caplog: pytest.LogCaptureFixture
) -> None:
    """Not serving it would hide the exporter from the very alert that should tell."""
    yesterday = dt.datetime.now(dt.UTC) - DAY
    write_pair(
        authority.issue_cert("127.0.0.1", not_before=yesterday - DAY, not_after=yesterday), config.parent
    )
    running = serve(config)
    assert "tls_server_config.cert_file: the certificate has expired" in caplog.text
    careless = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    careless.check_hostname, careless.verify_mode = False, ssl.CERT_NONE
    assert ask_tls(running.address, careless).code == 200


@pytest.mark.fault("config-web")
@given(st.data())
def test_a_damaged_certificate_is_an_error_and_never_a_crash(data: st.DataObject) -> None:
    der = bytearray(ssl.PEM_cert_to_DER_cert(SAMPLE))
    if data.draw(st.booleans()):
        del der[data.draw(st.integers(0, len(der) - 1)) :]
    else:
        der[data.draw(st.integers(0, 120))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ValueError):
        assert isinstance(not_after(ssl.DER_cert_to_PEM_cert(bytes(der))), float)


SAMPLE = trustme.CA().issue_cert("sample").cert_chain_pems[0].bytes().decode()
