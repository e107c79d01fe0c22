"""The web configuration changes under a running server."""

import logging
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme

from gputally.config.strict import ConfigError
from tests.web.harness import (
    Running,
    ask,
    ask_tls,
    basic,
    client_context,
    connect,
    hashed,
    read_all,
    read_one,
    until,
    write_pair,
    write_users,
)

Serve = Callable[..., Running]
BAD = Path(__file__).with_name("webconfig") / "bad"
PAIR = "tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\n"
MUTUAL = PAIR + "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n"
OPTIONAL = MUTUAL.replace("RequireAndVerifyClientCert", "VerifyClientCertIfGiven")
ALICE = basic("alice", "opensesame")


@pytest.fixture
def config(tmp_path: Path, authority: trustme.CA, leaf: trustme.LeafCert) -> Path:
    """A web configuration with one user, beside certificates it may name."""
    write_pair(leaf, tmp_path)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    file = tmp_path / "web.yml"
    write_users(file, {"alice": hashed(b"opensesame")})
    return file


def test_a_bad_file_at_the_start_stops_the_start(config: Path) -> None:
    config.write_text("basic_auth_user: {}\n")
    with pytest.raises(ConfigError, match="did you mean basic_auth_users"):
        Running(config).start()


def test_a_change_is_noticed_within_a_second_or_so(serve: Serve, config: Path) -> None:
    running = serve(config)
    write_users(config, {"alice": hashed(b"changed")})
    changed = basic("alice", "changed")
    until(lambda: ask(running.address, Authorization=changed).code == 200, 5)
    assert ask(running.address, Authorization=ALICE).code == 401


@pytest.mark.fault("reload-bad")
def test_every_bad_file_leaves_the_last_good_one_in_force(serve: Serve, config: Path) -> None:
    running, good = serve(config), config.read_bytes()
    for file in sorted(BAD.iterdir()):
        shutil.copy(file, config)
        assert not running.call(running.server.reload), file.name
        assert not running.server.last_reload_success
        assert ask(running.address).code == 401, file.name
        assert ask(running.address, Authorization=ALICE).code == 200, file.name
    config.write_bytes(good)
    assert running.call(running.server.reload)
    assert running.server.last_reload_success


@pytest.mark.fault("web-file-truncated")
def test_no_moment_of_a_careless_rewrite_opens_the_door(serve: Serve, config: Path) -> None:
    """Truncate, write half, write all, delete, create: at no point an answer without a password."""
    running, text = serve(config), config.read_text()
    stop, codes = threading.Event(), set()

    def knock() -> None:
        while not stop.is_set():
            codes.add(ask(running.address).code)

    thread = threading.Thread(target=knock)
    thread.start()
    end = time.monotonic() + 2.2  # two looks at the file at least
    try:
        while time.monotonic() < end:
            for content in ("", text[: len(text) // 2], "basic_auth_users: {}\n", "{}\n", text):
                config.write_text(content)
                running.call(running.server.reload)
                time.sleep(0.005)
            config.unlink()
            running.call(running.server.reload)
            config.write_text(text)
    finally:
        stop.set()
        thread.join()
    assert codes == {401}
    until(lambda: running.server.last_reload_success)
    assert ask(running.address, Authorization=ALICE).code == 200


@pytest.mark.fault("web-file-truncated")
@pytest.mark.parametrize(
    "case",
    [
        ("users", "{}\n", "all basic_auth_users"),
        ("users", "http_server_config: {http2: false}\n", "all basic_auth_users"),
        (PAIR, "{}\n", "tls_server_config"),
        (MUTUAL, PAIR, "the check of client certificates"),
        (MUTUAL, PAIR + "  client_auth_type: NoClientCert\n", "the check of client certificates"),
        (MUTUAL, OPTIONAL, "the check of client certificates"),
        (MUTUAL + "  client_allowed_sans: [a]\n", MUTUAL, "client_allowed_sans"),
    ],
)
def test_a_reload_that_would_let_in_more_clients_is_refused(
    serve: Serve, config: Path, caplog: pytest.LogCaptureFixture, case: tuple[str, str, str]
) -> None:
    before, after, lost = case
    if before != "users":
        config.write_text(before)
    running = serve(config)
    config.write_text(after)
    assert not running.call(running.server.reload)
    assert f"would remove {lost}: that needs a restart" in caplog.text
    assert not running.server.last_reload_success


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("{}\n", PAIR),
        (PAIR, MUTUAL),
        (MUTUAL, MUTUAL + "  client_allowed_sans: [a]\n"),
        (MUTUAL + "  client_allowed_sans: [a]\n", MUTUAL + "  client_allowed_sans: [b]\n"),
        ("rate_limit: {interval: 1s, burst: 1}\n", "{}\n"),
        ("http_server_config: {headers: {X-Frame-Options: deny}}\n", "{}\n"),
    ],
)
def test_any_other_change_is_taken_over(serve: Serve, config: Path, before: str, after: str) -> None:
    config.write_text(before)
    running = serve(config)
    config.write_text(after)
    assert running.call(running.server.reload)


