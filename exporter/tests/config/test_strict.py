"""Strict YAML: what is read, and the one line about what is not."""

import contextlib
import os
import re
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gputally.config import strict, yamltree
from gputally.config.strict import ConfigError, Section

HASH = "secret-text"


def parse(text: str | bytes) -> Section:
    return strict.parse(text if isinstance(text, bytes) else text.encode(), "f.yml")


def complaint(text: str | bytes, read: Callable[[Section], Any] = lambda section: section.finish()) -> str:
    with pytest.raises(ConfigError) as caught:
        read(parse(text))
    return str(caught.value)


REFUSED = {
    "empty": (b"", ":1:1: expected a mapping, found an empty file; write {} to set nothing"),
    "comment only": (b"# later\n", ":2:1: expected a mapping, found an empty file; write {} to set nothing"),
    "word": (b"yes\n", ':1:1: expected a mapping, found "yes"'),
    "list": (b"- a\n", ":1:1: expected a mapping, found a list"),
    "null": (b"~\n", ":1:1: expected a mapping, found nothing"),
    "latin-1": (b"a: 1\nb: \xe9\n", ":2:4: expected UTF-8, found byte 0xe9"),
    "UTF-16": ("a: 1".encode("utf-16"), ":1:1: expected UTF-8, found byte 0xff"),
    "NUL": (b"a: 1\n  \0", ":2:3: expected text, found character U+0000"),
    "escape": (b"a: \x1b[31m", ":1:4: expected text, found character U+001B"),
    "escaped NUL": (rb'a: "\0"', ":1:4 a: expected text, found an escaped control character"),
    "escaped surrogate": (rb'a: "\ud800"', ":1:7: not YAML: found invalid Unicode character escape code"),
    "tab": (b"a:\n\tb: 1\n", ":2:1: expected spaces, found a tab"),
    "open list": (b"a: [1\n", ":2:1: not YAML: did not find expected ',' or ']'"),
    "open quote": (b"a: 'x\n", ":2:1: not YAML: found unexpected end of stream"),
    "two colons": (b"a: b: c\n", ":1:5: not YAML: mapping values are not allowed in this context"),
    "reserved sign": (b"a: @x\n", ":1:4: not YAML: found character that cannot start any token"),
    "duplicate": (b"a: 1\nb: 2\na: 3\n", ":3:1 a: duplicate key, first at line 1"),
    "duplicate in quotes": (b"a: 1\n'a': 3\n", ":2:1 a: duplicate key, first at line 1"),
    "deep duplicate": (
        b"a:\n  b:\n  - c: 1\n    d: 2\n    c: 3\n",
        ":5:5 a.b[0].c: duplicate key, first at line 3",
    ),
    "alias": (b"a: &x 1\nb: *x\n", ":1:4 a: anchors and aliases are not supported: write the value out"),
    "undefined alias": (b"b: *x\n", ":1:4 b: anchors and aliases are not supported: write the value out"),
    "merge": (b"a:\n  <<: {b: 1}\n", ':2:3 a: expected a string as key, found "<<": put it in quotes'),
    "number as key": (b"1: a\n", ':1:1: expected a string as key, found "1": put it in quotes'),
    "boolean as key": (b"no: a\n", ':1:1: expected a string as key, found "no": put it in quotes'),
    "date as key": (
        b"2024-01-01: a\n",
        ':1:1: expected a string as key, found "2024-01-01": put it in quotes',
    ),
    "null as key": (b"~: a\n", ":1:1: expected a string as key, found nothing: put it in quotes"),
    "list as key": (b"? [a]\n: b\n", ":1:3: expected a string as key, found a list: put it in quotes"),
    "tag": (b"a: !!str 1\n", ":1:4 a: tags (!) are not supported: put the text in quotes"),
    "code": (
        b"a: !!python/object/apply:os.system [x]\n",
        ":1:4 a: tags (!) are not supported: put the text in quotes",
    ),
    "two documents": (b"a: 1\n---\nb: 2\n", ":2:1: expected one document, found a second one"),
    "depth": (b"a: " + b"[" * 500, ":1:36: expected at most 32 levels of nesting"),
    "depth of mappings": (b"{a: " * 40 + b"1" + b"}" * 40, ":1:130: expected at most 32 levels of nesting"),
    "size": (b"a: " + b"x" * 262_144, ": too large: expected at most 256 KiB"),
}


