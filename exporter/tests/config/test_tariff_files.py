"""Files of prices and carbon, CSV and JSON: what is read, and what is refused with file, line and key."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gputally.config import intervals, strict
from gputally.config.intervals import GRAMS, PRICE, read_series
from gputally.config.strict import ConfigError
from gputally.config.tariff import read_site
from gputally.tariff import Series
from tests.config.badprices import BAD, DAY, HEAD, ROW
from tests.config.sitefiles import EUR, complaint, read

NANO = 10**9
HOUR = 3600 * NANO
START = int(datetime(2026, 10, 25, tzinfo=UTC).timestamp()) * NANO
CSV = f"""\
start,end,price_per_kwh
{DAY}02:00:00+02:00,{DAY}03:00:00+02:00,0.0873
{DAY}01:00Z,{DAY}02:00Z,-0.005
{DAY}03:00:00+01:00,{DAY}03:15:00+01:00,0
"""
MEANT = Series([START, START + HOUR, START + 2 * HOUR], [87_300_000, -5_000_000, 0], START + 9 * HOUR // 4)


def series(tmp_path, text: str | bytes, column: str = PRICE, scale: int = NANO, most: int = 25) -> Series:
    path = tmp_path / "p.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    found = read_series(path, column, scale, Decimal(most))
    return Series(list(found.starts_ns), list(found.values), found.end_ns)


def refused(tmp_path, text: str | bytes, **more: object) -> str:
    with pytest.raises(ConfigError) as caught:
        series(tmp_path, text, **more)
    message = str(caught.value)
    assert "\n" not in message
    return message.removeprefix(f"{tmp_path}/p.csv")


@pytest.mark.parametrize(
    "text",
    [
        CSV,
        CSV.replace("\n", "\r\n"),
        "\ufeff" + CSV,
        CSV.replace("\n", "\n\n") + "\n , ,\n",
        CSV.replace(",", " , "),
        CSV.replace(",", '","').replace("\n", '"\n"')[:-1].join(('"', "")),
        CSV.rstrip("\n"),
    ],
    ids=["plain", "CRLF", "byte order mark", "blank lines", "blanks", "quotes", "no newline"],
)
def test_a_table_of_prices(tmp_path, text):
    assert series(tmp_path, text) == MEANT


def test_columns_stand_in_any_order(tmp_path):
    rows = [line.split(",") for line in CSV.splitlines()]
    assert series(tmp_path, "\n".join(f"{c},{a},{b}" for a, b, c in rows)) == MEANT


def test_prices_of_a_mwh(tmp_path):
    text = CSV.replace("price_per_kwh", "price_per_mwh").replace("0.0873", "87.3").replace("-0.005", "-5.00")
    assert series(tmp_path, text) == MEANT


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("number", [Decimal, str])
def test_the_same_as_json(tmp_path, indent, number):
    names, *rows = [line.split(",") for line in CSV.splitlines()]
    items = [dict(zip(names, row, strict=True)) for row in rows]
    text = json.dumps(items, indent=indent)
    if number is Decimal:
        for row in rows:
            text = text.replace(f'"{row[2]}"', row[2])
        assert '"0.0873"' not in text
    assert series(tmp_path, " \n" + text + "\n") == MEANT


@pytest.mark.parametrize(
    ("number", "nano"),
    [
        ("1e-05", 10_000),
        ("2.5E-3", 2_500_000),
        ("0.0000000004", 0),
        ("0.0000000006", 1),
        ("25", 25 * NANO),
        ("-25.0", -25 * NANO),
    ],
)
def test_numbers_as_programs_write_them(tmp_path, number, nano):
    text = f'[{{"start": "{DAY}00:00Z", "end": "{DAY}01:00Z", "price_per_kwh": {number}}}]'
    assert series(tmp_path, text).values == [nano]


def test_carbon_is_in_milligrams(tmp_path):
    text = CSV.replace("price_per_kwh", "grams_per_kwh").replace("0.0873", "412.5").replace("-0.005", "0.25")
    assert series(tmp_path, text, column=GRAMS, scale=1000, most=5000).values == [412_500, 250, 0]


@pytest.mark.fault("config-tariffs")
@pytest.mark.parametrize("name", BAD)
def test_what_is_no_table_of_intervals_is_refused_in_one_line(tmp_path, name):
    text, message = BAD[name]
    found = refused(tmp_path, text)
    assert message is None or found == message


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("-1", ':2:1 grams_per_kwh: expected from 0 to 5000 for one kWh, found "-1"'),
        ("5000.1", ':2:1 grams_per_kwh: expected from 0 to 5000 for one kWh, found "5000.1"'),
        ("0.412", " grams_per_kwh: less than a gram in all of it; expected grams, not kilograms"),
    ],
)
def test_carbon_that_cannot_be(tmp_path, value, message):
    text = HEAD.replace("price", "grams") + ROW.replace("0.1", value)
    found = refused(tmp_path, text, column=GRAMS, scale=1000, most=5000)
    assert found == message


def test_carbon_of_nothing_is_nothing(tmp_path):
    text = HEAD.replace("price", "grams") + ROW.replace("0.1", "0")
    assert series(tmp_path, text, column=GRAMS, scale=1000, most=5000).values == [0]


def test_grams_of_a_mwh_are_unknown(tmp_path):
    text = HEAD.replace("price_per_kwh", "grams_per_mwh") + ROW
    assert "unknown column, expected start, end and grams_per_kwh" in refused(tmp_path, text, column=GRAMS)


def test_a_file_has_to_be_small_and_a_file(tmp_path, monkeypatch):
    monkeypatch.setattr(intervals, "MAX_BYTES", 1024)
    assert refused(tmp_path, HEAD + ROW * 100) == ": too large: expected at most 1 KiB"
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match="expected a regular file"):
        read_series(tmp_path / "pipe", PRICE, NANO, Decimal(1))


@given(
    st.lists(st.tuples(st.integers(1, 100_000), st.decimals(-25, 25, places=9)), min_size=1), st.booleans()
)
def test_any_intervals_come_back_as_they_were_written(tmp_path_factory, steps, as_json):
    moments = [datetime(2026, 1, 1, tzinfo=UTC)]
    for seconds, _ in steps:
        moments.append(moments[-1] + timedelta(seconds=seconds))
    rows = [
        (a.isoformat(), b.isoformat(), f"{value:f}")
        for a, b, (_, value) in zip(moments, moments[1:], steps, strict=False)
    ]
    if as_json:
        text = json.dumps([{"start": a, "end": b, "price_per_kwh": float(c)} for a, b, c in rows])
    else:
        text = HEAD + "".join(",".join(row) + "\n" for row in rows)
    found = series(tmp_path_factory.getbasetemp(), text)
    ns = [int(moment.timestamp()) * NANO for moment in moments]
    assert (found.starts_ns, found.end_ns) == (ns[:-1], ns[-1])
    assert found.values == [int(value * NANO) for _, value in steps]


PRICES = "  prices: {file: p.csv, name: spot}\n  price_per_kwh: 0.3\n"


def test_a_tariff_of_a_file_has_its_prices_and_a_fallback_with_surcharges(tmp_path):
    (tmp_path / "p.csv").write_text(CSV)
    declared = read(EUR + "  surcharges_per_kwh: {grid: 0.1}\n" + PRICES, tmp_path)
    (version,) = declared.tariff.versions
    assert declared.files == (("prices", tmp_path / "p.csv"),)
    assert list(version.prices.values) == [187_300_000, 95_000_000, 100_000_000]
    assert version.names == ("spot", "fallback")
    assert version.bands[0].price_nano == 400_000_000
    assert declared == read(EUR + "  surcharges_per_kwh: {grid: 0.1}\n" + PRICES, tmp_path)


def test_bands_may_stand_behind_the_file_and_carbon_in_another(tmp_path):
    (tmp_path / "p.csv").write_text(CSV)
    carbon = CSV.replace("price", "grams").replace("-0.005", "380")
    (tmp_path / "c.csv").write_text(carbon)
    text = """\
  prices: {file: p.csv}
  bands: [{name: day, hours: ["06:00-22:00"], price_per_kwh: 0.3}, {name: night, price_per_kwh: 0.2}]
