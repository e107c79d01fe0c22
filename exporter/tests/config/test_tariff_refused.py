"""What cannot be a tariff is refused in one line that names file, line and key."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gputally.config.bands import MOST_PRICE, STRONG
from tests.config.badbands import BAD_BANDS, band
from tests.config.badtariffs import BAD_TARIFFS, flat, gpu
from tests.config.sitefiles import complaint, read

BAD = BAD_TARIFFS | BAD_BANDS
# Abbreviations know no place, Etc/GMT+1 is an hour behind and not ahead, right/ counts leap seconds.
NO_ZONES = ["Europe/Bonn", "EST", "CET", "Etc/GMT+1", "GMT", "localtime", "right/Europe/Berlin", "America"]


@pytest.mark.fault("config-tariffs")
@pytest.mark.parametrize("name", BAD)
def test_it_is_refused_in_one_line_that_names_file_line_and_key(tmp_path, name):
    text, message = BAD[name]
    assert complaint(text, tmp_path) == message


def test_the_good_parts_of_these_cases_are_good(tmp_path):
    read(flat(""), tmp_path)
    read(band("name: a, price_per_kwh: 0.2, days: [mon-fri]"), tmp_path)
    read(gpu("{model: x, capital: 1, life_years: 4}"), tmp_path)


@pytest.mark.fault("config-tariffs")
@pytest.mark.parametrize("zone", NO_ZONES)
def test_a_zone_must_be_that_of_a_place(tmp_path, zone):
    what = "expected the time zone of a place, such as Europe/Berlin, or UTC, found"
    assert complaint(f"site: {{timezone: {zone}}}", tmp_path) == f':1:18 site.timezone: {what} "{zone}"'


@pytest.mark.parametrize("zone", ["europe/../asia/tokyo", "/etc/localtime", "+01:00", "Europe/", "a" * 300])
def test_a_zone_is_no_path(tmp_path, zone):
    assert ":1:18 site.timezone: expected the time zone of a place" in complaint(
        f"site: {{timezone: '{zone}'}}", tmp_path
    )


def test_a_zone_in_other_letters_is_named(tmp_path):
    what = 'expected the time zone of a place, such as Asia/Tokyo, or UTC, found "asia/tokyo"'
    assert complaint("site: {timezone: asia/tokyo}", tmp_path) == f":1:18 site.timezone: {what}"


@pytest.mark.parametrize("currency", sorted(STRONG))
def test_where_a_unit_buys_a_kwh_hundreds_of_cents_are_refused(tmp_path, currency):
    assert "from -5 to 5" in complaint(f"tariff: {{currency: {currency}, price_per_kwh: 12}}", tmp_path)


@given(st.from_regex(r"[A-Z]{3}", fullmatch=True).filter(lambda currency: currency not in STRONG))
def test_elsewhere_nobody_knows_what_is_much(tmp_path_factory, currency):
    text = f"tariff: {{currency: '{currency}', price_per_kwh: {MOST_PRICE}}}"
    assert read(text, tmp_path_factory.getbasetemp()).tariff.currency == currency
