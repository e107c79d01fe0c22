"""Rows that somebody wrote down: each ages from its own day on."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from gputally.config.market import PriceRow
from gputally.site.market import cards, static
from gputally.site.market.http import Http
from tests.site.market.asked import only, settings

DAY_SECONDS = 86_400
NOVEMBER = datetime(2026, 11, 1, tzinfo=UTC).timestamp()
URL = "https://example.com/prices"


def row(day: date = date(2026, 11, 1), **more) -> PriceRow:
    return PriceRow(
        **{
            "provider": "render",
            "card": "rtx4090-24gb",
            "usd_per_gpu_hour": Decimal("0.69"),
            "source_url": URL,
            "as_of": day,
            "host_tier": "community",
        }
        | more
    )


def told(*rows: PriceRow, days: float = 120):
    return settings(
        "static", name="render", options={"rows": rows}, max_age_seconds=days * DAY_SECONDS, recording=False
    )


def test_a_row_is_an_offer_with_its_source_and_day():
    report = static.report(told(row(region="EU", country="DE", node_gpus=4)), cards.load(), NOVEMBER)
    offer = only(report.fetched)
    assert (offer.provider, offer.card, offer.usd_per_gpu_hour) == ("render", "rtx4090-24gb", Decimal("0.69"))
    assert (offer.price_tier, offer.host_tier) == ("ondemand", "community")
    assert (offer.region, offer.country, offer.node_gpus, offer.available_gpus) == ("EU", "DE", 4, None)
    assert (offer.url, offer.note) == (URL, "as of 2026-11-01")
    assert (report.provider, report.basis, report.source) == ("render", "list", "file")


def test_a_price_in_another_currency_is_told_as_it_was_published():
    report = static.report(told(row(listed="0.59 EUR")), cards.load(), NOVEMBER)
    assert only(report.fetched).note == "0.59 EUR, as of 2026-11-01"


def test_the_report_is_as_old_as_its_newest_row():
    settings = told(row(), row(date(2026, 8, 1), card="l40s-48gb"))
    report = static.report(settings, cards.load(), NOVEMBER + DAY_SECONDS)
    assert report.success_seconds == NOVEMBER
    assert (report.fetches, report.failures) == (1, {})
    assert report.fresh(NOVEMBER + 119 * DAY_SECONDS)
    assert not report.fresh(NOVEMBER + 120 * DAY_SECONDS)


def test_a_row_that_is_too_old_is_left_out_beside_one_that_is_not():
    settings = told(row(), row(date(2026, 8, 1), card="l40s-48gb"))
    catalogue = cards.load()

    def shown(days: float) -> list[str]:
        report = static.report(settings, catalogue, NOVEMBER + timedelta(days=days).total_seconds())
        return [offer.card for offer in report.fetched.offers] if report.fetched else []

    assert shown(27) == ["rtx4090-24gb", "l40s-48gb"]
    assert shown(28) == ["rtx4090-24gb"]
    assert shown(120) == []


@pytest.mark.fault("provider-prices")
def test_a_price_that_nobody_believes_is_counted():
    catalogue = cards.load()
    bad = row(usd_per_gpu_hour=Decimal(900))
    assert static.report(told(row(), bad), catalogue, NOVEMBER).fetched.rejected == {"implausible": 1}
    report = static.report(told(bad), catalogue, NOVEMBER)
    assert (report.fetched, report.failures) == (None, {"empty": 1})


def test_it_can_be_asked_as_any_other():
    assert only(static.fetch(Http(), told(row()), cards.load())).card == "rtx4090-24gb"


def test_without_rows_there_is_nothing():
    report = static.report(settings("static"), cards.load(), NOVEMBER)
    assert (report.fetched, report.success_seconds) == (None, None)