@pytest.mark.fault("config-bytes")
@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_strict_yaml_is_refused_in_one_line(name: str) -> None:
    data, message = REFUSED[name]
    assert complaint(data) == "f.yml" + message


@pytest.mark.fault("config-bombs")
def test_billion_laughs_cost_nothing() -> None:
    laughs = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{f'*a{n - 1},' * 9}]\n" for n in range(1, 30))
    start = time.monotonic()
    assert "anchors" in complaint(laughs)
    assert time.monotonic() - start < 1


@pytest.mark.fault("config-bombs")
def test_the_largest_file_is_read_in_reasonable_time() -> None:
    text = "".join(f"key{index}: [a, {{b: c}}, 'd']\n" for index in range(9000)).encode()
    assert 230_000 < len(text) <= yamltree.MAX_BYTES
    start = time.process_time()
    section = parse(text)
    assert time.process_time() - start < 3
    assert len(dict(section.items())) == 9000


@pytest.mark.parametrize(
    "data", [b"\xef\xbb\xbfa: 1\n", b"a: 1\r\n", b"---\na: 1\n...\n", b"%YAML 1.1\n---\na: 1\n", b"{a: 1}"]
)
def test_what_editors_write_is_read(data: bytes) -> None:
    section = parse(data)
    assert section.integer("a") == 1
    section.finish()


def test_an_empty_mapping_is_nothing_set() -> None:
    parse("{}").finish()


@pytest.mark.fault("config-bombs")
def test_nesting_without_end_is_one_line_whoever_notices_first() -> None:
    """From some depth on it is the parser and no more ourselves, at a place of its own."""
    with pytest.raises(ConfigError, match=r"^f\.yml:1:\d+: expected at most 32 levels of nesting$"):
        strict.parse(b"a: " + b"[" * 5000, "f.yml")


WORDS = (
    "no",
    "yes",
    "on",
    "off",
    "True",
    "010",
    "1e3",
    "1_000",
    "1:30",
    "12:30:45",
    ".nan",
    "-.inf",
    "0x10",
    "0o7",
    "=",
)


@pytest.mark.parametrize("word", WORDS)
def test_a_plain_word_is_the_string_it_looks_like(word: str) -> None:
    assert parse(f"a: {word}\n").string("a") == word


@pytest.mark.parametrize("word", WORDS)
def test_a_word_that_yaml_would_turn_into_a_number_is_none(word: str) -> None:
    shown = re.escape(f'a: expected a decimal number, found "{word}"')
    with pytest.raises(ConfigError, match=shown):
        parse(f"a: {word}\n").number("a")
    with pytest.raises(ConfigError, match="expected true or false"):
        parse(f"a: {word}\n").boolean("a")


EVERYTHING = """
text: hello world
quoted: "no"
block: |
  two
  lines
yes_: true
no_: false
count: -12
share: 0.250
price: 0.1
wait: 1m30s
kind: second
names: [a, b]
inner: {key: value}
"""


def test_every_type_is_read() -> None:
    section = parse(EVERYTHING)
    assert section.string("text") == "hello world"
    assert section.string("quoted") == "no"
    assert section.string("block") == "two\nlines\n"
    assert (section.boolean("yes_"), section.boolean("no_")) == (True, False)
    assert section.integer("count") == -12
    assert section.number("share") == 0.25
    assert section.decimal("price") == Decimal("0.1")
    assert section.duration_ns("wait") == 90_000_000_000
    assert section.choice("kind", ("first", "second")) == "second"
    assert [value.string() for value in section.list("names")] == ["a", "b"]
    assert section.mapping("inner").string("key") == "value"
    section.finish()


