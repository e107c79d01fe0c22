"""Akash's reply: statistics of bids, models without any, and a column that is not to be trusted."""

from __future__ import annotations

import pytest

from gputally.site.market import akash
from tests.site.market.asked import failed, fetch, only, prices

PRICE = {"currency": "USD", "min": 1.1, "max": 2.91, "avg": 1.8, "weightedAverage": 1.75, "med": 1.69}
H100 = {
    "vendor": "nvidia",
    "model": "h100",
    "ram": "80Gi",
    "interface": "SXM5",
    "availability": {"total": 120, "available": 37},
    "providerAvailability": {"total": 9, "available": 6},
    "price": PRICE,
    "priceUakt": PRICE | {"currency": "uakt", "med": 21_000_000},
}


def reply(*models: object) -> dict[str, object]:
    return {"availability": {"total": 320, "available": 91}, "models": list(models)}


def test_the_median_of_the_bids_stands_for_the_model():
    seen = []
    offer = only(fetch("akash", reply(H100), seen))
    assert [(one.method, one.path) for one in seen] == [("GET", "/v1/gpu-prices")]
    assert (offer.provider, offer.card, float(offer.usd_per_gpu_hour)) == ("akash", "h100-sxm5-80gb", 1.69)
    assert (offer.price_tier, offer.host_tier) == ("ondemand", "community")
    assert (offer.node_gpus, offer.available_gpus) == (1, 37)  # GPUs, not providers
    assert offer.reliability_ratio is offer.nvlink is None
    assert offer.note == "median of bids from 1.10 to 2.91"
    assert akash.BASIS == "bid_stats"


@pytest.mark.parametrize(
    ("fields", "card"),
    [
        ({"interface": "SXM"}, "h100-sxm5-80gb"),
        ({"interface": "PCIe"}, "h100-pcie-80gb"),
        ({"interface": "Nothsure"}, "h100-80gb"),
        ({"interface": None}, "h100-80gb"),
        ({"model": "h200", "ram": "141Gi", "interface": "Nothsure"}, "h200-sxm5-141gb"),
        ({"model": "a100", "ram": "40Gi", "interface": "SXM4"}, "a100-sxm4-40gb"),
        ({"model": "a100", "ram": "80Gi", "interface": "SXM"}, "a100-sxm4-80gb"),
        ({"model": "rtx4060ti", "ram": "16Gi", "interface": "PCIe"}, "rtx4060ti-16gb"),
        ({"model": "rtx4000sffada", "ram": "20Gi", "interface": "PCIe"}, "rtx4000sffada-20gb"),
        ({"vendor": "amd", "model": "mi100", "ram": "32Gi", "interface": "PCIe"}, "mi100-32gb"),
    ],
)
def test_a_dirty_interface_is_not_believed(fields, card):
    assert only(fetch("akash", reply(H100 | fields))).card == card


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"price": None}, "no_price"),  # nobody bid
        ({"price": PRICE | {"med": None}}, "no_price"),
        ({"price": PRICE | {"med": 0}}, "no_price"),
        ({"price": PRICE | {"med": "1.69"}}, "no_price"),
        ({"price": PRICE | {"med": 0.02}}, "implausible"),
        ({"price": PRICE | {"med": 390}}, "implausible"),
        ({"price": PRICE | {"currency": "uakt"}}, "currency"),
        ({"price": PRICE | {"currency": "EUR"}}, "currency"),
        ({"model": "h1000"}, "unmapped"),
        ({"model": None}, "unmapped"),
        ({"ram": "64Gi"}, "unmapped"),
    ],
)
def test_a_model_that_is_no_offer_is_counted_by_reason(fields, reason):
    fetched = fetch("akash", reply(H100, H100 | fields))
    assert prices(fetched) == [("h100-sxm5-80gb", 1.69, "ondemand", "community")]
    assert fetched.rejected == {reason: 1}


@pytest.mark.parametrize(
    "availability", [None, {}, {"available": None}, {"available": "3"}, {"available": -1}, 3]
)
def test_availability_that_is_not_told_is_unknown(availability):
    assert only(fetch("akash", reply(H100 | {"availability": availability}))).available_gpus is None


def test_none_available_is_not_unknown():
    assert only(fetch("akash", reply(H100 | {"availability": {"available": 0}}))).available_gpus == 0


def test_bids_without_a_range_have_no_range_in_the_note():
    price = {"currency": "USD", "med": 1.69}
    assert only(fetch("akash", reply(H100 | {"price": price}))).note == "median of bids"


@pytest.mark.parametrize(
    ("body", "reason", "words"),
    [
        (reply(), "empty", "no row at models"),
        (reply(H100 | {"price": None}), "empty", "1 no_price"),
        ({"availability": {}}, "schema", "models is missing"),
        ({"models": {"h100": {}}}, "schema", "expected a list at models"),
        (reply("h100"), "schema", "models[0]"),
        ([], "schema", "the top"),
    ],
)
def test_a_reply_that_is_wrong_as_a_whole_is_refused(body, reason, words):
    failure = failed("akash", body)
    assert failure.reason == reason
    assert words in str(failure)


def test_it_is_asked_at_its_own_address_by_itself():
    assert akash.DEFAULT_URL + akash.PATH == "https://console-api.akash.network/v1/gpu-prices"