def test_a_password_asked_for_from_now_on_is_asked_on_open_connections_too(
    serve: Serve, config: Path
) -> None:
    users = config.read_text()
    config.write_text("{}\n")
    running = serve(config)
    with connect(running.address) as sock:
        keep = b"GET /-/healthy HTTP/1.1\r\nHost: a\r\n\r\n"
        sock.sendall(keep)
        assert read_one(sock).code == 200
        config.write_text(users)
        assert running.call(running.server.reload)
        sock.sendall(keep)
        assert read_one(sock).code == 401


def test_tls_from_now_on_ends_plain_connections(serve: Serve, config: Path, authority: trustme.CA) -> None:
    config.write_text("{}\n")
    running = serve(config)
    with connect(running.address) as sock:
        keep = b"GET /-/healthy HTTP/1.1\r\nHost: a\r\n\r\n"
        sock.sendall(keep)
        assert read_one(sock).code == 200
        config.write_text(PAIR)
        assert running.call(running.server.reload)
        sock.sendall(keep)
        assert read_all(sock) == b""
    assert ask_tls(running.address, client_context(authority)).code == 200


def test_headers_and_limits_follow_the_file(serve: Serve, config: Path) -> None:
    config.write_text("http_server_config:\n  headers:\n    X-Frame-Options: deny\n")
    running = serve(config)
    assert ask(running.address).headers["X-Frame-Options"] == "deny"
    config.write_text("rate_limit: {interval: 1h, burst: 2}\n")
    assert running.call(running.server.reload)
    answers = [ask(running.address) for _ in range(4)]
    assert [answer.code for answer in answers] == [200, 200, 429, 429]
    assert answers[3].headers["Retry-After"] == "1"
    assert "X-Frame-Options" not in answers[0].headers


def test_a_header_of_the_file_replaces_ours(serve: Serve, config: Path) -> None:
    config.write_text("http_server_config:\n  headers:\n    Content-Security-Policy: default-src 'self'\n")
    assert ask(serve(config).address, "/").headers["Content-Security-Policy"] == "default-src 'self'"


def test_a_fault_is_logged_once_and_so_is_its_end(
    serve: Serve, config: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    running, good = serve(config), config.read_text()
    caplog.clear()
    config.write_text("nonsense: 1\n")
    for _ in range(5):
        running.call(running.server.reload)
    config.write_text(good)
    running.call(running.server.reload)
    lines = [record.getMessage() for record in caplog.records if record.name == "gputally.web.reload"]
    assert len(lines) == 2
    assert lines[0].startswith("web configuration not reloaded, the last good one stays:")
    assert lines[1] == f"web configuration reloaded: {config}"


def test_a_repair_heals_without_a_nudge(serve: Serve, config: Path) -> None:
    running, good = serve(config), config.read_text()
    config.write_text("nonsense: 1\n")
    until(lambda: not running.server.last_reload_success, 5)
    config.write_text(good)
    until(lambda: running.server.last_reload_success, 5)


def test_what_comes_back_unchanged_heals_too(serve: Serve, config: Path, leaf: trustme.LeafCert) -> None:
    """A mount that was away for a moment brings back the very same files."""
    mount, away = config.parent / "mount", config.parent / "away"
    write_pair(leaf, mount)
    config.write_text(PAIR.replace("cert.pem", "mount/cert.pem").replace("key.pem", "mount/key.pem"))
    running = serve(config)
    mount.rename(away)
    until(lambda: not running.server.last_reload_success, 5)
    away.rename(mount)
    until(lambda: running.server.last_reload_success, 5)


def test_without_a_file_there_is_nothing_to_reload(serve: Serve) -> None:
    running = serve()
    assert running.call(running.server.reload)
    assert running.server.last_reload_success
    assert abs(running.server.last_reload_success_timestamp - time.time()) < 60
