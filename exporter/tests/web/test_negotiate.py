"""Which format and encoding a client gets."""

import gzip
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gputally.web.exposition import BodyCache, Format
from gputally.web.negotiate import accepts_gzip, choose_format
from tests.web.harness import OPENMETRICS, TEXT, Agent, Running, ask

TEXT_FORMAT, OPEN_FORMAT = Format.TEXT_0_0_4, Format.OPENMETRICS_1_0_0
OM, OM_OLD = "application/openmetrics-text;version=1.0.0", "application/openmetrics-text;version=0.0.1"
PROTOBUF = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
PROMETHEUS_2_42 = f"{OM},{OM_OLD};q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
PROMETHEUS_3 = (
    f"{OM};escaping=allow-utf-8;q=0.6,{OM_OLD};q=0.5,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
PROMETHEUS_3_PROTOBUF = f"{PROTOBUF};q=0.6,{OM};escaping=underscores;q=0.5,{OM_OLD};q=0.4,*/*;q=0.1"

ACCEPT = [
    (PROMETHEUS_2_42, OPEN_FORMAT),
    (PROMETHEUS_3, OPEN_FORMAT),
    (PROMETHEUS_3_PROTOBUF, OPEN_FORMAT),
    (f"{PROTOBUF};q=0.7,text/plain;version=0.0.4;q=0.3", TEXT_FORMAT),
    ("", TEXT_FORMAT),
    ("*/*", TEXT_FORMAT),
    ("text/*", TEXT_FORMAT),
    ("text/plain", TEXT_FORMAT),
    ("text/plain;version=0.0.4", TEXT_FORMAT),
    ("text/html,application/xhtml+xml,*/*;q=0.8", TEXT_FORMAT),
    ("application/openmetrics-text", OPEN_FORMAT),
    (OM_OLD, OPEN_FORMAT),
    ("Application/OpenMetrics-Text; Version=1.0.0", OPEN_FORMAT),
    ('application/openmetrics-text; version="1.0.0"', OPEN_FORMAT),
    ("application/openmetrics-text;version=abc", TEXT_FORMAT),
    ("application/openmetrics-text;version=99", TEXT_FORMAT),
    ("application/openmetrics-text;version=2.0.0", TEXT_FORMAT),
    (f"{OM};q=0", TEXT_FORMAT),
    (f"{OM};q=0.1,text/plain;q=0.9", TEXT_FORMAT),
    (f"text/plain;q=0.1,{OM};q=0.9", OPEN_FORMAT),
    (f"text/plain;q=0.5,{OM};q=0.5", TEXT_FORMAT),
    (f"{OM};q=0.5,text/plain;q=0.5", OPEN_FORMAT),
    (f"{OM};q=0.0009,text/plain;q=0.001", TEXT_FORMAT),
    ("text/plain;q=0", TEXT_FORMAT),
    ("text/plain;version=1.0.0", TEXT_FORMAT),
    (f"{OM};q=nan", TEXT_FORMAT),
    (f"{OM};q=1e9", TEXT_FORMAT),
    (f"{OM};q=-1", TEXT_FORMAT),
    (f"{OM};q=", TEXT_FORMAT),
    (f"{OM};q=2", TEXT_FORMAT),
    (f" , ;;;, {OM} ;q=1.000", OPEN_FORMAT),
    (";q=1", TEXT_FORMAT),
    (f"{OM},{'x' * 4096}", TEXT_FORMAT),
    ("application/json", TEXT_FORMAT),
]

ENCODINGS = [
    ("", False),
    ("gzip", True),
    ("GZIP", True),
    ("x-gzip", True),
    ("gzip;q=0", False),
    ("gzip;q=0.0", False),
    ("gzip;q=0.001", True),
    ("gzip;q=junk", False),
    ("identity", False),
    ("identity;q=0", False),
    ("identity;q=0, gzip", True),
    ("identity;q=1, gzip;q=0.5", False),
    ("gzip;q=1.0, identity;q=0.5, *;q=0", True),
    ("deflate, gzip, br", True),
    ("*", True),
    ("*;q=0", False),
    ("*, gzip;q=0", False),
    ("br", False),
    (f"gzip,{'x' * 4096}", False),
]


@pytest.mark.fault("accept-odd")
@pytest.mark.parametrize(("header", "fmt"), ACCEPT)
def test_accept(header: str, fmt: Format) -> None:
    assert choose_format(header) is fmt


@pytest.mark.parametrize(("header", "compressed"), ENCODINGS)
def test_accept_encoding(header: str, compressed: bool) -> None:
    assert accepts_gzip(header) is compressed


PARTS = st.sampled_from(
    [OM, OM_OLD, "text/plain", "*/*", ";", ",", "q=", "=", ";q=0.5", "version=abc", '"', " ", "\t"]
)


@pytest.mark.fault("accept-odd")
@given(st.lists(st.one_of(PARTS, st.text(max_size=5))).map("".join))
def test_any_header_gets_some_format(header: str) -> None:
    assert choose_format(header) in Format
    assert accepts_gzip(header) in {True, False}


@given(st.integers(0, 1000), st.integers(0, 1000))
def test_the_heavier_type_wins(openmetrics: int, text: int) -> None:
    header = f"{OM};q={openmetrics / 1000:.3f},text/plain;q={text / 1000:.3f}"
    wanted = OPEN_FORMAT if openmetrics and openmetrics >= text else TEXT_FORMAT
    assert choose_format(header) is wanted


def test_served_bodies_are_what_was_negotiated(serve: Callable[..., Running]) -> None:
    address = serve().address
    for header, fmt in ACCEPT:
        if header.isprintable():
            answer = ask(address, Accept=header)
            wanted = OPENMETRICS if fmt is OPEN_FORMAT else TEXT
            assert (answer.code, answer.body, answer.headers["Content-Type"]) == (
                200,
                wanted,
                fmt.content_type,
            )
    for header, compressed in ENCODINGS:
        answer = ask(address, Accept_Encoding=header)
        assert answer.code == 200
        assert (gzip.decompress(answer.body) if compressed else answer.body) == TEXT


def test_two_accept_headers_read_as_one(serve: Callable[..., Running]) -> None:
    answer = ask(serve().address, Accept=f"text/plain;q=0.5\r\nAccept: {OM}")
    assert answer.body == OPENMETRICS


def test_a_body_is_rendered_and_compressed_once_per_snapshot_and_format() -> None:
    agent = Agent()
    cache = BodyCache(agent)
    first = cache.body(TEXT_FORMAT, compressed=True)
    assert cache.body(TEXT_FORMAT, compressed=True) is first
    assert gzip.decompress(first) == cache.body(TEXT_FORMAT, compressed=False)
    assert agent.renders == [TEXT_FORMAT]
    cache.body(OPEN_FORMAT, compressed=False)
    agent.version, agent.bodies[TEXT_FORMAT] = "another", b"new\n"
    assert cache.body(TEXT_FORMAT, compressed=True) != first
    assert cache.body(TEXT_FORMAT, compressed=False) == b"new\n"
    assert agent.renders == [TEXT_FORMAT, OPEN_FORMAT, TEXT_FORMAT]


def test_compressed_bytes_do_not_depend_on_the_clock() -> None:
    """Two servers with the same figures send the same bytes."""
    assert BodyCache(Agent()).body(TEXT_FORMAT, compressed=True)[4:8] == b"\0\0\0\0"


def test_a_renderer_may_take_plain_strings() -> None:
    assert [str(fmt) for fmt in Format] == ["text-0.0.4", "openmetrics-1.0.0"]
