"""A range priced anew: by band where there is one, by the clock where not, else a clear line."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from gputally.report import questions
from gputally.report.anew import by_gpu_anew, by_team_anew
from gputally.report.asking import Inquiry
from gputally.report.failures import ReportError, WrongQuestion
from gputally.report.gathering import Wanted
from gputally.report.ranges import Part, Range, read_range
from gputally.report.reprice import Pricing, pieces, read_schedule, stretches
from tests.report.inquiring import Scripted, assert_sums, found, inquiry, number, sample
from tests.report.truth import CARDS, CURRENCY, World

BERLIN = ZoneInfo("Europe/Berlin")
TARIFF = """
site: {{name: lab, timezone: {zone}, pue: {pue}}}
tariff:
  currency: {currency}
  versions:
{versions}
"""
TWO_BANDS = """
    - bands:
        - {name: night, hours: ["22:00-06:00"], price_per_kwh: 0.20}
        - {name: day, price_per_kwh: 0.50}
"""


def schedule(
    folder: Path, versions: str, zone: str = "Europe/Berlin", pue: str = "1.0", currency: str = "EUR"
):
    file = folder / "prices.yml"
    file.write_text(TARIFF.format(zone=zone, pue=pue, currency=currency, versions=versions))
    return file, read_schedule(file)


def local(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=BERLIN).timestamp())


def test_a_range_is_cut_where_a_version_begins_and_where_the_pue_changes(tmp_path):
    months = ", ".join(
        f"{name}: {1.2 if name == 'apr' else 1.1}"
        for name in ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
    )
    versions = """
    - bands: [{name: all, price_per_kwh: 0.1}]
    - valid_from: 2026-03-29
      bands: [{name: all, price_per_kwh: 0.2}]
"""
    _, prices = schedule(tmp_path, versions, pue="{" + months + "}")
    part = Part(local("2026-03-28T12:00"), local("2026-04-02T00:00"), "x")
    cut = pieces(prices, part)
    edges = [part.from_s, local("2026-03-29T00:00"), local("2026-04-01T00:00"), part.until_s]
    assert [(one.part.from_s, one.part.until_s) for one in cut] == list(pairwise(edges))
    assert [(one.price_of("all"), one.pue_e4) for one in cut] == [
        (100_000_000, 11_000),
        (200_000_000, 11_000),
        (200_000_000, 12_000),
    ]
    assert {one.part.day for one in cut} == {"x"}
    assert cut[0].price_of("other") is None


def test_by_the_clock_a_piece_is_cut_where_the_price_changes_on_a_day_of_25_hours(tmp_path):
    _, prices = schedule(tmp_path, TWO_BANDS)
    part = Part(local("2026-10-25T00:00"), local("2026-10-26T00:00"))
    (piece,) = pieces(prices, part)
    cut = stretches(prices, piece)
    assert [one.part.seconds / 3600 for one in cut] == [7, 16, 2]
    assert [one.price_nano for one in cut] == [200_000_000, 500_000_000, 200_000_000]
    assert (cut[0].part.from_s, cut[-1].part.until_s) == (part.from_s, part.until_s)


def test_a_file_without_a_tariff_or_with_a_mistake_is_refused(tmp_path):
    (tmp_path / "a.yml").write_text("log: {level: info}\n")
    with pytest.raises(WrongQuestion, match=r"a\.yml: there is no tariff in it"):
        read_schedule(tmp_path / "a.yml")
    (tmp_path / "b.yml").write_text("tariff: {currency: euro, price_per_kwh: 1}\n")
    with pytest.raises(WrongQuestion, match=r"b\.yml:1:20 tariff.currency: expected three capital letters"):
        read_schedule(tmp_path / "b.yml")
    with pytest.raises(WrongQuestion, match="gone"):
        read_schedule(tmp_path / "gone.yml")


class Meter:
    """Answers for one team whose bands each use a kWh an hour, all of the time, at an old cost of a cent."""

    def __init__(self, *bands: str) -> None:
        self.bands = bands

    def __call__(self, expression: str, _at: int) -> list:
        span = int(re.search(r"\[(\d+)s\]", expression)[1]) / 3600
        if "cost_total" in expression:
            return [sample(Decimal(str(span)) / 100, {"team": "nlp", "currency": "USD"})]
        chosen = re.search(r'tariff="([^"]*)"', expression)
        bands = [band for band in self.bands if chosen is None or band == chosen[1]]
        if "tariff)" in expression:
            return [sample(span, {"team": "nlp", "tariff": band}) for band in bands]
        return [sample(span, {"team": "nlp"}) for _ in bands]


def priced(file, prices, server, *days, by=("team",)):
    whole = read_range(*(days or ("2026-10-24", "2026-10-25")), local("2026-11-01T00:00"), BERLIN)
    asked = Inquiry(server, whole, whole.until_s)
    wanted = Wanted((questions.TEAM_BANDS, questions.TEAM["cost"]), by)
    return Pricing(asked, prices, file, wanted).run(), asked


def test_joules_of_a_band_cost_what_the_band_costs_whenever_they_were_used(tmp_path):
    file, prices = schedule(tmp_path, TWO_BANDS, pue="1.5")
    groups, _ = priced(file, prices, Scripted(Meter("night", "day")))
    (amounts,) = groups.values()
    hours = 24 + 25
    assert amounts.numbers["kwh"] == 2 * hours
    assert amounts.money["EUR"]["cost_new"] == hours * (Decimal("0.2") + Decimal("0.5")) * Decimal("1.5")
    assert amounts.money["USD"]["cost_old"] == Decimal(hours) / 100
    assert "difference" not in amounts.money["EUR"]  # of two currencies there is none


def test_the_difference_is_between_amounts_of_one_currency(tmp_path):
    file, prices = schedule(tmp_path, TWO_BANDS, currency="USD")
    groups, _ = priced(file, prices, Scripted(Meter("night")))
    columns = groups["nlp",].money["USD"]
    assert columns["difference"] == columns["cost_new"] - columns["cost_old"] > 0


def test_each_version_prices_its_own_days(tmp_path):
    versions = """
    - bands: [{name: all, price_per_kwh: 0.1}]
    - valid_from: 2026-10-25
      bands: [{name: all, price_per_kwh: 0.3}]
