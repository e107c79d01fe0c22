"""docs/tariffs.md against the program: its examples are read, its tables are computed anew."""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

import gputally
from gputally.config.intervals import PRICE, read_series
from gputally.tariff import DEFAULT, Schedule, Tariff
from gputally.tariff.countries import GRAMS_PER_KWH, OLDER, YEAR
from gputally.tariff.rates import NANO
from tests.config.sitefiles import complaint, owned, read

PAGE = (Path(gputally.__file__).parents[2] / "docs" / "tariffs.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
YAML = [text for kind, text in BLOCKS if kind == "yaml"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the files of the page's examples."""
    for kind, text in BLOCKS:
        if kind != "yaml":
            stem = "carbon" if "grams_per_kwh" in text else "prices"
            (tmp_path / f"{stem}.{kind}").write_text(text)
    return tmp_path


def example(word: str) -> str:
    (found,) = (text for text in YAML if word in text)
    return found


def rows(after: str) -> list[list[str]]:
    """The cells of the first table behind a place in the page, without its head."""
    table = re.search(r"^\|.*\n\|[-|]+\n((?:\|.*\n)+)", PAGE[PAGE.index(after) :], re.MULTILINE)[1]
    return [[cell.strip() for cell in line[1:-1].split("|")] for line in table.splitlines()]


@pytest.mark.parametrize("text", YAML, ids=lambda text: text.split("\n")[1].strip())
def test_every_example_is_read(folder, text):
    declared = read(text, folder)
    Schedule(declared.tariff).at(0)
    assert declared.tariff != DEFAULT


def test_the_page_has_examples_of_everything(folder):
    together = "\n".join(YAML)
    for word in (
        "bands",
        "versions",
        "valid_until",
        "surcharges_per_kwh",
        "prices",
        "holidays",
        "pue: {",
        "country",
        "carbon.csv",
        "owned_gpus",
    ):
        assert word in together
    assert {path.name for path in folder.iterdir()} == {"prices.csv", "prices.json", "carbon.csv"}


@pytest.mark.parametrize("word", ["peak", "levy", "spot"])
def test_the_tables_of_prices_are_what_the_examples_above_them_cost(folder, word):
    tariff = read(example(word), folder).tariff
    schedule = Schedule(tariff)
    table = rows(example(word))
    assert len(table) > 3
    for when, band, price in table:
        rate = schedule.at(_ns(when, tariff)).rate
        assert (rate.tariff, Decimal(rate.price_nano) / NANO) == (band.strip("`"), Decimal(price)), when


def _ns(when: str, tariff: Tariff) -> int:
    weekday, day, clock, *offset = when.split()
    zone = ZoneInfo(tariff.timezone)
    moment = datetime.fromisoformat(f"{day}T{clock}{offset[0]}" if offset else f"{day}T{clock}")
    local = moment.astimezone(zone) if offset else moment.replace(tzinfo=zone)
    assert f"{local:%a %H:%M}" == f"{weekday} {clock[:5]}"
    return int(local.timestamp()) * NANO


def test_the_table_and_the_list_of_prices_say_the_same(folder):
    one, other = (read_series(folder / f"prices.{kind}", PRICE, NANO, Decimal(5)) for kind in ("csv", "json"))
    assert one == other


def test_the_table_of_countries_is_the_one_that_is_used():
    shown = {}
    for cells in rows("The table: means of the electricity"):
        for code, name, figure in zip(cells[::3], cells[1::3], cells[2::3], strict=True):
            if code:
                assert name
                shown[code.strip("`")] = figure
    assert list(GRAMS_PER_KWH) == sorted(shown)
    assert shown == {
        code: f"{grams} ({OLDER[code]})" if code in OLDER else str(grams)
        for code, grams in GRAMS_PER_KWH.items()
    }
    assert len(shown) >= 45
    assert f"when {YEAR} was its latest year" in " ".join(PAGE.split())


def test_countries_are_countries_and_their_figures_those_of_grids():
    assert all(re.fullmatch(r"[A-Z]{2}", code) for code in GRAMS_PER_KWH)
    assert all(isinstance(grams, int) and 20 <= grams <= 1500 for grams in GRAMS_PER_KWH.values())
    assert OLDER.keys() < GRAMS_PER_KWH.keys()
    assert set(OLDER.values()) == {YEAR - 1}
    assert GRAMS_PER_KWH["NO"] < GRAMS_PER_KWH["FR"] < GRAMS_PER_KWH["DE"] < GRAMS_PER_KWH["PL"]


def test_what_holds_without_a_word_is_what_the_page_says():
    (band,) = DEFAULT.versions[0].bands
    text = " ".join(PAGE.split())
    assert f"costs {Decimal(band.price_nano) / NANO} {DEFAULT.currency} around the clock" in text
    assert f"Where nothing is said it is {DEFAULT.carbon.milligrams // 1000} g" in text
    assert set(DEFAULT.pue_e4) == {10_000}


def test_an_hour_of_the_owned_gpu_costs_what_the_page_says():
    (gpu,) = owned(example("owned_gpus"))
    assert f"{gpu.rate_per_hour:.4f} EUR, whether" in PAGE


def test_all_keys_are_named_and_no_others(tmp_path):
    start = {
        "site": "site: {%s}",
        "tariff": "tariff: {currency: EUR, price_per_kwh: 1, %s}",
        "tariff.versions[]": "tariff: {currency: EUR, versions: [{%s}]}",
        "bands[]": "tariff: {currency: EUR, bands: [{%s}]}",
        "prices": "tariff: {currency: EUR, price_per_kwh: 1, prices: {%s}}",
        "carbon": "carbon: {%s}",
        "owned_gpus[]": "tariff: {currency: EUR, price_per_kwh: 1}\nowned_gpus: [{%s}]",
    }
    named = {block.strip("`"): set(re.findall(r"`([^`]+)`", keys)) for block, keys in rows("## All keys")}
    named["tariff"] |= named["tariff.versions[]"]
    known = {
        block: set(complaint(text % "qqqqqqqq: 1", tmp_path).rpartition("expected one of ")[2].split(", "))
        for block, text in start.items()
    }
    assert named == known


_EUR = "tariff: {currency: EUR, "
REFUSED = {
    "`currency: EUR`, `price_per_kwh: 30`": (_EUR + "price_per_kwh: 30}", "from -5 to 5"),
    "`price_per_kwh: 0,30`": ("tariff:\n  currency: EUR\n  price_per_kwh: 0,30", '"0,30"'),
    "hours or dates without `site.timezone`": (
        _EUR + "price_per_kwh: 1, valid_from: 2026-01-01}",
        "whose clocks and calendar",
    ),
    "`timezone: EST`": ("site: {timezone: EST}", "time zone of a place"),
    '`days: [fri]`, `hours: ["22:00-06:00"]`': (
        _EUR + "bands: [{name: a, price_per_kwh: 1, days: [fri], hours: ['22:00-06:00']}]}",
        "whose morning",
    ),
    "a band of `[holiday]` without `holidays`, or the other way round": (
        _EUR + "bands: [{name: a, price_per_kwh: 1, days: [holiday]}, {name: b, price_per_kwh: 2}]}",
        "for holidays, and none are listed",
    ),
    "`grams_per_kwh: 0.38`": ("carbon: {grams_per_kwh: 0.38}", "not kilograms"),
    "`owned_gpus` without `tariff`": (
        "owned_gpus: [{model: a, capital: 1, life_years: 1}]",
        "in which currency",
    ),
}


def test_what_the_page_calls_refused_is_refused(tmp_path):
    assert [written for written, _ in rows("## What is refused, and why")] == list(REFUSED)
    for text, word in REFUSED.values():
        assert word in complaint(text, tmp_path)
