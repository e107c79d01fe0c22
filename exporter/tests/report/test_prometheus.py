"""The client against servers that behave in every way: what they say becomes samples, or one clear line."""

from __future__ import annotations

import gzip
import json
import socket
import ssl
import threading
import time
from contextlib import closing
from decimal import Decimal

import pytest
import trustme

from gputally.report import prometheus
from gputally.report.access import Access, read_password
from gputally.report.failures import ReportError, TooMuch, WrongQuestion
from gputally.report.prometheus import Prometheus
from tests.agent.scraping import free_ports
from tests.report.answering import Answer, speaking, wanting

VECTOR = {
    "resultType": "vector",
    "result": [{"metric": {"team": "nlp"}, "value": [0, "0.1000000000000000055"]}],
}


def good(data: object = VECTOR, **more: object) -> Answer:
    return Answer(200, json.dumps({"status": "success", "data": data, **more}).encode())


def of(labels: object, value: object) -> Answer:
    return good({"resultType": "vector", "result": [{"metric": labels, "value": [0, value]}]})


def refused(status: int, kind: str, message: str) -> Answer:
    return Answer(status, json.dumps({"status": "error", "errorType": kind, "error": message}).encode())


def asked(answer, access: dict | None = None, path: str = ""):
    """What the client makes of a server that always says this."""
    with speaking(lambda _: answer) as speaker:
        client = Prometheus(Access(speaker.url + path, **(access or {})), sleep=lambda _: None)
        return client.query("up", 12), client, speaker.seen


def complaint(answer, kind: type[Exception] = ReportError, access: dict | None = None) -> str:
    with pytest.raises(kind) as caught:
        asked(answer, access)
    assert type(caught.value) is kind
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith("http://127.0.0.1:")
    return text.partition(": ")[2]


def test_a_value_is_what_was_written_to_the_last_digit():
    samples, _, seen = asked(good())
    assert [(dict(one.labels), one.value) for one in samples] == [
        ({"team": "nlp"}, Decimal("0.1000000000000000055"))
    ]
    assert (seen[0].method, seen[0].path) == ("POST", "/api/v1/query")
    assert seen[0].body == b"query=up&time=12&timeout=60"


@pytest.mark.parametrize("path", ["/prometheus", "/prometheus/"])
def test_a_path_before_the_api_is_kept(path):
    assert asked(good(), path=path)[2][0].path == "/prometheus/api/v1/query"


def test_an_answer_may_be_packed_scalar_empty_or_with_warnings():
    packed = Answer(200, gzip.compress(good().body), {"Content-Encoding": "gzip"})
    assert asked(packed)[0] == asked(good())[0]
    assert [one.value for one in asked(good({"resultType": "scalar", "result": [0, "5"]}))[0]] == [5]
    assert asked(good({"resultType": "vector", "result": []}))[0] == []
    assert list(asked(good(warnings=["partial\n\x1b[2Janswer"]))[1].warnings) == ["partial ?[2Janswer"]


def test_what_is_not_a_number_is_left_out_and_what_is_infinite_is_an_error():
    assert asked(of({"a": "b"}, "NaN"))[0] == []
    for value in ("+Inf", "-Inf"):
        assert complaint(of({"a": "b"}, value)) == "an infinite amount for {a='b'}"


