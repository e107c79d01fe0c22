"""What is declared, at one instant: every figure of every kind of declaration."""

from datetime import datetime, timedelta

import pytest

from tests.site.declaring import BERLIN, FULL, StoppedClock, publisher, series, settings

NOON = datetime(2026, 7, 1, 12, 0, tzinfo=BERLIN)  # a Wednesday
HOUR = timedelta(hours=1)


def figures(folder, text, moment=NOON):
    clock = StoppedClock()
    clock.set(moment)
    one = publisher(settings(folder, text), clock)
    one.publish()
    return one.latest.site


def test_without_a_declaration_everything_says_that_it_is_the_default(tmp_path):
    site = figures(tmp_path, "")
    assert site.info == {("", "UTC", "USD", "default", "default"): 1}
    assert site.prices == site.price_now == {("default", "USD"): 0.12}
    assert site.carbon_grams == {"default": 475.0}
    assert site.pue_ratio == 1.0
    assert site.tariff_end_seconds is None
    assert site.owned_capital == {}


def test_every_band_of_the_version_in_force_has_its_price_with_surcharges(tmp_path):
    site = figures(tmp_path, FULL)
    assert site.info == {("lab", "Europe/Berlin", "EUR", "configured", "configured"): 1}
    assert site.prices == {("day", "EUR"): 0.30, ("night", "EUR"): 0.22}
    assert site.price_now == {("day", "EUR"): 0.30}
    assert site.pue_ratio == 1.25
    assert site.carbon_grams == {"declared": 380.5}
    end = datetime(2028, 1, 1, tzinfo=BERLIN)
    assert site.tariff_end_seconds == end.timestamp()


def test_a_version_that_is_not_in_force_shows_no_band(tmp_path):
    before = datetime(2026, 3, 31, 23, 59, 59, tzinfo=BERLIN)
    assert figures(tmp_path, FULL, before).prices == {("flat", "EUR"): 0.30}
    assert figures(tmp_path, FULL, before + timedelta(seconds=1)).prices.keys() == {
        ("day", "EUR"),
        ("night", "EUR"),
    }


def test_owned_gpus_in_the_tariffs_currency_and_by_the_hour(tmp_path):
    site = figures(tmp_path, FULL)
    h100, odd = ("NVIDIA H100 80GB HBM3", "EUR"), ('Quote " and \\', "EUR")
    assert site.owned_capital == {h100: 30000.0, odd: 1000.0}
    assert site.owned_residual == {h100: 4000.0, odd: 0.0}
    assert site.owned_life_seconds == {h100[0]: 4 * 8766 * 3600.0, odd[0]: 8766 * 3600.0}
    assert site.owned_opex == {h100: pytest.approx(1200 / 8766), odd: 0.0}
    assert site.owned_rate == {
        h100: pytest.approx(26000 / (4 * 8766) + 1200 / 8766, rel=1e-15),
        odd: pytest.approx(1000 / 8766, rel=1e-15),
    }


DYNAMIC = """
site: {timezone: Europe/Berlin}
tariff:
  currency: EUR
  surcharges_per_kwh: {grid: 0.1}
  price_per_kwh: 0.25
  prices: {file: prices.csv, name: spot}
carbon: {country: DE, file: carbon.csv}
"""


def test_prices_of_a_file_with_their_fallback_and_where_carbon_comes_from(tmp_path):
    (tmp_path / "prices.csv").write_text(
        series((NOON, NOON + HOUR, "0.05"), (NOON + HOUR, NOON + 2 * HOUR, "-0.3"))
    )
    (tmp_path / "carbon.csv").write_text(series((NOON, NOON + HOUR, "210"), column="grams_per_kwh"))
    site = figures(tmp_path, DYNAMIC)
    assert site.prices == {("fallback", "EUR"): 0.35, ("spot", "EUR"): 0.15}
    assert site.price_now == {("spot", "EUR"): 0.15}
    assert site.carbon_grams == {"file": 210.0}
    assert site.tariff_end_seconds == (NOON + 2 * HOUR).timestamp()
    later = figures(tmp_path, DYNAMIC, NOON + HOUR)
    assert later.price_now == {("spot", "EUR"): -0.2}
    assert later.carbon_grams.keys() == {"country"}
    past = figures(tmp_path, DYNAMIC, NOON + 2 * HOUR)
    assert past.prices == past.price_now == {("fallback", "EUR"): 0.35}
    assert past.tariff_end_seconds == (NOON + 2 * HOUR).timestamp()


def test_an_hour_for_nothing_has_a_price_and_carbon_of_nothing_too(tmp_path):
    """Zero is not absent."""
    (tmp_path / "prices.csv").write_text(series((NOON, NOON + HOUR, "0")))
    (tmp_path / "carbon.csv").write_text(series((NOON, NOON + HOUR, "0"), column="grams_per_kwh"))
    site = figures(tmp_path, DYNAMIC.replace("  surcharges_per_kwh: {grid: 0.1}\n", ""))
    assert site.prices == {("fallback", "EUR"): 0.25, ("spot", "EUR"): 0.0}
    assert site.price_now == {("spot", "EUR"): 0.0}
    assert site.carbon_grams == {"file": 0.0}


def test_carbon_of_a_file_alone_is_configured_too(tmp_path):
    (tmp_path / "carbon.csv").write_text(series((NOON, NOON + HOUR, "210"), column="grams_per_kwh"))
    site = figures(tmp_path, "carbon: {file: carbon.csv}", NOON - HOUR)
    assert site.info == {("", "UTC", "USD", "default", "configured"): 1}
    assert site.carbon_grams == {"default": 475.0}


def test_a_pue_by_month_is_that_of_the_local_month(tmp_path):
    months = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
    pues = ", ".join(f"{name}: 1.{number:02}" for number, name in enumerate(months, start=1))
    text = f"site: {{timezone: Europe/Berlin, pue: {{{pues}}}}}"
    last = datetime(2026, 7, 31, 23, 59, 59, tzinfo=BERLIN)
    assert figures(tmp_path, text, last).pue_ratio == 1.07
    assert figures(tmp_path, text, last + timedelta(seconds=1)).pue_ratio == 1.08
