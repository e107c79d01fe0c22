"""Lambda's reply: cents for an instance, and the regions with room beside it."""

from __future__ import annotations

import pytest

from gputally.site.market import lambdalabs
from gputally.site.market.http import FetchFailed
from tests.site.market.asked import failed, fetch, only

INSTANCE = {
    "name": "gpu_8x_h100_sxm5",
    "description": "8x H100 (80 GB SXM5)",
    "gpu_description": "H100 (80 GB SXM5)",
    "price_cents_per_hour": 2392,
    "specs": {"vcpus": 208, "memory_gib": 1800, "storage_gib": 22528, "gpus": 8},
}
REGIONS = [
    {"name": "us-west-1", "description": "California, USA"},
    {"name": "europe-central-1", "description": "Germany"},
    {"name": "moon-east-1", "description": "Tranquility, Moon"},
]


def reply(instance: object = INSTANCE, regions: object = (), **more) -> object:
    return {"data": {"it": {"instance_type": instance, "regions_with_capacity_available": regions} | more}}


def test_the_price_is_that_of_one_gpu_in_every_region_with_room():
    fetched = fetch("lambda", reply(regions=REGIONS))
    assert [(o.region, o.country, o.available_gpus) for o in fetched.offers] == [
        ("us-west-1", "US", None),
        ("europe-central-1", "DE", None),
        ("moon-east-1", "", None),
    ]
    for offer in fetched.offers:
        assert (offer.card, float(offer.usd_per_gpu_hour), offer.node_gpus) == ("h100-sxm5-80gb", 2.99, 8)
        assert (offer.provider, offer.price_tier, offer.host_tier) == ("lambda", "ondemand", "datacenter")
        assert offer.offer_id == "gpu_8x_h100_sxm5"


def test_what_no_region_has_is_sold_out():
    offer = only(fetch("lambda", reply(regions=[])))
    assert (offer.region, offer.available_gpus) == ("", 0)


def test_the_key_is_sent_as_a_bearer_and_read_anew_every_time(tmp_path):
    file = tmp_path / "lambda.key"
    seen = []
    for key in ("first-key", "second-key"):
        file.write_text(f"{key}\n")
        fetch("lambda", reply(), seen, api_key_file=file, recording=False)
    assert [one.path for one in seen] == ["/api/v1/instance-types"] * 2
    assert [one.headers["Authorization"] for one in seen] == ["Bearer first-key", "Bearer second-key"]


@pytest.mark.fault("key-missing")
def test_without_a_key_nobody_is_asked():
    seen = []
    with pytest.raises(FetchFailed, match="api_key_file") as caught:
        fetch("lambda", reply(), seen, recording=False)
    assert (caught.value.reason, seen) == ("auth", [])


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"specs": {"gpus": 0}, "gpu_description": "N/A"}, "cpu_only"),
        ({"gpu_description": "Quantum (7 GB)"}, "unmapped"),
        ({"specs": {}}, "no_count"),
        ({"specs": {"gpus": True}}, "no_count"),
        ({"specs": {"gpus": 7.5}}, "no_count"),
        ({"price_cents_per_hour": 0}, "no_price"),
        ({"price_cents_per_hour": None}, "no_price"),
        ({"price_cents_per_hour": "2392"}, "no_price"),
        ({"price_cents_per_hour": 23.92}, "implausible"),
    ],
)
def test_a_row_that_is_no_offer_is_counted_by_reason(fields, reason):
    body = {"data": {**reply()["data"], "bad": reply(INSTANCE | fields)["data"]["it"]}}
    fetched = fetch("lambda", body)
    assert len(fetched.offers) == 1
    assert fetched.rejected == {reason: 1}


@pytest.mark.parametrize(
    ("body", "reason", "words"),
    [
        ({}, "schema", "data"),
        ({"data": []}, "schema", "expected an object at data"),
        ({"data": {}}, "empty", "no instance type"),
        ({"data": {"it": []}}, "schema", "data.it"),
        ({"data": {"it": {"regions_with_capacity_available": []}}}, "schema", "data.it.instance_type"),
        (reply({}), "schema", "data.it.instance_type.specs"),
        (reply(INSTANCE | {"specs": None}), "schema", "specs"),
        (reply(regions=None), "schema", "regions_with_capacity_available"),
        (reply(regions=["us-west-1"]), "schema", "regions_with_capacity_available"),
        (
            {"data": {"it": {"instance_type": INSTANCE | {"regions_with_capacity_available": []}}}},
            "schema",
            "expected a list at data.it.regions_with_capacity_available",
        ),
        ({"error": {"code": "global/invalid-api-key", "message": "no"}}, "schema", "data"),
    ],
)
def test_a_reply_that_is_wrong_as_a_whole_is_refused(body, reason, words):
    failure = failed("lambda", body)
    assert failure.reason == reason
    assert words in str(failure)


def test_it_is_asked_at_its_own_address_by_itself():
    assert lambdalabs.DEFAULT_URL + lambdalabs.PATH == "https://cloud.lambda.ai/api/v1/instance-types"
    assert lambdalabs.BASIS == "instance"