@pytest.mark.fault("report-unanswered")
@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (
            refused(400, "bad_data", "parse error: unexpected end\nof input"),
            "refuses the question: parse error: unexpected end of input",
        ),
        (refused(422, "execution", "multiple matches"), "Prometheus refuses the question: multiple matches"),
        (refused(500, "internal", "x" * 5000), "Prometheus refuses the question: " + "x" * 300),
        (Answer(401), "401 Unauthorized: user and password are missing or wrong (--prometheus.user, "),
        (refused(401, "unauthorized", "no org id"), "401 Unauthorized: user and password"),
        (
            Answer(403, b"<html>"),
            "403 Forbidden: this user or tenant may not ask (--prometheus.user, --tenant)",
        ),
        (Answer(404, b"<html>"), "404 Not Found: this is not Prometheus' API (--prometheus.url)"),
        (
            Answer(302, b"", {"Location": "https://sso/"}),
            "302 Found, moved to https://sso/: this is not Prometheus' API",
        ),
        (Answer(301), "301 Moved Permanently, moved to nowhere"),
        (Answer(200, b"<html>"), "answers with something that is not Prometheus' JSON (--prometheus.url)"),
        (Answer(200, b"{}"), "answers with something that is not Prometheus' JSON"),
        (Answer(200, b"[]"), "answers with something that is not Prometheus' JSON"),
        (Answer(200, b"[" * 100_000), "answers with something that is not Prometheus' JSON"),
        (good({"resultType": "matrix", "result": []}), "answers with something that is not Prometheus' JSON"),
        (
            good({"resultType": "vector", "result": [{"metric": {}, "value": [0, "x"]}]}),
            "is not Prometheus' JSON",
        ),
        (good({"resultType": "vector", "result": [{"metric": {}}]}), "is not Prometheus' JSON"),
        (Answer(200, b"\xff\xfe"), "is not Prometheus' JSON"),
        (of({"a": "b"}, 1), "is not Prometheus' JSON"),
        (of({"a": "b"}, "1_000"), "is not Prometheus' JSON"),
        (of({"a": "\ud800"}, "1"), "is not Prometheus' JSON"),
        (of({"a": 1}, "1"), "is not Prometheus' JSON"),
        (of(None, "1"), "is not Prometheus' JSON"),
        (of({"\ud800": "b"}, "1"), "is not Prometheus' JSON"),
        (of({"a\nb": "c"}, "+Inf"), "an infinite amount for {a?b='c'}"),
        (of({"a": "b"}, "-1e+300"), "an amount of -1.0e+300 for {a='b'}"),
    ],
)
def test_what_is_no_answer_is_one_line(answer, words):
    assert words in complaint(answer)


@pytest.mark.parametrize(
    "answer",
    [
        refused(503, "timeout", "query timed out in expression evaluation"),
        refused(
            422, "execution", "query processing would load too many samples into memory in query execution"
        ),
    ],
)
def test_what_is_too_much_for_the_server_is_told_apart(answer):
    assert complaint(answer, TooMuch)


@pytest.mark.fault("report-unanswered")
def test_an_answer_without_end_is_not_read_to_it(monkeypatch):
    monkeypatch.setattr(prometheus, "MOST_BYTES", 1 << 20)
    assert complaint(Answer(200, b" " * (2 << 20)), TooMuch) == "an answer of more than 1 MiB"
    bomb = Answer(200, gzip.compress(b" " * (64 << 20)), {"Content-Encoding": "gzip"})
    assert complaint(bomb, TooMuch) == "an answer of more than 1 MiB"


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_what_may_pass_is_tried_three_times(status):
    answers = [Answer(status), Answer(status), good()]
    pauses = []
    with speaking(lambda _: answers.pop(0)) as speaker:
        client = Prometheus(Access(speaker.url), sleep=pauses.append)
        assert client.query("up", 0)
    assert (len(speaker.seen), pauses) == (3, [0.2, 1.0])
    assert complaint(Answer(status)).startswith(f"{status} ")


def test_nobody_there_is_said_at_once_and_with_what_to_look_at():
    url = f"http://127.0.0.1:{free_ports(1)[0]}"
    pauses = []
    with pytest.raises(ReportError) as caught:
        Prometheus(Access(url), sleep=pauses.append).query("up", 0)
    assert str(caught.value) == f"{url}: Connection refused; is Prometheus running? (--prometheus.url)"
    assert pauses == []


def test_a_host_that_does_not_exist_is_one_line():
    with pytest.raises(ReportError) as caught:
        Prometheus(Access("http://nowhere.invalid:9090"), sleep=lambda _: None).query("up", 0)
    assert str(caught.value).startswith("http://nowhere.invalid:9090: ")
    assert "object at 0x" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.fault("report-unanswered")
