"""The blocks `market`, `rentals` and `plans`: what they can say, and what both agents make of them."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from gputally.cli.options import combine
from gputally.config.market import (
    KINDS,
    GScore,
    MarketSettings,
    Plan,
    PriceRow,
    ProviderSettings,
    Rental,
)
from gputally.config.settings import NodeSettings, SiteSettings, read_file
from tests.config.marketfiles import FOLDER, check_card, market, read

EUR = {"EUR": Decimal("1.16")}
FULL = """
market:
  interval: 20m
  max_series: 300
  region: country
  rates: {EUR: 1.16}
  gscore: {price: 0.6, reliability: 0.3, availability: 0.1, gpus: 16}
  aliases: {"my H100 box": h100-sxm5-80gb}
  providers:
    vast: {}
    akash: {interval: 30m, max_age: 2h}
    lambda: {api_key_file: lambda.key}
    runpod: {base_url: "http://127.0.0.1:9840/runpod/", recording: true}
    verda: {base_url: "https://mirror.example.com", api_key_file: /etc/verda.key}
    static:
      rows:
        - {provider: render, card: rtx4090-24gb, usd_per_gpu_hour: 0.69, host_tier: community,
           source_url: "https://example.com/prices?gpu=4090#table", as_of: 2026-11-01}
        - {provider: house, card: l40s-48gb, usd_per_gpu_hour: 1, source_url: "https://example.com",
           as_of: 2026-10-01}
        - {provider: render, card: l40s-48gb, usd_per_gpu_hour: 1.5, price_tier: reserved, region: "EU west",
           country: DE, node_gpus: 8, source_url: "https://example.com", as_of: 2026-11-01}
    clouds: {names: [aws, gcp]}
rentals:
  - {name: training, team: nlp, provider: lambda, card: h100-sxm5-80gb, gpus: 4, hours_per_day: 12,
     usd_per_gpu_hour: 2.5, price_tier: reserved, host_tier: community, alert_usd_per_month: 500}
  - {name: small, provider: someone-else, card: l40s-48gb, gpus: 1, usd_per_gpu_hour: 0.8}
plans:
  - {name: fine tune, tflops: 5000, vram_gib: 24, hours: 48, target_usd: 900}
  - {name: sweep, gpus: 8, card: l40s-48gb, hours: 0.5, provider: vast, price_tier: spot,
     host_tier: community}
  - {name: big, total_flops: 1.5e22, mfu: 0.35, deadline: 14d}
