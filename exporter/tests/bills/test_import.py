"""What an import does to the ledger: nothing twice, nothing lost, restatements as a whole."""

from __future__ import annotations

import gzip
import hashlib
from decimal import Decimal

import pytest

from gputally.site.ledger.asked import RowsRejected
from gputally.site.ledger.reading import BadFile
from tests.bills.making import focus, instance, tags

FIRST = focus(
    {"EffectiveCost": "1"},
    {"EffectiveCost": "2", "ChargePeriodStart": "2026-11-04T00:00:00Z"},
    {"EffectiveCost": "4", "ChargePeriodStart": "2026-11-05T00:00:00Z"} | tags(team="nlp"),
)
# A day costs more, one has vanished, one came.
SECOND = focus(
    {"EffectiveCost": "1"},
    {"EffectiveCost": "4.5", "ChargePeriodStart": "2026-11-05T00:00:00Z"} | tags(team="nlp"),
    {"EffectiveCost": "8", "ChargePeriodStart": "2026-11-06T00:00:00Z"},
)
PLAIN = "date,provider,gpu_type,cost\n2026-11-03,aws,h100,7\n"


@pytest.mark.fault("bill-twice")
def test_the_same_bill_again_changes_nothing(books):
    assert books.counts(FIRST) == (3, 0, 0, 0)
    before = books.dump()
    assert books.counts(FIRST) == (0, 0, 3, 0)
    assert books.counts(gzip.compress(FIRST.encode())) == (0, 0, 3, 0)
    assert books.dump() == before
    assert books.total() == 7


@pytest.mark.fault("bill-twice")
def test_a_restatement_replaces_the_bill_as_a_whole(books):
    books.take(FIRST)
    (one,) = books.take(SECOND)
    (posted,) = one.posted
    assert posted.counts == {"inserted": 1, "updated": 1, "unchanged": 1, "removed": 1}
    assert (posted.before, posted.after) == ({"USD": Decimal(7)}, {"USD": Decimal("13.5")})
    assert {key[:1] + key[2:3]: value for key, value in books.charges().items()} == {
        ("2026-11-03", "vision"): "1 8",
        ("2026-11-05", "nlp"): "4.5 8",
        ("2026-11-06", "vision"): "8 8",
    }


def test_a_day_has_a_revision_for_every_change_of_its_sum(books):
    for content, how in ((FIRST, {}), (SECOND, {}), (SECOND, {}), (FIRST, {"again": True, "shorter": True})):
        books.take(content, **how)
    assert books.rows("SELECT day, team, nano / 100000000, revision FROM day_sums ORDER BY day") == [
        ("2026-11-03", "vision", 10, 0),
        ("2026-11-04", "vision", 20, 2),
        ("2026-11-05", "nlp", 40, 2),
        ("2026-11-06", "vision", 0, 1),
    ]


def test_other_bills_are_not_touched(books):
    books.take(FIRST)
    others = [
        focus({"BillingAccountId": "999"}),
        focus({"BillingPeriodStart": "2026-10-01T00:00:00Z", "BillingPeriodEnd": "2026-11-01T00:00:00Z"}),
        focus({"ProviderName": "Microsoft"} | instance("Standard_ND96isr_H100_v5")),
    ]
    assert books.counts(*others) == (3, 0, 0, 0)
    assert books.total() == Decimal("10.75")
    books.take(SECOND)
    assert books.total() == Decimal("17.25")
    assert books.rows("SELECT COUNT(*) FROM bills") == [(4,)]


def test_one_file_may_have_several_bills(books):
    (one,) = books.take(focus({}, {"BillingAccountId": "999"}, {"BillingAccountId": "999"}))
    assert [(bill.account, bill.rows) for bill in one.bills] == [("111122223333", 1), ("999", 2)]
    assert [one["USD"] for one in (posted.after for posted in one.posted)] == [
        Decimal("1.25"),
        Decimal("2.5"),
    ]


def test_a_bill_that_has_no_gpus_any_more_leaves_nothing(books):
    books.take(FIRST)
    m5 = instance("m5.large") | {"ChargePeriodStart": "2026-11-05T00:00:00Z"}
    assert books.counts(focus(m5)) == (0, 0, 0, 3)
    assert books.charges() == {}
    assert books.rows("SELECT last_day FROM bills") == [("2026-11-05",)]


@pytest.mark.fault("bill-half")
def test_an_old_file_is_not_taken_again_by_accident(books):
    books.take(FIRST)
    books.take(SECOND)
    (one,) = books.take(FIRST)
    assert one.skipped.startswith(
        "it was imported before, and bill1.csv has told aws 111122223333 2026-11 anew on"
    )
    assert books.total() == Decimal("13.5")
    books.take(FIRST, again=True, shorter=True)
    assert books.total() == 7
    (one,) = books.take(SECOND)
    assert one.skipped
    assert books.total() == 7


@pytest.mark.fault("bill-half")
def test_a_bill_that_ends_earlier_is_taken_for_half_of_one(books):
    books.take(FIRST)
    half = focus({"EffectiveCost": "1"})
    with pytest.raises(BadFile) as refused:
        books.take(half)
    assert str(refused.value).endswith(
        "bill1.csv: its bill aws 111122223333 2026-11 ends on 2026-11-03, that of the ledger on 2026-11-05: "
        "is the file whole? (--shorter takes it)"
    )
    assert books.total() == 7
    books.take(half, shorter=True)
    assert books.total() == 1