def test_a_server_that_says_nothing_is_given_up_after_the_timeout():
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        begin = time.monotonic()
        with pytest.raises(ReportError) as caught:
            Prometheus(Access(url, timeout_s=1), sleep=lambda _: None).query("up", 0)
    assert str(caught.value) == f"{url}: no answer within 1 s (--timeout)"
    assert time.monotonic() - begin < 10


@pytest.mark.fault("report-unanswered")
def test_a_server_that_drips_is_given_up_too():
    stop = threading.Event()

    def drip(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
            while not stop.wait(0.05):
                try:
                    connection.sendall(b" " * (1 << 12))
                except OSError:
                    return

    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        thread = threading.Thread(target=drip, args=(server,))
        thread.start()
        try:
            client = Prometheus(Access(f"http://127.0.0.1:{server.getsockname()[1]}", timeout_s=1))
            with pytest.raises(ReportError, match="no answer within 1 s"):
                client.query("up", 0)
        finally:
            stop.set()
            thread.join()


@pytest.mark.fault("report-unanswered")
def test_a_connection_that_is_cut_is_tried_again_then_said():
    def cut(server: socket.socket) -> None:
        for _ in range(3):
            connection, _address = server.accept()
            connection.recv(65536)
            connection.close()

    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        thread = threading.Thread(target=cut, args=(server,))
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(ReportError) as caught:
            Prometheus(Access(url), sleep=lambda _: None).query("up", 0)
        thread.join()
    assert str(caught.value).startswith(f"{url}: ")
    assert "\n" not in str(caught.value)


def test_user_and_tenant_are_sent_and_nothing_else_of_ours(monkeypatch, tmp_path):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login thief password taken\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    headers = asked(good())[2][0].headers
    assert "Authorization" not in headers
    assert "X-Scope-OrgID" not in headers
    with speaking(wanting_or_good("ada", "pässword:1")) as speaker:
        client = Prometheus(Access(speaker.url, "ada", "pässword:1", "team-a"))
        assert client.query("up", 0)
        assert speaker.seen[0].headers["X-Scope-OrgID"] == "team-a"
        with pytest.raises(ReportError, match="401"):
            Prometheus(Access(speaker.url, "ada", "wrong")).query("up", 0)


def test_a_proxy_of_the_environment_is_asked_for_other_machines(monkeypatch):
    with speaking(lambda _: good()) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "inside.invalid")
        assert Prometheus(Access("http://prometheus.invalid:9090")).query("up", 0)
        assert proxy.seen[0].path == "http://prometheus.invalid:9090/api/v1/query"
        with pytest.raises(ReportError):
            Prometheus(Access("http://inside.invalid:9090"), sleep=lambda _: None).query("up", 0)
        assert len(proxy.seen) == 1


