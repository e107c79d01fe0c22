"""The blocks site, tariff and carbon: what is read from them."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from gputally.config import tariff as module
from gputally.config.tariff import MOST_BANDS, SiteDeclaration
from gputally.tariff import DEFAULT, Band, Carbon, Tariff, Version
from gputally.tariff.countries import GRAMS_PER_KWH
from gputally.tariff.declared import MONTH_NAMES
from tests.config.sitefiles import EUR, ZONE, owned, read

FLAT = Version((Band("flat", 300_000_000, rest=True),))


def test_a_file_that_says_nothing_has_the_default_price_and_says_so(tmp_path):
    assert read("{}", tmp_path) == SiteDeclaration()
    assert read("site: {}\ncarbon: {}\n", tmp_path).tariff == DEFAULT


def test_a_site_without_a_tariff_has_its_own_calendar_pue_and_carbon(tmp_path):
    declared = read(
        "site: {name: lab 2, timezone: Asia/Tokyo, pue: 1.25}\ncarbon: {grams_per_kwh: 12.345}\n", tmp_path
    )
    assert declared.name == "lab 2"
    assert declared.tariff == replace(
        DEFAULT, timezone="Asia/Tokyo", pue_e4=(12_500,) * 12, carbon=Carbon(12_345, "declared")
    )
    assert declared.tariff.source == "default"


def test_one_price_needs_nothing_else(tmp_path):
    declared = read("tariff: {currency: EUR, price_per_kwh: 0.30}\n", tmp_path)
    assert declared.tariff == Tariff("EUR", (FLAT,))
    assert declared.tariff.source == "configured"


def test_the_example_of_the_module_is_read_as_it_looks(tmp_path):
    found = read(module.__doc__[module.__doc__.index("site:") :], tmp_path)
    assert found.name == "lab"
    day = Band("day", 300_000_000, frozenset(range(5)), ((360, 1320),))
    night = Band("night", 220_000_000, rest=True)
    assert found.tariff == Tariff(
        "EUR",
        (FLAT, Version((day, night), date(2026, 4, 1))),
        "Europe/Berlin",
        frozenset({date(2026, 12, 25), date(2026, 12, 26)}),
        (13_000,) * 12,
        Carbon(380_000, "declared"),
    )


@pytest.mark.parametrize(
    ("price", "nano"),
    [("0", 0), ("0.123456789", 123_456_789), ("5", 5 * 10**9), ("-0.05", -50_000_000), ("-5", -5 * 10**9)],
)
def test_prices_have_nine_decimals_and_may_be_negative(tmp_path, price, nano):
    (version,) = read(f"tariff: {{currency: USD, price_per_kwh: {price}}}", tmp_path).tariff.versions
    assert version.bands[0].price_nano == nano


def test_where_a_unit_of_money_is_small_prices_are_large(tmp_path):
    (version,) = read("tariff: {currency: IDR, price_per_kwh: 1444.7}", tmp_path).tariff.versions
    assert version.bands[0].price_nano == 1_444_700_000_000


def test_surcharges_are_in_every_price(tmp_path):
    text = "  surcharges_per_kwh: {grid: 0.08, levy: 0.0205}\n"
    (flat,) = read(EUR + text + "  price_per_kwh: -0.01\n", tmp_path).tariff.versions
    assert flat.bands[0].price_nano == 90_500_000
    bands = """\
  bands:
  - {name: a, hours: ["06:00-22:00"], price_per_kwh: 0.2}
  - {name: b, price_per_kwh: 0.1}
"""
    (two,) = read(EUR + text + bands, tmp_path).tariff.versions
    assert [band.price_nano for band in two.bands] == [300_500_000, 200_500_000]


def test_versions_follow_each_other_and_the_last_day_is_kept(tmp_path):
    text = """\
  valid_until: 2027-12-31
  versions:
  - {price_per_kwh: 0.1, valid_from: 2025-01-01}
  - {price_per_kwh: 0.2, valid_from: 2026-01-01}
"""
    found = read(EUR + text, tmp_path).tariff
    assert [version.valid_from for version in found.versions] == [date(2025, 1, 1), date(2026, 1, 1)]
    assert found.valid_until == date(2027, 12, 31)


def test_pue_by_month(tmp_path):
    text = ", ".join(f"{month}: 1.{at:02}" for at, month in enumerate(MONTH_NAMES, 1))
    found = read(f"site: {{timezone: Europe/Oslo, pue: {{{text}}}}}", tmp_path).tariff
    assert found.pue_e4 == tuple(10_000 + 100 * at for at in range(1, 13))


def test_carbon_of_a_country(tmp_path):
    found = read("carbon: {country: FR}", tmp_path).tariff.carbon
    assert found == Carbon(GRAMS_PER_KWH["FR"] * 1000, "country")
    assert found.milligrams == 44_000


def test_no_carbon_at_all_is_said_with_a_zero(tmp_path):
    assert read("carbon: {grams_per_kwh: 0}", tmp_path).tariff.carbon == Carbon(0, "declared")


@pytest.mark.parametrize(
    "zone", ["UTC", "Etc/UTC", "America/Argentina/Buenos_Aires", "America/Port-au-Prince", "US/Pacific"]
)
def test_time_zones_of_places(tmp_path, zone):
    assert read(f"site: {{timezone: {zone}}}", tmp_path).tariff.timezone == zone


def test_owned_gpus():
    text = """\
owned_gpus:
- {model: NVIDIA H100 80GB HBM3, capital: 30000, residual: 4000, life_years: 4, opex_per_year: 1200.5}
- {model: "NVIDIA A100-PCIE-40GB", capital: 8000, life_years: 0.5}
tariff: {currency: EUR, price_per_kwh: 0.3}
"""
    h100, a100 = owned(text)
    assert (h100.model, a100.model) == ("NVIDIA H100 80GB HBM3", "NVIDIA A100-PCIE-40GB")
    assert (h100.capital, h100.residual, h100.life_hours) == (30000, 4000, 4 * 8766)
    assert h100.opex_per_hour == Decimal("1200.5") / 8766
    assert h100.rate_per_hour == pytest.approx(Decimal(26000) / 35064 + Decimal("1200.5") / 8766)
    assert (a100.residual, a100.opex_per_hour, a100.life_hours) == (0, 0, 4383)
    assert owned("owned_gpus: []") == owned("{}") == ()


def test_only_what_depends_on_a_calendar_needs_a_time_zone(tmp_path):
    assert read("tariff: {currency: EUR, price_per_kwh: 0.3, holidays: [2026-12-25]}", tmp_path).tariff
    assert read(
        ZONE + "tariff: {currency: EUR, price_per_kwh: 0.3, valid_until: 2026-12-25}", tmp_path
    ).tariff


def test_the_last_day_of_a_version_may_be_its_first(tmp_path):
    text = EUR + "  valid_from: 2026-05-01\n  valid_until: 2026-05-01\n  price_per_kwh: 0.3\n"
    assert read(text, tmp_path).tariff.valid_until == date(2026, 5, 1)


def test_24_names_of_bands_are_allowed(tmp_path):
    bands = (f"{{name: b{h}, hours: ['{h:02}:00-{h + 1:02}:00'], price_per_kwh: 0.{h}}}" for h in range(24))
    (version,) = read(f"{EUR}  bands: [{', '.join(bands)}]\n", tmp_path).tariff.versions
    assert len(version.names) == MOST_BANDS == 24
