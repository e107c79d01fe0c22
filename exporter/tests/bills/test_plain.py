"""Plain rows, as CSV and JSON: what they mean, and when two of them are the same."""

from __future__ import annotations

import gzip
import json

import pytest

HEADER = "date,provider,gpu_type,cost,team\n"
ROWS = HEADER + "2026-11-03,RunPod,H100 SXM5 80GB,12.5,Vision\n2026-11-04,lambda,my thing,3.25,\n"
OBJECTS = [
    {
        "date": "2026-11-03",
        "provider": "RunPod",
        "gpu_type": "H100 SXM5 80GB",
        "cost": 12.5,
        "team": "Vision",
    },
    {"date": "2026-11-04", "provider": "lambda", "gpu_type": "my thing", "cost": "3.25", "team": None},
]
EXPECTED = {
    ("2026-11-03", "h100-sxm5-80gb", "vision", "USD"): "12.5 -",
    ("2026-11-04", "my thing", "unassigned", "USD"): "3.25 -",
}
FORMS = {
    "csv": ("CSV", ROWS),
    "mark at the beginning": ("CSV", "\ufeff" + ROWS),
    "windows": ("CSV", ROWS.replace("\n", "\r\n")),
    "semicolons": ("CSV", ROWS.replace(",", ";")),
    "tabs": ("CSV", ROWS.replace(",", "\t")),
    "capitals": ("CSV", ROWS.replace("date,provider,gpu_type", "Date,Provider,GPU Type")),
    "empty lines": ("CSV", ROWS.replace("\n", "\n\n")),
    "gzip": ("CSV", gzip.compress(ROWS.encode())),
    "two parts of gzip": ("CSV", gzip.compress(ROWS[:50].encode()) + gzip.compress(ROWS[50:].encode())),
    "json": ("JSON", json.dumps(OBJECTS)),
    "json, indented": ("JSON", json.dumps(OBJECTS, indent=2) + "\n"),
    "json, packed": ("JSON", gzip.compress(json.dumps(OBJECTS).encode())),
    "rows in an object": ("JSON", json.dumps({"rows": OBJECTS})),
    "an object a line": ("JSON", "".join(json.dumps(one) + "\n" for one in OBJECTS)),
    "one object a line, the last without an end": ("JSON", "\n".join(json.dumps(one) for one in OBJECTS)),
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_says_the_same(books, name):
    form, content = FORMS[name]
    (one,) = books.take(content)
    assert (one.kind, one.form, one.tally.rows, one.tally.taken, one.notes) == ("plain", form, 2, 2, [])
    assert books.charges() == EXPECTED


def test_numbers_of_json_are_taken_as_they_are_written(books):
    books.take('[{"date":"2026-11-03","provider":"a","gpu_type":"b","cost":0.100000000000000001}]')
    assert books.total() == books.total().from_float(0.0) + type(books.total())("0.100000000000000001")


def test_a_card_is_known_by_any_of_its_names(books):
    books.take(
        HEADER + "2026-11-03,a,NVIDIA H100 80GB HBM3,1,\n2026-11-04,a,our box,1,\n",
        aliases={"our box": "l4-24gb"},
    )
    assert [key[1] for key in books.charges()] == ["h100-sxm5-80gb", "l4-24gb"]


CURRENCIES = {
    "none": ("date,provider,gpu_type,cost\n2026-11-03,a,b,1\n", {}, "USD"),
    "by flag": ("date,provider,gpu_type,cost\n2026-11-03,a,b,1\n", {"currency": "EUR"}, "EUR"),
    "by column": ("date,provider,gpu_type,cost,currency\n2026-11-03,a,b,1,CHF\n", {"currency": "EUR"}, "CHF"),
    "empty column": ("date,provider,gpu_type,cost,currency\n2026-11-03,a,b,1,\n", {"currency": "EUR"}, "EUR"),
    "by the name of cost, json": (
        '[{"date":"2026-11-03","provider":"a","gpu":"b","cost_eur":1}]',
        {},
        "EUR",
    ),
    "by the name of cost": (
        "date,provider,gpu_type,cost_usd\n2026-11-03,a,b,1\n",
        {"currency": "EUR"},
        "USD",
    ),
}


@pytest.mark.parametrize("name", CURRENCIES)
def test_the_currency_is_of_the_row_or_of_the_file(books, name):
    content, how, currency = CURRENCIES[name]
    books.take(content, **how)
    assert [key[3] for key in books.charges()] == [currency]


def test_hours_are_taken_where_they_are_told(books):
    books.take("date,provider,gpu_type,cost,gpu_hours\n2026-11-03,a,b,4,1.5\n2026-11-04,a,b,4,\n")
    assert list(books.charges().values()) == ["4 1.5", "4 -"]


def test_columns_that_are_not_read_are_told(books):
    (one,) = books.take("date,provider,gpu_type,cost,region,team\n2026-11-03,a,b,4,DE,x\n")
    assert one.notes == ["columns that are not read: region"]


def test_the_same_file_again_changes_nothing(books):
    assert books.counts(ROWS) == (2, 0, 0, 0)
    before = books.dump()
    assert books.counts(ROWS) == (0, 0, 2, 0)
    assert books.dump() == before


def test_a_row_with_the_same_key_is_told_again_and_others_stay(books):
    books.take(ROWS)
    told = HEADER + "2026-11-03,runpod,h100-sxm5-80gb,13,VISION\n2026-11-05,runpod,l4,1,vision\n"
    assert books.counts(told) == (1, 1, 0, 0)
    assert books.charges() == {
        ("2026-11-03", "h100-sxm5-80gb", "vision", "USD"): "13 -",
        ("2026-11-04", "my thing", "unassigned", "USD"): "3.25 -",
        ("2026-11-05", "l4-24gb", "vision", "USD"): "1 -",
    }


def test_a_currency_that_was_wrong_is_corrected_and_not_doubled(books):
    books.take(ROWS)
    assert books.counts(ROWS, currency="EUR") == (0, 2, 0, 0)
    assert {key[3] for key in books.charges()} == {"EUR"}
    assert books.rows("SELECT currency, nano, revision FROM day_sums ORDER BY 1, 2") == [
        ("EUR", 3_250_000_000, 0),
        ("EUR", 12_500_000_000, 0),
        ("USD", 0, 1),
        ("USD", 0, 1),
    ]


def test_a_row_whose_gpu_or_team_is_called_otherwise_now_is_not_doubled(books):
    books.take(ROWS)
    more = HEADER + "2026-11-04,lambda,MY  thing,3.5,\n2026-11-03,runpod,h100 sxm5 80gb,12.5,VISION\n"
    assert books.counts(more, aliases={"my thing": "l4-24gb"}, teams=["Vision"]) == (0, 2, 0, 0)
    assert books.charges() == {
        ("2026-11-03", "h100-sxm5-80gb", "Vision", "USD"): "12.5 -",
        ("2026-11-04", "l4-24gb", "unassigned", "USD"): "3.5 -",
    }
    assert books.counts(more, aliases={"my thing": "l4-24gb"}, teams=["Vision"]) == (0, 0, 2, 0)
    assert books.rows("SELECT day, gpu_type, team, nano FROM day_sums WHERE revision = 1") == [
        ("2026-11-03", "h100-sxm5-80gb", "vision", 0),
        ("2026-11-04", "my thing", "unassigned", 0),
    ]


def test_two_names_that_change_places_are_both_kept(books):
    books.take(
        HEADER + "2026-11-03,a,one,1,\n2026-11-03,a,two,2,\n", aliases={"one": "l4-24gb", "two": "t4-16gb"}
    )
    told = HEADER + "2026-11-03,a,one,3,\n2026-11-03,a,two,4,\n"
    books.take(told, aliases={"two": "l4-24gb", "one": "t4-16gb"})
    assert {key[1]: value for key, value in books.charges().items()} == {"l4-24gb": "4 -", "t4-16gb": "3 -"}


def test_corrections_are_negative_rows(books):
    books.take(HEADER + "2026-11-03,a,b,-4.5,x\n2026-11-03,a,b,10,y\n")
    assert books.total() == books.total().from_float(5.5)


@pytest.mark.fault("bill-half")
def test_a_file_that_was_replaced_since_is_not_taken_again_by_accident(books):
    newer = ROWS.replace("12.5", "99")
    books.take(ROWS)
    books.take(newer)
    (one,) = books.take(ROWS)
    assert one.skipped == (
        "it was imported before, and bill1.csv has told runpod, rows anew on 2025-11-24 16:00 UTC: "
        "--again goes back to it"
    )
    assert "99 -" in books.charges().values()
    assert books.counts(ROWS, again=True) == (0, 1, 1, 0)
    assert books.charges() == EXPECTED


REJECTED = [
    (
        "2026-11-03,a,b,1,x",
        "the same day, provider, GPU and team as line 2: add them up, or name their teams",
    ),
    (
        "2026-11-03,A,B,1,X",
        "the same day, provider, GPU and team as line 2: add them up, or name their teams",
    ),
    ("2026-13-03,a,b,1,x", 'date: expected a day such as 2026-11-29, found "2026-13-03"'),
    ("2026-02-29,a,b,1,x", 'date: expected a day such as 2026-11-29, found "2026-02-29"'),
    ("20261103,a,b,1,x", 'date: expected a day such as 2026-11-29, found "20261103"'),
    (",a,b,1,x", 'date: expected a day such as 2026-11-29, found ""'),
    ("2026-11-03,,b,1,x", "provider: is empty"),
    ("2026-11-03,a,,1,x", "gpu_type: is empty"),
    ("2026-11-03,a,b,,x", 'cost: expected a number, found ""'),
    ("2026-11-03,a,b,$5,x", 'cost: expected a number, found "$5"'),
    ('2026-11-03,a,b,"1,5",x', 'cost: expected a number, found "1,5"'),
    ("2026-11-03,a,b,1", "expected 5 fields, found 4"),
    ("2026-11-03,a,b,1,x,y", "expected 5 fields, found 6"),
]


@pytest.mark.fault("bill-rows")
@pytest.mark.parametrize(("row", "reason"), REJECTED, ids=[row for row, _ in REJECTED])
def test_a_row_that_cannot_be_taken_leaves_the_others(books, row, reason):
    (one,) = books.take(f"{HEADER}2026-11-03,a,b,1,x\n{row}\n2026-11-04,a,b,2,x\n")
    assert [(shown.line, shown.reason) for shown in one.tally.shown] == [(3, reason)]
    assert list(books.charges().values()) == ["1 -", "2 -"]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ('{"date":"2026-11-03"}', "the row lacks provider, gpu_type, cost"),
        ('{"date":"2026-11-03","provider":"","gpu":"b","cost":1}', "provider: is empty"),
        (
            '{"date":"2026-11-03","provider":"a","gpu":"b","cost_usd":1,"currency":"EUR"}',
            "currency: EUR, but the name of the cost says USD",
        ),
        ("[1]", "expected an object with date, provider, gpu_type and cost"),
        ('"text"', "expected an object with date, provider, gpu_type and cost"),
        (
            '{"date":"2026-11-03","provider":"a","gpu_type":"b","cost":true}',
            "cost: expected a text or a number",
        ),
        (
            '{"date":"2026-11-03","provider":"a","gpu_type":"b","cost":[1]}',
            "cost: expected a text or a number",
        ),
        ('{"date":"2026-11-03","date":"2026-11-04"}', "a key is there twice"),
    ],
)
def test_an_object_that_cannot_be_taken_is_named_with_its_line(books, row, reason):
    good = '{"date":"2026-11-04","provider":"a","gpu_type":"b","cost":1}'
    (one,) = books.take(f"[\n{good},\n{row}\n]")
    assert [(shown.line, shown.reason) for shown in one.tally.shown] == [(3, reason)]
    assert list(books.charges().values()) == ["1 -"]
