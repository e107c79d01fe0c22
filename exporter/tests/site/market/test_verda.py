"""Verda's reply: prices in quotes, memory of all GPUs together, and the currency that it says."""

from __future__ import annotations

from decimal import Decimal

import pytest

from gputally.site.market import verda
from tests.site.market.asked import failed, fetch, only, prices

H100 = {
    "instance_type": "2H100.80S.60V",
    "model": "H100",
    "gpu": {"description": "2x H100 SXM5 80GB", "number_of_gpus": 2},
    "gpu_memory": {"description": "160GB GPU RAM", "size_in_gigabytes": 160},
    "p2p": None,
    "price_per_hour": "4.58",
    "spot_price": "1.84",
    "currency": "usd",
}


def test_prices_are_those_of_one_gpu_and_memory_too():
    seen = []
    fetched = fetch("verda", [H100], seen)
    assert prices(fetched) == [
        ("h100-sxm5-80gb", 2.29, "ondemand", "datacenter"),
        ("h100-sxm5-80gb", 0.92, "spot", "datacenter"),
    ]
    for offer in fetched.offers:
        assert (offer.node_gpus, offer.available_gpus, offer.offer_id) == (2, None, "2H100.80S.60V")
        assert (offer.provider, offer.region) == ("verda", "")
    assert [(one.method, one.path) for one in seen] == [("GET", "/v1/instance-types?currency=usd")]


def test_a_token_goes_along_where_there_is_one(tmp_path):
    (tmp_path / "token").write_text("a-token")
    seen = []
    fetch("verda", [H100], seen, api_key_file=tmp_path / "token")
    fetch("verda", [H100], seen)
    assert [one.headers.get("Authorization") for one in seen] == ["Bearer a-token", None]


@pytest.mark.parametrize("spot", [None, "", "0", "0.00", 0])
def test_a_type_without_a_spot_price_has_one_price(spot):
    assert only(fetch("verda", [H100 | {"spot_price": spot}])).price_tier == "ondemand"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"gpu": {"description": "", "number_of_gpus": 0}}, "cpu_only"),
        ({"gpu": {"description": "2x H100 SXM5 80GB"}}, "no_count"),
        ({"gpu_memory": {"size_in_gigabytes": 80}}, "unmapped"),
        ({"gpu": {"description": "2x Quantum 9", "number_of_gpus": 2}}, "unmapped"),
        ({"currency": "eur"}, "currency"),
        ({"currency": None}, "currency"),
        ({"price_per_hour": None, "spot_price": None}, "no_price"),
        ({"price_per_hour": "soon", "spot_price": None}, "no_price"),
        ({"price_per_hour": "-4.58", "spot_price": None}, "no_price"),
        ({"price_per_hour": "NaN", "spot_price": None}, "no_price"),
        ({"price_per_hour": "4580.0", "spot_price": None}, "implausible"),
    ],
)
def test_a_row_that_is_no_offer_is_counted_by_reason(fields, reason):
    fetched = fetch("verda", [H100, H100 | fields])
    assert len(fetched.offers) == 2
    assert set(fetched.rejected) == {reason}


@pytest.mark.fault("provider-prices")
def test_another_currency_is_converted_where_there_is_a_rate():
    row = H100 | {"currency": "EUR", "spot_price": None}
    offer = only(fetch("verda", [row], rates={"EUR": Decimal("1.16")}))
    assert offer.usd_per_gpu_hour == Decimal("4.58") * Decimal("1.16") / 2


@pytest.mark.parametrize(
    ("body", "reason", "words"),
    [
        ([], "empty", "no row"),
        ({}, "schema", "expected a list at the top"),
        ({"code": "unauthorized_request", "message": "Access token is missing"}, "schema", "the top"),
        (["2H100"], "schema", "the top[0]"),
        ([{k: v for k, v in H100.items() if k != "gpu"}], "schema", "[0].gpu"),
        ([H100 | {"gpu_memory": "160GB"}], "schema", "[0].gpu_memory"),
        ([H100 | {"currency": "eur"}], "empty", "1 currency"),
    ],
)
def test_a_reply_that_is_wrong_as_a_whole_is_refused(body, reason, words):
    failure = failed("verda", body)
    assert failure.reason == reason
    assert words in str(failure)


def test_it_is_asked_at_its_own_address_by_itself():
    assert verda.DEFAULT_URL + verda.PATH == "https://api.datacrunch.io/v1/instance-types"
    assert verda.BASIS == "instance"