def test_a_missing_key_gives_its_default() -> None:
    section = parse("{}")
    assert section.string("a", None) is None
    assert section.string("a", "x") == "x"
    assert section.integer("a", 3) == 3
    assert section.boolean("a", default=False) is False
    assert section.list("a") == ()
    inner = section.mapping("inner")
    assert not inner.present
    assert inner.duration_ns("a", 5) == 5
    section.finish()


@pytest.mark.fault("config-values")
@pytest.mark.parametrize(
    ("text", "read", "message"),
    [
        ("a: 1", lambda s: s.string("b"), "f.yml:1:1: missing key b"),
        ("a: {b: 1}", lambda s: s.mapping("a").string("c"), "f.yml:1:4 a: missing key c"),
        ("{}", lambda s: s.mapping("a").string("c"), "f.yml:1:1 a: missing key c"),
        ("a:", lambda s: s.string("a"), "f.yml:1:3 a: expected a string, found nothing"),
        ("a: ~", lambda s: s.string("a"), "f.yml:1:4 a: expected a string, found nothing"),
        ("a: ''", lambda s: s.string("a"), 'f.yml:1:4 a: expected a string, found the quoted string ""'),
        ("a: [1]", lambda s: s.string("a"), "f.yml:1:4 a: expected a string, found a list"),
        ("a: {b: 1}", lambda s: s.string("a"), "f.yml:1:4 a: expected a string, found a mapping"),
        (
            "a: 'true'",
            lambda s: s.boolean("a"),
            'f.yml:1:4 a: expected true or false, found the quoted string "true"',
        ),
        (
            "a: '5'",
            lambda s: s.integer("a"),
            'f.yml:1:4 a: expected a whole number, found the quoted string "5"',
        ),
        ("a: 1.0", lambda s: s.integer("a"), 'f.yml:1:4 a: expected a whole number, found "1.0"'),
        ("a: 007", lambda s: s.integer("a"), 'f.yml:1:4 a: expected a whole number, found "007"'),
        (f"a: {10**18}", lambda s: s.integer("a"), f'f.yml:1:4 a: expected a whole number, found "{10**18}"'),
        (
            "a: -1",
            lambda s: s.integer("a", minimum=0),
            'f.yml:1:4 a: expected a whole number of at least 0, found "-1"',
        ),
        (
            "a: 9",
            lambda s: s.integer("a", maximum=8),
            'f.yml:1:4 a: expected a whole number of at most 8, found "9"',
        ),
        (
            "a: 9",
            lambda s: s.integer("a", minimum=1, maximum=8),
            'f.yml:1:4 a: expected a whole number from 1 to 8, found "9"',
        ),
        (
            "a: 1.5",
            lambda s: s.number("a", minimum=0, maximum=1),
            'f.yml:1:4 a: expected a decimal number from 0 to 1, found "1.5"',
        ),
        ("a: 1e400", lambda s: s.decimal("a"), 'f.yml:1:4 a: expected a decimal number, found "1e400"'),
        ("a: NaN", lambda s: s.decimal("a"), 'f.yml:1:4 a: expected a decimal number, found "NaN"'),
        (
            "a: -0.01",
            lambda s: s.decimal("a", minimum=Decimal(0)),
            'f.yml:1:4 a: expected a decimal number of at least 0, found "-0.01"',
        ),
        (
            "a: 90",
            lambda s: s.duration_ns("a"),
            'f.yml:1:4 a: expected a duration such as 250ms, 1s, 1m30s, 2h or 1d, found "90"',
        ),
        (
            "a: 1ms",
            lambda s: s.duration_ns("a", minimum=250_000_000),
            'f.yml:1:4 a: expected a duration of at least 250ms, such as 1m30s, found "1ms"',
        ),
        ("a: c", lambda s: s.choice("a", ("b", "d")), 'f.yml:1:4 a: expected one of b, d, found "c"'),
        (
            "a: name7",
            lambda s: s.choice("a", [f"name{n}" for n in range(70, 90)]),
            'f.yml:1:4 a: expected one of 20 names, such as name87, found "name7"',
        ),
        ("a: 1", lambda s: s.list("a"), 'f.yml:1:4 a: expected a list, found "1"'),
        ("a: 1", lambda s: s.mapping("a"), 'f.yml:1:4 a: expected a mapping, found "1"'),
        ("a: []", lambda s: s.mapping("a"), "f.yml:1:4 a: expected a mapping, found a list"),
        (
            "a:\n- 1\n- x",
            lambda s: [value.integer() for value in s.list("a")],
            'f.yml:3:3 a[1]: expected a whole number, found "x"',
        ),
        (
            "a: {'b.c': {'d e': x}}",
            lambda s: s.mapping("a").mapping("b.c").integer("d e"),
            'f.yml:1:20 a."b.c"."d e": expected a whole number, found "x"',
        ),
        (
            f"a: {'x' * 99}",
            lambda s: s.integer("a"),
            f'f.yml:1:4 a: expected a whole number, found "{"x" * 40}..."',
        ),
        (
            'a: "b\\nc"',
            lambda s: s.integer("a"),
            'f.yml:1:4 a: expected a whole number, found the quoted string "b?c"',
        ),
    ],
)
def test_a_wrong_value_is_one_line_with_its_place(
    text: str, read: Callable[[Section], Any], message: str
) -> None:
    assert complaint(text, read) == message