def wanting_or_good(user: str, password: str):
    check = wanting(user, password)
    return lambda seen: check(seen) or good()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def secure(authority, tmp_path):
    """A server that wants a certificate of the same authority, and files with both."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    mine = authority.issue_cert("client@example.org")
    mine.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    mine.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    with speaking(lambda _: good(), context) as speaker:
        yield speaker.url, tmp_path


def test_tls_with_our_authority_and_certificate(secure):
    url, folder = secure
    files = {"cert_file": folder / "cert.pem", "key_file": folder / "key.pem"}
    assert Prometheus(Access(url, ca_file=folder / "ca.pem", **files)).query("up", 0)
    assert Prometheus(Access(url, insecure=True, **files)).query("up", 0)


def test_a_certificate_that_nobody_vouches_for_is_refused_in_one_line(secure):
    url, folder = secure
    files = {"cert_file": folder / "cert.pem", "key_file": folder / "key.pem"}
    with pytest.raises(ReportError) as caught:
        Prometheus(Access(url, **files)).query("up", 0)
    assert str(caught.value).startswith(f"{url}: TLS: ")
    assert str(caught.value).endswith("; see --prometheus.ca-file")
    assert "\n" not in str(caught.value)


def test_without_our_certificate_the_server_refuses(secure):
    url, folder = secure
    with pytest.raises(ReportError) as caught:
        Prometheus(Access(url, ca_file=folder / "ca.pem"), sleep=lambda _: None).query("up", 0)
    assert str(caught.value).startswith(f"{url}: ")


def test_the_rules_that_are_loaded_are_known_or_not():
    def of(answer: Answer) -> frozenset[str] | None:
        with speaking(lambda _: answer) as speaker:
            return Prometheus(Access(speaker.url)).rules()

    groups = [{"rules": [{"name": "a:b:c"}, {"name": "d"}]}, {"rules": []}]
    assert of(good({"groups": groups})) == {"a:b:c", "d"}
    for answer in (Answer(404), Answer(503), Answer(200, b"x"), good({}), good({"groups": [{}]})):
        assert of(answer) is None


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"url": "127.0.0.1:9090"}, "--prometheus.url: expected an address such as"),
        ({"url": ""}, "--prometheus.url: expected"),
        ({"url": "ftp://x"}, "--prometheus.url: expected"),
        ({"url": "http://"}, "--prometheus.url: expected"),
        ({"url": "http://x:99999"}, "--prometheus.url: expected"),
        ({"url": "http://x y"}, "--prometheus.url: expected"),
        ({"url": "http://x\n"}, "--prometheus.url: expected"),
        ({"url": "http://[::1"}, "--prometheus.url: expected"),
        ({"url": "http://x/?a=b"}, "without [?] and #"),
        ({"url": "http://x/#a"}, "without [?] and #"),
        ({"url": "http://ada:secret@x"}, "no user and password in it"),
        ({"password": "x"}, "a password without a user"),
        ({"user": "a:b"}, "--prometheus.user: a name with a colon"),
        ({"tenant": ""}, "--tenant: expected printable ASCII"),
        ({"tenant": "a\nb"}, "--tenant: expected printable ASCII"),
        ({"tenant": "ä"}, "--tenant: expected printable ASCII"),
    ],
)
def test_what_cannot_be_used_is_refused_before_it_is(given, words):
    with pytest.raises(WrongQuestion, match=words) as caught:
        Access(**given)
    assert "secret" not in str(caught.value)


def test_files_that_are_not_there_are_refused_with_their_flag(tmp_path):
    gone = tmp_path / "gone.pem"
    for name, flag in (("ca_file", "ca-file"), ("cert_file", "cert-file")):
        with pytest.raises(WrongQuestion, match=f"--prometheus.{flag} {gone}: there is no such file"):
            Access(**{name: gone})
    with pytest.raises(WrongQuestion, match=r"--prometheus\.key-file without --prometheus\.cert-file"):
        Access(key_file=gone)
    with pytest.raises(WrongQuestion, match=r"either --prometheus\.insecure or --prometheus\.ca-file"):
        Access(insecure=True, ca_file=gone)
    with pytest.raises(WrongQuestion, match=f"--prometheus.ca-file {tmp_path}: not a file"):
        Access(ca_file=tmp_path)


@pytest.mark.parametrize(("text", "password"), [("a", "a"), ("a b\n", "a b"), (" a\r\n", " a"), ("é\n", "é")])
def test_the_password_is_the_line_of_its_file(tmp_path, text, password):
    (tmp_path / "password").write_bytes(text.encode())
    assert read_password(tmp_path / "password") == password


@pytest.mark.parametrize("data", [b"", b"\n", b"a\nb\n", b"\xff", b"x" * 5000])
def test_a_file_that_is_no_password_is_refused_without_showing_it(tmp_path, data):
    (tmp_path / "password").write_bytes(data)
    with pytest.raises(WrongQuestion, match=r"--prometheus\.password-file") as caught:
        read_password(tmp_path / "password")
    assert "xxx" not in str(caught.value)
