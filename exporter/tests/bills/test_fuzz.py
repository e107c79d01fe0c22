"""Any FOCUS file: it is imported or refused in a line, and what was accepted adds up to the ledger exactly."""  # noqa: E501

from __future__ import annotations

import csv
import io
import json
import tempfile
from collections import defaultdict
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gputally.site.ledger.reading import BadFile
from tests.bills.making import BILLED, Books, focus

ANY = st.text(
    st.characters(codec="utf-8", exclude_characters="\0\r"),  # csv writes a \r without quotes
    max_size=12,
)
QUIET = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
COST = (
    st.decimals(-10_000_000, 10_000_000, places=9) | st.decimals(-1, 1, places=18) | st.just(Decimal("1e-18"))
)
DAY = st.dates().map(
    lambda day: f"2026-{1 + day.month % 12:02}-{1 + day.day % 28:02}T{day.day % 24:02}:00:00Z"
)
GOOD = {
    "EffectiveCost": COST.map(str),
    "ChargePeriodStart": DAY,
    "BillingCurrency": st.sampled_from(["USD", "EUR", "JPY"]),
    "BillingAccountId": st.sampled_from(["1", "2", "ä"]),
    "ProviderName": st.sampled_from(["AWS", "Amazon Web Services", "Microsoft", "a provider"]),
    "ChargeCategory": st.sampled_from(["Usage", "usage", "Credit", "Tax"]),
    "SkuPriceDetails": st.sampled_from(
        [
            "",
            '{"InstanceType": "p5.48xlarge"}',
            '{"InstanceType": "g5.xlarge"}',
            '{"GpuCount": 3}',
            "{",
            "[1]",
        ]
    ),
    "Tags": st.sampled_from(["", "{}", '{"team": "a"}', '{"team": "B"}', '{"Team": " c "}']),
    "ConsumedQuantity": st.sampled_from(["", "1", "0.5", "-2", "1e-7"]),
    "ConsumedUnit": st.sampled_from(["Hours", "Seconds", "", "GB"]),
}
ROW = st.fixed_dictionaries(GOOD)
ODD = st.fixed_dictionaries({}, optional=dict.fromkeys(BILLED, ANY))


def accepted(text: str) -> dict[str, Decimal]:
    """Read by somebody else, more simply: what the good rows of a file have cost, by currency."""
    found: dict[str, Decimal] = defaultdict(Decimal)
    for row in csv.DictReader(io.StringIO(text, newline="")):
        details = json.loads(row["SkuPriceDetails"]) if row["SkuPriceDetails"].startswith('{"') else {}
        if row["ChargeCategory"].lower() == "usage" and details:
            found[row["BillingCurrency"]] += Decimal(row["EffectiveCost"])
    return found


def sums(books: Books) -> dict[str, Decimal]:
    return {
        currency: books.total(currency) for (currency,) in books.rows("SELECT DISTINCT currency FROM charges")
    }


@pytest.mark.fault("bill-twice")
@QUIET
@given(st.lists(ROW, min_size=1, max_size=40))
def test_what_was_accepted_adds_up_exactly_and_the_same_file_again_changes_nothing(rows):
    text = focus(*rows)
    expected = accepted(text)
    with tempfile.TemporaryDirectory() as folder:
        books = Books(Path(folder))
        (one,) = books.take(text)
        assert sums(books) == expected
        assert one.tally.taken + one.tally.left_out.total() == len(rows)
        before = books.dump()
        (again,) = books.take(text)
        assert all(
            posted.counts
            == {"inserted": 0, "updated": 0, "removed": 0, "unchanged": posted.counts["unchanged"]}
            for posted in again.posted
        )
        assert books.dump() == before


@pytest.mark.fault("bill-twice")
@QUIET
@given(st.lists(ROW, min_size=1, max_size=15), st.lists(ROW, min_size=1, max_size=15))
def test_a_restatement_leaves_what_a_ledger_has_that_never_saw_the_old_file(first, second):
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as other:
        books, fresh = Books(Path(folder)), Books(Path(other))
        books.take(focus(*first))
        books.take(focus(*second), shorter=True, again=True)
        fresh.take(focus(*second))
        told = {
            tuple(row[:4]) for row in fresh.rows("SELECT kind, provider, account, period_start FROM bills")
        }
        mine = books.rows(
            "SELECT kind, provider, account, period_start, day, gpu_type, team, category, currency, nano, atto, "  # noqa: E501
            "gpu_nanohours FROM charges JOIN bills ON bills.id = bill_id"
        )
        theirs = fresh.rows(
            "SELECT kind, provider, account, period_start, day, gpu_type, team, category, currency, nano, atto, "  # noqa: E501
            "gpu_nanohours FROM charges JOIN bills ON bills.id = bill_id"
        )
        assert {row for row in mine if row[:4] in told} == set(theirs)


@pytest.mark.fault("bill-rows")
@QUIET
@given(st.lists(ROW | ODD, min_size=1, max_size=20))
def test_any_text_in_any_column_is_taken_or_rejected(rows):
    with tempfile.TemporaryDirectory() as folder:
        books = Books(Path(folder))
        (one,) = books.take(focus(*rows), partial=True)
        tally = one.tally
        assert tally.taken + tally.left_out.total() + tally.rejections == tally.rows == len(rows)
        assert all(str(row).isprintable() for row in tally.shown)
        assert {
            currency for currency in sums(books) if not (len(currency) == 3 and currency.isupper())
        } == set()


@pytest.mark.fault("bill-damaged")
@QUIET
@given(st.lists(ROW, min_size=1, max_size=5), st.data())
def test_a_file_with_bytes_changed_is_refused_in_a_line_or_read(rows, data):
    text = bytearray(focus(*rows).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    with tempfile.TemporaryDirectory() as folder:
        books = Books(Path(folder))
        try:
            books.take(bytes(text), partial=True)
        except BadFile as error:
            assert str(error).isprintable()  # noqa: PT017
            assert not books.path.exists() or books.rows("SELECT COUNT(*) FROM imports") == [(0,)]


@pytest.mark.fault("bill-damaged")
@QUIET
@given(
    st.binary(max_size=300)
    | ANY.map(str.encode)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | ANY,
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(st.sampled_from(["date", "provider", "gpu_type", "cost"]), inner)
        ),
        max_leaves=20,
    ).map(lambda value: json.dumps(value).encode())
)
def test_anything_else_is_refused_in_a_line_or_has_no_rows_to_take(content):
    with tempfile.TemporaryDirectory() as folder:
        books = Books(Path(folder))
        try:
            (one,) = books.take(content)
        except BadFile as error:
            assert str(error).isprintable()  # noqa: PT017
        else:
            assert one.tally.taken == 0 or one.kind == "plain"