@pytest.mark.fault("config-values")
def test_a_secret_is_never_shown() -> None:
    for text in (f"a: {HASH}", f"a: [{HASH}]", f"a: {{b: {HASH}}}"):
        message = complaint(text, lambda section: section.mapping("a", secret=True).integer("b"))
        assert HASH not in message
    assert complaint(f"a: {HASH}", lambda s: s.mapping("a", secret=True)).endswith(
        "found a value that is not shown"
    )
    assert complaint("a:", lambda s: s.string("a", secret=True)).endswith("found nothing")


@pytest.mark.fault("config-values")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("intervall: 1s", "f.yml:1:1 intervall: unknown key, did you mean interval?"),
        ("interval: 1s\nzebra: 1", "f.yml:2:1 zebra: unknown key, expected one of interval, teams, web"),
        ("web:\n  prot: 1", "f.yml:2:3 web.prot: unknown key, did you mean port?"),
        ("web: {port: 1}\ntema: 1", "f.yml:2:1 tema: unknown key, did you mean teams?"),
        ('"a\\nb": 1', 'f.yml:1:1 "a?b": unknown key, expected one of interval, teams, web'),
    ],
)
def test_an_unknown_key_is_named_with_a_near_one(text: str, message: str) -> None:
    def read(section: Section) -> None:
        section.duration_ns("interval", 0)
        section.list("teams")
        section.mapping("web").integer("port", 0)
        section.finish()

    assert complaint(text, read) == message


def test_names_that_people_choose_are_all_known() -> None:
    section = parse("teams:\n  red: 1\n  'no': 2\n")
    teams = section.mapping("teams")
    assert {name: value.integer() for name, value in teams.items()} == {"red": 1, "no": 2}
    section.finish()


def test_a_reader_can_point_at_a_key_itself() -> None:
    section = parse("from: 5\n")
    assert str(section.error("from", "is after to")) == "f.yml:1:7 from: is after to"
    assert str(section.error("to", "is missing")) == "f.yml:1:1: to: is missing"