"""


def test_all_that_can_be_said_of_the_market():
    found, _rentals, _plans = read(FULL)
    assert found is not None
    assert (found.max_series, found.region, found.rates) == (300, "country", EUR)
    assert found.gscore == GScore(Decimal("0.6"), Decimal("0.3"), Decimal("0.1"), 16)
    assert found.aliases == {"my H100 box": "h100-sxm5-80gb"}
    assert [(one.name, one.kind) for one in found.providers] == [
        *((kind, kind) for kind in ("vast", "akash", "runpod", "lambda", "verda")),
        *((name, "static") for name in ("render", "house")),
        *((name, "clouds") for name in ("aws", "gcp")),
    ]
    assert all(one.rates == EUR for one in found.providers)


def test_a_provider_is_asked_as_it_says_and_else_as_the_market_says():
    by_name = {one.name: one for one in read(FULL)[0].providers}
    assert by_name["vast"] == ProviderSettings("vast", "vast", None, 1200.0, 3600.0, rates=EUR)
    assert by_name["akash"] == ProviderSettings("akash", "akash", None, 1800.0, 7200.0, rates=EUR)
    assert by_name["lambda"].api_key_file == FOLDER / "lambda.key"
    assert by_name["verda"].api_key_file == Path("/etc/verda.key")
    assert (by_name["runpod"].base_url, by_name["runpod"].recording) == ("http://127.0.0.1:9840/runpod", True)
    assert (by_name["aws"].interval_seconds, by_name["aws"].max_age_seconds) == (86_400, 2 * 86_400)


def test_rows_belong_to_the_providers_that_they_name():
    by_name = {one.name: one for one in read(FULL)[0].providers}
    first, second = by_name["render"].options["rows"]
    assert first == PriceRow(
        "render",
        "rtx4090-24gb",
        Decimal("0.69"),
        "https://example.com/prices?gpu=4090#table",
        date(2026, 11, 1),
        host_tier="community",
    )
    assert (second.price_tier, second.region, second.country, second.node_gpus) == (
        "reserved",
        "EU west",
        "DE",
        8,
    )
    assert len(by_name["house"].options["rows"]) == 1
    assert by_name["house"].max_age_seconds == 120 * 86_400


def test_what_is_said_of_rentals_and_plans():
    _found, (training, small), (tune, sweep, big) = read(FULL)
    assert training == Rental(
        "training",
        "lambda",
        "h100-sxm5-80gb",
        4,
        Decimal("2.5"),
        Decimal(12),
        "nlp",
        "reserved",
        "community",
        Decimal(500),
    )
    assert small == Rental("small", "someone-else", "l40s-48gb", 1, Decimal("0.8"))
    assert (small.hours_per_day, small.team, small.alert_usd_per_month) == (24, "", None)
    assert tune == Plan(
        "fine tune", Decimal(48), tflops=Decimal(5000), vram_gib=Decimal(24), target_usd=Decimal(900)
    )
    assert sweep == Plan(
        "sweep",
        Decimal("0.5"),
        gpus=8,
        card="l40s-48gb",
        provider="vast",
        price_tier="spot",
        host_tier="community",
    )
    assert big == Plan("big", Decimal(14 * 24), total_flops=Decimal("1.5e22"), mfu=Decimal("0.35"))
    assert tune.mfu == Decimal("0.4")


def test_a_market_of_which_nothing_is_said_has_its_defaults_and_asks_nobody():
    assert market("") == MarketSettings()
    assert market("providers: {}") == MarketSettings()
    assert (MarketSettings().max_series, MarketSettings().region) == (5000, "all")
    assert MarketSettings().gscore == GScore(Decimal("0.5"), Decimal("0.3"), Decimal("0.2"), 8)
    assert read("{}") == (None, (), ())


def test_a_provider_of_which_nothing_is_said_is_asked_every_ten_minutes_and_shown_for_half_an_hour():
    (vast,) = market("providers: {vast: {}}").providers
    assert vast == ProviderSettings("vast", "vast")
    assert (vast.interval_seconds, vast.max_age_seconds, vast.recording) == (600, 1800, False)


def test_every_kind_can_be_configured_and_none_is_unless_it_is_listed():
    needs = {
        "lambda": "{api_key_file: k}",
        "clouds": "{names: [oci]}",
        "static": (
            '{rows: [{provider: a, card: l40s-48gb, usd_per_gpu_hour: 1, source_url: "http://e.org", '
            "as_of: 2026-01-01}]}"
        ),
    }
    for kind in KINDS:
        (one,) = market(f"providers: {{{kind}: {needs.get(kind, '{}')}}}").providers
        assert one.kind == kind


@pytest.mark.parametrize(
    ("amount", "usd", "listed"),
    [("0.75, currency: EUR", "0.87", "0.75 EUR"), ("120, currency: JPY", "0.78", "120 JPY")],
)
def test_a_row_in_another_currency_is_converted_and_keeps_what_it_says(amount, usd, listed):
    row = (
        f'provider: a, card: l40s-48gb, source_url: "http://e.org", as_of: 2026-01-01, per_gpu_hour: {amount}'
    )
    (one,) = market(
        f"rates: {{EUR: 1.16, JPY: 0.0065}}, providers: {{static: {{rows: [{{{row}}}]}}}}"
    ).providers
    (found,) = one.options["rows"]
    assert (found.usd_per_gpu_hour, found.listed) == (Decimal(usd), listed)


def test_a_recording_of_lambda_needs_no_key():
    (one,) = market('providers: {lambda: {base_url: "http://127.0.0.1:1", recording: true}}').providers
    assert one.api_key_file is None


@pytest.mark.parametrize(
    "address", ["http://127.0.0.2:1", "http://[::1]:1", "http://localhost", "https://e.org"]
)
def test_a_key_goes_along_where_nobody_can_read_it(address):
    (one,) = market(f'providers: {{vast: {{base_url: "{address}", api_key_file: k}}}}').providers
    assert one.base_url == address


def test_the_site_agent_keeps_all_of_it_and_the_node_agent_only_reads_it(tmp_path):
    file = tmp_path / "gputally.yml"
    file.write_text(FULL)
    assert combine(file, {}, NodeSettings) == NodeSettings()
    site = combine(file, {}, SiteSettings)
    assert site.market is not None
    assert (len(site.market.providers), len(site.rentals), len(site.plans)) == (9, 2, 3)
    assert site.market.providers[3].api_key_file == tmp_path / "lambda.key"
    file.write_text(FULL.replace("l40s-48gb, gpus", "l40s-24gb, gpus"))
    for agent in (NodeSettings, SiteSettings):
        with pytest.raises(Exception, match=r"gputally.yml:\d+:\d+ rentals\[1\].card: "):
            combine(file, {}, agent)


def test_who_knows_no_cards_reads_the_blocks_all_the_same(tmp_path):
    (tmp_path / "gputally.yml").write_text(FULL)
    given = read_file(tmp_path / "gputally.yml", check_card=check_card, agent=SiteSettings)
    assert {"market", "rentals", "plans"} <= given.keys()
    assert read_file(tmp_path / "gputally.yml", agent=SiteSettings) == given
