"""RunPod's reply: two kinds of hosts, three of prices, and errors that come with HTTP 200."""

from __future__ import annotations

import json

import pytest

from gputally.site.market import runpod
from tests.site.market.asked import failed, fetch, only, prices

H100 = {
    "id": "NVIDIA H100 80GB HBM3",
    "displayName": "H100 SXM",
    "manufacturer": "Nvidia",
    "memoryInGb": 80,
    "maxGpuCount": 8,
    "secureCloud": True,
    "communityCloud": True,
    "securePrice": 2.69,
    "communityPrice": 2.49,
    "secureSpotPrice": 1.75,
    "communitySpotPrice": 1.25,
    "oneMonthPrice": 2.38,
    "threeMonthPrice": 2.26,
    "secure": {"uninterruptablePrice": 2.65, "minimumBidPrice": 1.6, "stockStatus": "High"},
    "community": {"uninterruptablePrice": 2.45, "minimumBidPrice": 1.2, "stockStatus": "Low"},
}
NOTHING = {"uninterruptablePrice": None, "minimumBidPrice": None, "stockStatus": None}


def reply(*rows: dict[str, object]) -> object:
    return {"data": {"gpuTypes": list(rows)}}


def with_only(**fields) -> dict[str, object]:
    """A kind of GPU that is rented in one way alone."""
    return H100 | {"communityCloud": False, "oneMonthPrice": None, "secureSpotPrice": 0} | fields


def test_one_query_asks_for_everything_without_a_key():
    seen = []
    fetch("runpod", reply(H100), seen)
    (asked,) = seen
    assert (asked.method, asked.path) == ("POST", "/graphql")
    query = json.loads(asked.body)["query"]
    assert all(field in query for field in H100)
    assert "Authorization" not in asked.headers


def test_a_key_goes_along_where_there_is_one(tmp_path):
    (tmp_path / "key").write_text("a-key\n")
    seen = []
    fetch("runpod", reply(H100), seen, api_key_file=tmp_path / "key")
    assert seen[0].headers["Authorization"] == "Bearer a-key"


def test_every_price_is_an_offer_of_its_tier_and_host():
    fetched = fetch("runpod", reply(H100))
    assert prices(fetched) == [
        ("h100-sxm5-80gb", 2.65, "ondemand", "datacenter"),
        ("h100-sxm5-80gb", 1.6, "spot", "datacenter"),
        ("h100-sxm5-80gb", 2.45, "ondemand", "community"),
        ("h100-sxm5-80gb", 1.2, "spot", "community"),
        ("h100-sxm5-80gb", 2.38, "reserved", "datacenter"),
    ]
    assert {offer.provider for offer in fetched.offers} == {"runpod"}
    assert {offer.available_gpus for offer in fetched.offers} == {None}
    assert [offer.note for offer in fetched.offers] == [
        *["stock: high"] * 2,
        *["stock: low"] * 2,
        "stock: high, for a month",
    ]
    assert (fetched.rejected, fetched.unmapped, fetched.truncated) == ({}, (), False)


@pytest.mark.parametrize("lowest", [None, NOTHING, {}, "gone"])
def test_where_nothing_is_to_be_had_the_list_price_stands_with_none_available(lowest):
    offer = only(fetch("runpod", reply(with_only(secure=lowest))))
    assert (float(offer.usd_per_gpu_hour), offer.available_gpus) == (2.69, 0)


def test_stock_of_which_nothing_is_said_is_unknown():
    lowest = {"uninterruptablePrice": 2.5, "minimumBidPrice": None, "stockStatus": None}
    offer = only(fetch("runpod", reply(with_only(secure=lowest))))
    assert (float(offer.usd_per_gpu_hour), offer.available_gpus, offer.note) == (2.5, None, "")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"id": "NVIDIA RTX PRO 6000 Blackwell Server Edition MIG 1g.24gb", "memoryInGb": 24}, "mig"),
        ({"id": "NVIDIA H100 80GB HBM3 MIG 3g.40gb"}, "mig"),
        ({"id": "unknown", "memoryInGb": 0}, "unmapped"),
        ({"id": None}, "unmapped"),
        ({"memoryInGb": 40}, "unmapped"),
        ({"secureCloud": False}, "no_price"),
        ({"secureCloud": None}, "no_price"),
        ({"secureCloud": "yes"}, "no_price"),
        ({"securePrice": None, "secure": None}, "no_price"),
        ({"securePrice": 0, "secure": NOTHING}, "no_price"),
        ({"securePrice": "2.69", "secure": None}, "no_price"),
        ({"securePrice": -2.69, "secure": None}, "no_price"),
        ({"securePrice": 26900, "secure": None}, "implausible"),
    ],
)
def test_a_row_that_is_no_offer_is_counted_by_reason(fields, reason):
    fetched = fetch("runpod", reply(H100, with_only(**fields)))
    assert len(fetched.offers) == 5
    assert fetched.rejected == {reason: 1}


def test_what_nobody_knows_is_named():
    fetched = fetch("runpod", reply(H100, H100 | {"id": "NVIDIA Z9000", "memoryInGb": 512}))
    assert fetched.unmapped == ("NVIDIA Z9000 (512 GiB)",)


@pytest.mark.parametrize(
    ("body", "reason", "words"),
    [
        ({"errors": [{"message": "Cannot query field\n'stockStatus'"}]}, "schema", "field 'stockStatus'"),
        ({"errors": [{}], "data": None}, "schema", "no reason is given"),
        ({"errors": "overloaded", "data": {"gpuTypes": [H100]}}, "schema", "no reason is given"),
        ({"data": None}, "schema", "data"),
        ({"data": {}}, "schema", "data.gpuTypes is missing"),
        ({"data": {"gpuTypes": {}}}, "schema", "expected a list at data.gpuTypes"),
        ({"data": {"gpuTypes": [None]}}, "schema", "data.gpuTypes[0]"),
        ({"data": {"gpuTypes": []}}, "empty", "no row"),
        ({"data": {"gpuTypes": [with_only(secureCloud=False)]}}, "empty", "1 no_price"),
        ([], "schema", "the top"),
    ],
)
def test_a_reply_that_is_wrong_as_a_whole_is_refused(body, reason, words):
    failure = failed("runpod", body)
    assert failure.reason == reason
    assert words in str(failure)


def test_it_is_asked_at_its_own_address_by_itself():
    assert (runpod.DEFAULT_URL + runpod.PATH, runpod.BASIS) == ("https://api.runpod.io/graphql", "gpu_only")
