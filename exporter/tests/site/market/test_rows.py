"""Foreign JSON is read by type, and a row that is no offer is counted and not guessed."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gputally.model.market import Offer
from gputally.site.market import cards, rows
from gputally.site.market.http import FetchFailed
from gputally.site.market.rows import Gathering

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
READERS = [
    rows.text,
    rows.identity,
    rows.number,
    rows.money_text,
    rows.whole,
    rows.flag,
    rows.ratio,
]


@pytest.mark.parametrize(
    ("reader", "value", "read"),
    [
        (rows.text, "Czechia, CZ", "Czechia, CZ"),
        (rows.text, "  two\n lines\t", "two lines"),
        (rows.text, "half \ud800 of a pair \x00\x1b[31m", "half  of a pair [31m"),
        (rows.text, "x" * 5000, "x" * rows.LONGEST_TEXT),
        (rows.text, 5, ""),
        (rows.text, None, ""),
        (rows.identity, 27, "27"),
        (rows.identity, "8H100.80S.176V", "8H100.80S.176V"),
        (rows.identity, 27.5, ""),
        (rows.identity, True, ""),
        (rows.number, 3, Decimal(3)),
        (rows.number, 0.1, Decimal("0.1")),
        (rows.number, 27.875342465753423, Decimal("27.875342465753423")),
        (rows.number, Decimal("1.5"), Decimal("1.5")),
        (rows.number, True, None),
        (rows.number, "3.95", None),
        (rows.number, float("nan"), None),
        (rows.number, float("-inf"), None),
        (rows.number, Decimal("NaN"), None),
        (rows.number, 1e300, None),
        (rows.number, 10**400, None),
        (rows.number, [3], None),
        (rows.money_text, "3.95", Decimal("3.95")),
        (rows.money_text, 3.95, Decimal("3.95")),
        (rows.money_text, "-3.95", None),
        (rows.money_text, "3,95", None),
        (rows.money_text, "NaN", None),
        (rows.money_text, "1e3", None),
        (rows.money_text, "\N{ARABIC-INDIC DIGIT THREE}", None),
        (rows.whole, 8, 8),
        (rows.whole, 8.0, 8),
        (rows.whole, 0.5, None),
        (rows.whole, True, None),
        (rows.whole, "8", None),
        (rows.flag, False, False),
        (rows.flag, 0, None),
        (rows.ratio, 0.9971, 0.9971),
        (rows.ratio, 1, 1.0),
        (rows.ratio, 99.7, None),
        (rows.ratio, -0.1, None),
    ],
)
def test_a_value_is_read_by_its_type(reader, value, read):
    found = reader({"key": value}, "key")
    assert found == read
    assert type(found) is type(read)


@pytest.mark.parametrize("reader", READERS)
def test_what_is_missing_is_not_a_default(reader):
    assert reader({}, "key") in (None, "")


@pytest.mark.fault("provider-nonsense")
@given(st.sampled_from(READERS), JSON)
def test_no_value_breaks_a_reader(reader, value):
    reader({"key": value}, "key")


@pytest.mark.parametrize(
    ("place", "country"),
    [
        ("Czechia, CZ", "CZ"),
        ("FI", "FI"),
        ("California, US", "US"),
        ("Norway", ""),
        ("", ""),
        ("fi", ""),
        ("A, B, DE", "DE"),
    ],
)
def test_a_country_is_told_only_where_it_is_written(place, country):
    assert rows.country_of(place) == country


@pytest.mark.parametrize(
    ("interface", "word"),
    [
        ("PCIe", "PCIe"),
        ("SXM5", "SXM5"),
        ("SXM", "SXM"),
        ("nvl", "nvl"),
        ("Nothsure", ""),
        ("", ""),
        ("SXM5 or so", ""),
    ],
)
def test_a_dirty_column_says_nothing_of_the_form(interface, word):
    assert rows.form_word(interface) == word


def test_rows_are_found_by_their_path():
    reply = {"data": {"hardware": [{"id": 1}]}}
    assert rows.rows_at(reply, "data", "hardware") == ({"id": 1},)
    assert rows.rows_at([{"id": 1}]) == ({"id": 1},)
    assert rows.listed({"offers": []}, "offers") == ()


@pytest.mark.fault("provider-nonsense")
@pytest.mark.parametrize(
    ("reply", "reason", "message"),
    [
        ({"data": {}}, "schema", "data.hardware is missing"),
        ({"data": None}, "schema", "expected an object at data, found null"),
        ({"data": []}, "schema", "expected an object at data, found a list"),
        ("<html>", "schema", "expected an object at the top, found text"),
        ({"data": {"hardware": {}}}, "schema", "expected a list at data.hardware, found an object"),
        ({"data": {"hardware": [{}, 7]}}, "schema", "expected an object at data.hardware[1], found a number"),
        ({"data": {"hardware": [True]}}, "schema", "found true or false"),
        ({"data": {"hardware": []}}, "empty", "no row at data.hardware"),
    ],
)
def test_a_reply_of_another_shape_is_refused_with_the_place(reply, reason, message):
    with pytest.raises(FetchFailed) as caught:
        rows.rows_at(reply, "data", "hardware")
    assert caught.value.reason == reason
    assert message in str(caught.value)


@pytest.mark.fault("provider-prices")
def test_every_row_that_is_left_out_is_counted_once():
    gathering = Gathering("test", cards.load())
    card = gathering.card("H100 SXM5", memory_gib=Decimal(80))
    assert card is not None
    assert gathering.usd_per_gpu(card, Decimal(20), 8) == Decimal("2.5")
    assert gathering.card("Quantum 9", memory_gib=80) is None
    assert gathering.card("A100 SXM4", memory_gib=33.3) is None
    assert gathering.card("A100-SXM4-40GB MIG 1g.5gb") is None
    for gpus in (None, 0, -1, 10**9):
        assert gathering.usd_per_gpu(card, Decimal(2), gpus) is None
    for usd in (None, Decimal(0), Decimal(-2)):
        assert gathering.usd_per_gpu(card, usd) is None
    for usd in (Decimal("0.19"), Decimal("25.01")):
        assert gathering.usd_per_gpu(card, usd) is None
    gathering.keep(Offer("test", card.slug, Decimal(2)))
    fetched = gathering.fetched(truncated=True)
    assert fetched.rejected == {"unmapped": 2, "mig": 1, "no_count": 4, "no_price": 3, "implausible": 2}
    assert fetched.unmapped == ("Quantum 9 (80 GiB)", "A100 SXM4 (33.3 GiB)")
    assert fetched.truncated


def test_names_that_nobody_knows_are_kept_for_the_reader_but_not_endlessly():
    gathering = Gathering("test", cards.load())
    gathering.keep(Offer("test", "l4-24gb", Decimal(1)))
    for number in range(rows.MOST_UNMAPPED + 9):
        gathering.card(f"Quantum {number}")
        gathering.card(f"Quantum {number}")
    fetched = gathering.fetched()
    assert len(fetched.unmapped) == rows.MOST_UNMAPPED
    assert fetched.rejected == {"unmapped": 2 * (rows.MOST_UNMAPPED + 9)}


@pytest.mark.parametrize(
    ("said", "kept"), [(None, None), (0, 0), (10**7, 10**7), (10**7 + 1, None), (-1, None)]
)
def test_more_gpus_than_there_are_is_no_number_of_them_and_the_offer_stays(said, kept):
    """The list of all offers could not be read for one such number."""
    gathering = Gathering("test", cards.load())
    gathering.keep(Offer("test", "l4-24gb", Decimal(1), available_gpus=said))
    (offer,) = gathering.fetched().offers
    assert offer.available_gpus == kept


def test_nothing_good_is_a_failure_that_says_why():
    gathering = Gathering("test", cards.load())
    gathering.reject("mig")
    with pytest.raises(FetchFailed, match="no row could be used: 1 mig") as caught:
        gathering.fetched()
    assert caught.value.reason == "empty"


def test_a_reason_that_is_none_of_ours_is_a_mistake():
    with pytest.raises(ValueError, match="because"):
        Gathering("test", cards.load()).reject("because")
