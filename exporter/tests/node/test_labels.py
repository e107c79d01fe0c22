"""Whatever comes in, a label value is short, printable UTF-8, and stays what it is."""

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gputally.node.labels import label_text

# Surrogates included: os.fsdecode makes them of file names that are no UTF-8.
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=300)
SPECIAL = st.text(
    st.sampled_from(
        '\x00\x1b\r\n\t"\\\x7f\x85\u202e\u2066\u200f\u061c\ufeff\u2028\ud800\udfff\u0301\u0323\u1100\u1161a~_'
    ),
    max_size=300,
)
ANYTHING = st.one_of(ANY_TEXT, SPECIAL, st.binary(max_size=300))
LIMITS = st.integers(10, 200)

BIDI_CONTROLS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


@pytest.mark.fault("hostile-names")
@given(ANYTHING, LIMITS)
def test_output_is_bounded_printable_utf8(raw: str | bytes, limit: int) -> None:
    """No control, no bidirectional control, no surrogate, never longer than the limit."""
    text = label_text(raw, limit)
    assert len(text) <= limit
    assert text.encode("utf-8").decode("utf-8") == text
    assert all(unicodedata.category(c)[0] != "C" for c in text)
    assert all(unicodedata.bidirectional(c) not in BIDI_CONTROLS for c in text)
    assert not set(text) & set("\n\r\t\x00\u200e\u200f\u061c\u2028\u2029")


@given(ANYTHING, LIMITS)
def test_sanitising_twice_changes_nothing(raw: str | bytes, limit: int) -> None:
    once = label_text(raw, limit)
    assert label_text(once, limit) == once
    assert unicodedata.is_normalized("NFC", once)


@given(st.text(st.characters(codec="utf-8"), max_size=300))
def test_bytes_and_text_of_the_same_name_agree(text: str) -> None:
    assert label_text(text) == label_text(text.encode())


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=128))
def test_plain_ascii_is_left_alone(text: str) -> None:
    assert label_text(text) == text


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("", ""),
        (b"", ""),
        (b"bad \xff\xfe name", "bad \ufffd\ufffd name"),
        ('quote " back \\ slash', 'quote " back \\ slash'),  # escaping is the exposition's job
        ("a\nb\rc\td\x00e\x1b[31mf\x7f", "a_b_c_d_e_[31mf_"),
        ("evil\u202egnp.exe", "evil_gnp.exe"),
        ("\ufeffbom", "_bom"),
        ("half\ud800", "half_"),
        ("e\u0301", "\u00e9"),
        ("Zoë 漢字 שלום", "Zoë 漢字 שלום"),
    ],
)
def test_known_dangers(raw: str | bytes, expected: str) -> None:
    assert label_text(raw) == expected


def test_long_text_is_cut_and_marked_with_a_hash_of_all_of_it() -> None:
    one, two = label_text("x" * 500 + "1"), label_text("x" * 500 + "2")
    assert len(one) == len(two) == 128
    assert one[:119] == two[:119] == "x" * 119
    assert one[119] == "~"
    assert one != two
    assert label_text("y" * 128) == "y" * 128
    assert label_text("y" * 129) == "y" * 119 + label_text("y" * 129)[119:]


def test_text_that_composes_below_the_limit_is_not_cut() -> None:
    assert label_text("e\u0301" * 128) == "\u00e9" * 128


def test_a_megabyte_of_combining_marks_is_quick() -> None:
    """Normalising it whole would take minutes: reordering marks is quadratic."""
    began = time.process_time()
    assert len(label_text("a" + "\u0315\u0300" * 500_000)) == 128
    assert time.process_time() - began < 1.0


def test_a_limit_without_room_for_the_hash_is_refused() -> None:
    with pytest.raises(ValueError, match="limit must be above 9"):
        label_text("x", 9)
