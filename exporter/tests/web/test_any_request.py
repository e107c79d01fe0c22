"""Whatever is sent, in whatever pieces: answered, refused or closed; and the next scrape is fine."""

import logging
import re
import socket
from collections.abc import Iterator, Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gputally.web.limits import Limits
from tests.web.harness import TEXT, Running, ask, connect, read_all

_STATUS = re.compile(rb"^HTTP/1\.[01] (\d{3}) ", re.MULTILINE)


class Complaints(logging.Handler):
    """What the server and its library say that is worse than a warning."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(self.format(record))


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    complaints = Complaints()
    logging.getLogger().addHandler(complaints)
    server = Running(limits=Limits(request_s=1.0, write_s=1.0)).start()
    yield server
    server.stop()
    logging.getLogger().removeHandler(complaints)
    assert complaints.said == []


def mostly(good: Sequence[bytes], *odd: bytes) -> st.SearchStrategy[bytes]:
    """Two good parts of three: what is wrong all over is refused at its first byte."""
    return st.sampled_from([*good] * (2 * (len(odd) + 1) // len(good)) + [*odd])


METHODS = mostly([b"GET"], b"HEAD", b"POST", b"get", b"OPTIONS", b"CONNECT", b"", b"G\0T")
TARGETS = mostly(
    [b"/metrics", b"/"], b"*", b"/-/healthy", b"//metrics", b"/metrics?a=%", b"http://a/metrics", b"\xff"
)
VERSIONS = mostly([b"HTTP/1.1", b"HTTP/1.0"], b"HTTP/0.9", b"HTTP/3.0", b"HTTP/1.1 x", b"", b"http/1.1")
ENDS = mostly([b"\r\n"], b"\n", b"\r", b"\r\n\r\n", b"\0")
COLONS = mostly([b": "], b":", b" : ", b"")
NAMES = st.sampled_from(
    [
        *(b"Host", b"Content-Length", b"Transfer-Encoding", b"Accept", b"Accept-Encoding", b"Connection"),
        *(b"Expect", b"Upgrade", b"Authorization", b"Range", b"If-None-Match", b"X", b" ", b"", b"Host "),
    ]
)
VALUES = st.one_of(
    st.sampled_from(
        [
            *(
                b"a",
                b"0",
                b"-1",
                b"+3",
                b"3, 3",
                b"0x3",
                b"1e9",
                b"99999999999999999999",
                b"chunked",
                b"gzip",
            ),
            *(
                b"chunked, chunked",
                b"close",
                b"keep-alive",
                b"100-continue",
                b"h2c",
                b"Basic ====",
                b"bytes=0-1",
            ),
            *(b"*/*;q=2", b"text/plain;version=abc", b"application/openmetrics-text;q=nan"),
        ]
    ),
    st.binary(max_size=20),
)
HEADERS = st.lists(st.tuples(NAMES, COLONS, VALUES, ENDS).map(b"".join), max_size=4).map(b"".join)
CHUNKS = b"3\r\nabc\r\n0\r\n\r\n"
BODIES = mostly([b""], b"\r\n", CHUNKS, b"x" * 50, b"f" * 16 + b"\r\n", b"GET / HTTP/1.1\r\n")


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """Something like a request."""
    line = b" ".join([draw(METHODS), draw(TARGETS), draw(VERSIONS)])
    host = draw(mostly([b"Host: a\r\n"], b"", b"Host: a\r\nHost: b\r\n"))
    return line + draw(ENDS) + host + draw(HEADERS) + draw(ENDS) + draw(BODIES)


ANYTHING = st.one_of(
    requests(), st.lists(requests(), min_size=2, max_size=4).map(b"".join), st.binary(max_size=300)
)


@pytest.mark.fault("requests-malformed")
@settings(max_examples=400, deadline=5_000)
@given(data=ANYTHING, cuts=st.lists(st.integers(0, 300), max_size=3))
def test_any_bytes_are_answered_or_refused_and_harm_nobody(
    running: Running, data: bytes, cuts: list[int]
) -> None:
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    with connect(running.address) as sock:
        try:
            for start, end in pairwise(edges):
                sock.sendall(data[start:end])
            sock.shutdown(socket.SHUT_WR)
        except OSError:  # refused before all of it was sent
            pass
        answers = read_all(sock)
    codes = [int(code) for code in _STATUS.findall(answers.replace(TEXT, b""))]
    assert not any(code >= 500 and code not in (501, 505) for code in codes), answers
    assert b"Traceback" not in answers
    assert answers == b"" or answers.startswith(b"HTTP/1."), answers
    assert ask(running.address).body == TEXT