"""
    file, prices = schedule(tmp_path, versions)
    groups, _ = priced(file, prices, Scripted(Meter("all")))
    assert groups["nlp",].money["EUR"]["cost_new"] == 24 * Decimal("0.1") + 25 * Decimal("0.3")
    days, _ = priced(file, prices, Scripted(Meter("all")), by=("day", "team"))
    assert {key[0]: amounts.money["EUR"]["cost_new"] for key, amounts in days.items()} == {
        "2026-10-24": 24 * Decimal("0.1"),
        "2026-10-25": 25 * Decimal("0.3"),
    }


def test_bands_that_the_file_does_not_have_are_named(tmp_path):
    file, prices = schedule(tmp_path, TWO_BANDS)
    with pytest.raises(ReportError) as caught:
        priced(file, prices, Scripted(Meter("night", "peak", "low")))
    assert str(caught.value) == f"{file}: energy was used in bands that have no price there: low, peak"


def test_a_band_of_one_version_is_unknown_in_another(tmp_path):
    versions = """
    - bands: [{name: old, price_per_kwh: 0.1}]
    - valid_from: 2026-10-25
      bands: [{name: new, price_per_kwh: 0.3}]
"""
    file, prices = schedule(tmp_path, versions)
    with pytest.raises(ReportError, match=r"no price there: new, old$"):
        priced(file, prices, Scripted(Meter("old", "new")))


def test_energy_of_the_time_without_a_tariff_is_priced_by_the_clock(tmp_path):
    file, prices = schedule(tmp_path, TWO_BANDS)
    groups, _ = priced(file, prices, Scripted(Meter("default")), "2026-10-25", "2026-10-25")
    assert groups["nlp",].numbers["kwh"] == 25
    assert groups["nlp",].money["EUR"]["cost_new"] == 9 * Decimal("0.2") + 16 * Decimal("0.5")


def market(folder: Path, hours: range, price: str = "0.{:02}") -> str:
    begin = local("2026-10-25T00:00")
    rows = [
        f"{_iso(begin + hour * 3600)},{_iso(begin + hour * 3600 + 3600)},{price.format(hour + 10)}"
        for hour in hours
    ]
    (folder / "market.csv").write_text("start,end,price_per_kwh\n" + "\n".join(rows) + "\n")
    return """
    - prices: {file: market.csv, name: spot}
      price_per_kwh: 4.0