@pytest.mark.fault("bill-rows")
def test_a_bill_with_a_row_that_cannot_be_taken_replaces_nothing(books):
    books.take(FIRST)
    bad = SECOND + SECOND.splitlines()[-1].replace(",8,", ",eight,") + "\n"
    with pytest.raises(RowsRejected) as refused:
        books.take(bad)
    assert [row.line for row in refused.value.tally.shown] == [5]
    assert "1 of 4 rows cannot be taken, so nothing of it is" in str(refused.value)
    assert books.total() == 7
    books.take(bad, partial=True)
    assert books.total() == Decimal("13.5")
    assert books.rows("SELECT provider, rows FROM import_counts WHERE result = 'rejected'") == [("aws", 1)]


@pytest.mark.fault("bill-rows")
def test_a_bill_of_which_no_row_can_be_taken_is_not_emptied(books):
    books.take(FIRST)
    (one,) = books.take(focus({"EffectiveCost": "x"}), partial=True)
    assert one.posted == []
    assert books.total() == 7


def test_a_bill_in_parts_is_one(books):
    parts = [focus({"EffectiveCost": "1"}), focus({"EffectiveCost": "2"}, instance("m5.large"))]
    (one,) = books.take(*parts, parts=True)
    assert (one.name, one.tally.rows, one.tally.taken) == ("bill1.csv and 1 more", 3, 2)
    assert books.charges() == {("2026-11-03", "h100-sxm5-80gb", "vision", "USD"): "3 16"}
    (one,) = books.take(*reversed(parts), parts=True)
    assert [posted.counts["unchanged"] for posted in one.posted] == [1]


@pytest.mark.fault("bill-twice")
def test_parts_without_being_told_so_are_refused_and_nothing_is_taken(books):
    with pytest.raises(
        BadFile, match=r"bill2.csv: has the bill aws 111122223333 2026-11, as .*bill1.csv has"
    ):
        books.take(FIRST, SECOND)
    assert books.rows("SELECT COUNT(*) FROM imports") == [(0,)]


@pytest.mark.fault("bill-twice")
@pytest.mark.parametrize("parts", [False, True])
def test_the_same_file_twice_in_a_command_counts_once(books, parts):
    if parts:
        with pytest.raises(
            BadFile, match=r"bill2.csv: the same file as .*bill1.csv: nothing is counted twice"
        ):
            books.take(FIRST, FIRST, parts=True)
        assert books.rows("SELECT COUNT(*) FROM imports") == [(0,)]
    else:
        one, two = books.take(FIRST, FIRST)
        assert (len(one.posted), two.posted) == (1, [])
        assert "bill1.csv" in two.skipped
        assert books.total() == 7


@pytest.mark.fault("bill-damaged")
def test_a_bad_file_among_good_ones_takes_none(books):
    with pytest.raises(BadFile, match="bill3"):
        books.take(FIRST, PLAIN, "nonsense\n1\n")
    assert books.rows("SELECT (SELECT COUNT(*) FROM charges) + (SELECT COUNT(*) FROM imports)") == [(0,)]


def test_every_import_is_written_down(books):
    books.take(FIRST)
    books.take(FIRST)
    sha256 = hashlib.sha256(FIRST.encode()).hexdigest()
    assert books.rows("SELECT id, kind, file, sha256 FROM imports") == [
        (1, "focus", "bill1.csv", sha256),
        (2, "focus", "bill1.csv", sha256),
    ]
    assert books.rows("SELECT * FROM import_counts WHERE rows > 0") == [
        (1, "aws", "inserted", 3),
        (2, "aws", "unchanged", 3),
    ]


@pytest.mark.parametrize("focus_first", [True, False])
def test_days_that_a_bill_and_plain_rows_have_are_pointed_out(books, focus_first):
    found = [
        one for content in ((FIRST, PLAIN) if focus_first else (PLAIN, FIRST)) for one in books.take(content)
    ]
    other = "a FOCUS bill" if focus_first else "plain rows"
    assert [one.notes for one in found] == [
        [],
        [f"aws has {other} for 1 of these days, too: is that counted twice?"],
    ]


@pytest.mark.fault("ledger-overflow")
def test_sums_of_more_than_the_ledger_can_hold_are_refused(books):
    with pytest.raises(BadFile, match="more than the ledger can hold"):
        books.take(focus({"EffectiveCost": "9e9"}, {"EffectiveCost": "9e9"}))
    assert books.rows("SELECT COUNT(*) FROM charges") == [(0,)]


def test_many_small_sums_beyond_what_is_kept_in_memory_add_up(books, monkeypatch):
    monkeypatch.setattr("gputally.site.ledger.staging._BATCH", 3)
    rows = [
        {"EffectiveCost": "0.000000000000000001", "ChargePeriodStart": f"2026-11-{1 + n % 7:02}T00:00:00Z"}
        for n in range(70)
    ]
    books.take(focus(*rows, {"EffectiveCost": "-1"}))
    assert books.total() == Decimal(-1) + Decimal(70).scaleb(-18)