def unreadable(kind: str, directory: Path) -> Path:
    file = directory / "f.yml"
    if kind == "directory":
        file.mkdir()
    elif kind == "FIFO":
        os.mkfifo(file)
    elif kind == "symlink loop":
        file.symlink_to(file)
    elif kind == "device":
        file.symlink_to("/dev/zero")
    elif kind == "10 MB":
        file.write_bytes(b"x" * 10_000_000)
    return file


@pytest.mark.fault("config-no-file")
@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", "cannot be read: No such file or directory"),
        ("directory", "expected a regular file, found a directory, pipe or device"),
        ("FIFO", "expected a regular file, found a directory, pipe or device"),
        ("device", "expected a regular file, found a directory, pipe or device"),
        ("symlink loop", "cannot be read: Too many levels of symbolic links"),
        ("10 MB", "too large: expected at most 256 KiB"),
    ],
)
def test_a_file_that_is_no_file_is_refused_at_once(tmp_path: Path, kind: str, message: str) -> None:
    file = unreadable(kind, tmp_path)
    start = time.monotonic()
    with pytest.raises(ConfigError) as caught:
        strict.load(file)
    assert str(caught.value) == f"{file}: {message}"
    assert time.monotonic() - start < 1


@pytest.mark.fault("config-no-file")
def test_a_name_that_cannot_be_one_is_refused() -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        strict.load(Path("a\0b\n"))


@pytest.mark.fault("config-no-file")
def test_no_permission_is_said(tmp_path: Path) -> None:
    """Root reads everything, so another user is asked where the test runs as root."""
    file = tmp_path / "f.yml"
    file.write_text("a: 1\n")
    file.chmod(0)
    if os.geteuid():
        with pytest.raises(ConfigError, match="cannot be read: Permission denied"):
            strict.load(file)
        return
    try:
        os.seteuid(65534)
        with pytest.raises(ConfigError, match="cannot be read: Permission denied"):
            strict.load(file)
    finally:
        os.seteuid(0)


def test_a_good_file_is_read_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "real.yml").write_text("a: 1\n")
    link = tmp_path / "link.yml"
    link.symlink_to("real.yml")
    assert strict.load(link).integer("a") == 1


@pytest.mark.fault("config-bytes")
@given(st.binary(max_size=200))
def test_any_bytes_are_an_error_of_one_line_or_a_mapping(data: bytes) -> None:
    with contextlib.suppress(ConfigError):
        assert parse(data).present


PLAIN_TOKENS = [
    "a",
    "b: ",
    "- ",
    "  ",
    "{",
    "}",
    "[",
    "]",
    ",",
    ": ",
    "? ",
    "&a ",
    "*a ",
    "!!str ",
    "'",
    "#",
    "%YAML 1.2",
    "<<: ",
    "\t",
    "1",
    "~",
    "é",
    "@",
    "`",
]
TOKENS = st.sampled_from(
    [*PLAIN_TOKENS, "\n", "|\n", ">\n", '"', "---\n", "...\n", "\\x41", "\u2028", "\ufeff"]
)


@pytest.mark.fault("config-bytes")
@given(st.lists(TOKENS, max_size=30).map("".join))
def test_any_pieces_of_yaml_are_an_error_of_one_line_or_a_mapping(text: str) -> None:
    try:
        section = parse(text)
    except ConfigError as error:
        assert len(str(error).splitlines()) == 1  # noqa: PT017 - either outcome is fine, a traceback is not
        return
    for value in dict(section.items()).values():
        for read in (
            value.string,
            value.integer,
            value.duration_ns,
            value.boolean,
            value.list,
            value.mapping,
        ):
            with contextlib.suppress(ConfigError):
                read()


@given(
    st.dictionaries(st.from_regex(r"[a-z]{1,8}x", fullmatch=True), st.integers(-(10**17), 10**17), max_size=5)
)
def test_numbers_come_back_as_they_were_written(numbers: dict[str, int]) -> None:
    section = parse("{" + ", ".join(f"{key}: {number}" for key, number in numbers.items()) + "}")
    assert {key: value.integer() for key, value in section.items()} == numbers