"""


def _iso(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat()


def test_a_market_price_is_laid_hour_by_hour_over_its_own_band(tmp_path):
    file, prices = schedule(tmp_path, market(tmp_path, range(25)))
    server = Scripted(Meter("spot"))
    groups, _ = priced(file, prices, server, "2026-10-25", "2026-10-25")
    assert groups["nlp",].money["EUR"]["cost_new"] == sum(Decimal(hour + 10) for hour in range(25)) / 100
    assert len([one for one, _ in server.asked if 'tariff="spot"' in one]) == 25


def test_a_market_price_that_does_not_cover_the_range_is_refused(tmp_path):
    file, prices = schedule(tmp_path, market(tmp_path, range(24)))
    with pytest.raises(ReportError) as caught:
        priced(file, prices, Scripted(Meter("spot")), "2026-10-25", "2026-10-25")
    text = str(caught.value)
    assert text.startswith(
        f"{file}: band spot has a price of its own for every hour, and those of the file are only "
    )
    assert text.endswith("from 2026-10-25 00:00+02:00 to 2026-10-25 23:00+01:00")
    # What was used at the fallback price meanwhile can be priced all the same.
    groups, _ = priced(file, prices, Scripted(Meter("fallback")), "2026-10-25", "2026-10-25")
    assert groups["nlp",].money["EUR"]["cost_new"] == 25 * 4


def test_a_price_below_zero_is_no_cost_and_that_is_said(tmp_path):
    file, prices = schedule(tmp_path, market(tmp_path, range(25), "-0.{:02}"))
    groups, asked = priced(file, prices, Scripted(Meter("spot")), "2026-10-25", "2026-10-25")
    assert groups["nlp",].money["EUR"]["cost_new"] == 0
    assert list(asked.notes) == ["Prices below zero are counted as zero, as in the counters of cost."]


def test_too_many_changes_of_the_price_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("gputally.report.reprice._MOST_QUESTIONS", 24)
    file, prices = schedule(tmp_path, market(tmp_path, range(25)))
    with pytest.raises(ReportError, match="25 changes of the price of spot; ask for fewer days"):
        priced(file, prices, Scripted(Meter("spot")), "2026-10-25", "2026-10-25")


DOUBLED = """
    - bands:
        - {name: night, hours: ["22:00-06:00"], price_per_kwh: 0.20}
        - {name: day, price_per_kwh: 0.60}
"""


def yesterday(world: World) -> Range:
    return read_range("yesterday", "", world.end, world.zone)


def test_twice_the_price_is_twice_the_cost_card_by_card(scene, tmp_path):
    file, prices = schedule(tmp_path, DOUBLED, str(scene.world.zone), "1.25")
    sheet = by_gpu_anew(inquiry(scene, "yesterday"), ("gpu",), {}, file, prices)
    day = yesterday(scene.world)
    for row in sheet.rows:
        truth = scene.world.cards[str(row["uuid"])].between("cost", day.from_s, day.until_s)
        assert number(row, "cost_new") == pytest.approx(2 * truth, rel=5e-4)
        assert number(row, "cost_old") == pytest.approx(truth, rel=5e-4)
        assert row["difference"] == row["cost_new"] - row["cost_old"]
        assert row["currency"] == CURRENCY
    assert {row["uuid"] for row in sheet.rows} == set(CARDS)
    assert_sums(sheet, ("kwh", "cost_old", "cost_new", "difference"))


def test_one_band_dearer_costs_what_was_used_in_it_more_team_by_team(scene, tmp_path):
    versions = DOUBLED.replace("0.60", "0.30")
    file, prices = schedule(tmp_path, versions, str(scene.world.zone), "1.25")
    sheet = by_team_anew(inquiry(scene, "yesterday"), "teams", ("team",), {}, file, prices)
    day = yesterday(scene.world)
    for (team,), row in found(sheet, "team").items():
        night = scene.world.of(day.from_s, day.until_s, "night", team=team) / 3.6e6
        assert number(row, "difference") == pytest.approx(night * 0.10 * 1.25, abs=2e-3)
    assert number(sheet.totals[0], "difference") > 0.05
    assert_sums(sheet, ("kwh", "cost_old", "cost_new", "difference"))