carbon: {country: DE, file: c.csv}
"""
    declared = read(EUR + text, tmp_path)
    assert declared.files == (("carbon", tmp_path / "c.csv"), ("prices", tmp_path / "p.csv"))
    assert declared.tariff.versions[0].names == ("dynamic", "day", "night")
    assert declared.tariff.carbon.source == "country"
    assert list(declared.tariff.carbon.series.values) == [87, 380_000, 0]


def test_another_reader_may_be_given(tmp_path):
    asked = []

    def reader(path, column, scale, most):
        asked.append((path, column, scale, most))
        return Series([0], [5], HOUR)

    root = strict.parse((EUR + PRICES + "carbon: {file: c.csv}\n").encode(), "f.yml")
    found = read_site(root, tmp_path, reader)
    assert list(found.tariff.versions[0].prices.values) == [5]
    assert asked == [
        (tmp_path / "c.csv", GRAMS, 1000, 5000),
        (tmp_path / "p.csv", PRICE, NANO, 25),
    ]


def test_how_much_a_price_may_be_depends_on_the_currency(tmp_path):
    (tmp_path / "p.csv").write_text(CSV.replace("0.0873", "87.3"))
    assert "from -25 to 25" in complaint(EUR + PRICES, tmp_path)
    assert read(EUR.replace("EUR", "HUF") + PRICES, tmp_path).tariff.currency == "HUF"
