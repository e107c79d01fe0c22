"""io.net's two lists: prices of whole machines, machines without GPUs or price, and how many are free."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from gputally.site.market import cards, ionet
from gputally.site.market.http import FetchFailed, Http
from tests.report.answering import Answer, speaking
from tests.site.market.asked import only, prices, settings

H100 = {
    "id": "8H100.80S.176V__FI",
    "deploy_id": "8H100.80S.176V",
    "name": "H100",
    "num_cards": 8,
    "supplier": "external",
    "sold_out": False,
    "price": 27.875342465753423,
    "vram_per_card": 80,
    "interconnect": "sxm5",
    "nvlink": True,
    "storage": 2000,
    "vcpu": 176,
    "memory": 1480,
    "location": "FI",
}
FREE = {"id": H100["id"], "brand_name": "NVIDIA", "available_replicas": 3}


def hardware(*rows: object) -> dict[str, object]:
    return {"data": {"hardware": list(rows)}}


def fetch(machines: object, containers: object, seen: list | None = None, **more):
    """Ask a server that has both lists."""
    bodies = {"/v1/io-cloud/vmaas/hardware": machines, "/v1/io-cloud/caas/hardware": containers}

    def answer(asked):
        body = bodies.get(asked.path.removeprefix("/enterprise"))
        return Answer(404) if body is None else Answer(body=json.dumps(body).encode())

    with speaking(answer) as provider:
        try:
            return ionet.fetch(Http(), settings("ionet", base_url=provider.url + "/", **more), cards.load())
        finally:
            if seen is not None:
                seen += provider.seen


def test_a_price_is_that_of_a_machine_divided_by_its_gpus():
    seen = []
    offer = only(fetch(hardware(H100), hardware(FREE), seen))
    assert [(one.method, one.path, "x-api-key" in one.headers) for one in seen] == [
        ("GET", "/v1/io-cloud/vmaas/hardware", False),
        ("GET", "/v1/io-cloud/caas/hardware", False),
    ]
    assert (offer.card, offer.usd_per_gpu_hour) == ("h100-sxm5-80gb", Decimal("27.875342465753423") / 8)
    assert offer.usd_per_gpu_hour * 8 * 730 == pytest.approx(20349)  # a month's price
    assert (offer.node_gpus, offer.available_gpus, offer.nvlink) == (8, 24, True)
    assert (offer.region, offer.country, offer.host_tier) == ("FI", "FI", "community")
    assert (offer.offer_id, offer.provider) == ("8H100.80S.176V__FI", "ionet")
    assert ionet.BASIS == "instance"


def test_a_key_goes_to_the_place_that_asks_for_one(tmp_path):
    (tmp_path / "key").write_text("not-a-real-key\n")
    seen = []
    only(fetch(hardware(H100), hardware(FREE), seen, api_key_file=tmp_path / "key"))
    assert [(one.path, one.headers["x-api-key"]) for one in seen] == [
        ("/enterprise/v1/io-cloud/vmaas/hardware", "not-a-real-key"),
        ("/enterprise/v1/io-cloud/caas/hardware", "not-a-real-key"),
    ]


@pytest.mark.parametrize(
    ("row", "free", "available"),
    [
        ({}, FREE | {"available_replicas": 0}, 0),
        ({}, FREE | {"id": "another"}, None),
        ({}, FREE | {"available_replicas": None}, None),
        ({}, FREE | {"available_replicas": -1}, None),
        ({"sold_out": True}, FREE, 0),
        ({"sold_out": None}, FREE, 24),
    ],
)
def test_how_many_there_are(row, free, available):
    assert only(fetch(hardware(H100 | row), hardware(free))).available_gpus == available


@pytest.mark.parametrize(("deploy_id", "name"), [(4711, "4711"), ("8H100", "8H100"), (None, "")])
def test_an_id_is_text_or_a_number(deploy_id, name):
    row = {key: value for key, value in H100.items() if key != "id"} | {"deploy_id": deploy_id}
    assert only(fetch(hardware(row), hardware())).offer_id == name


@pytest.mark.parametrize(
    ("fields", "card"),
    [
        ({"interconnect": "pcie"}, "h100-pcie-80gb"),
        ({"interconnect": None}, "h100-80gb"),
        ({"interconnect": "ethernet"}, "h100-80gb"),
        ({"name": "H200", "vram_per_card": 141}, "h200-sxm5-141gb"),
        ({"name": "A100", "interconnect": "sxm4", "vram_per_card": 40}, "a100-sxm4-40gb"),
        ({"name": "RTX 4090", "interconnect": "pcie", "vram_per_card": 24, "price": 3.2}, "rtx4090-24gb"),
    ],
)
def test_form_comes_from_the_interconnect_and_memory_from_its_field(fields, card):
    assert only(fetch(hardware(H100 | fields), hardware())).card == card


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"num_cards": 0, "name": "CPU"}, "cpu_only"),
        ({"num_cards": None}, "no_count"),
        ({"num_cards": "8"}, "no_count"),
        ({"num_cards": -8}, "no_count"),
        ({"price": 0}, "no_price"),
        ({"price": None}, "no_price"),
        ({"price": True}, "no_price"),
        ({"price": 0.9}, "implausible"),
        ({"price": 20349}, "implausible"),
        ({"name": "H1000"}, "unmapped"),
        ({"vram_per_card": 640}, "unmapped"),
        ({"name": "H100 MIG 1g.10gb", "vram_per_card": 10}, "mig"),
    ],
)
def test_a_machine_that_is_no_offer_is_counted_by_reason(fields, reason):
    fetched = fetch(hardware(H100, H100 | fields), hardware(FREE))
    assert prices(fetched) == [("h100-sxm5-80gb", pytest.approx(3.4844178), "ondemand", "community")]
    assert fetched.rejected == {reason: 1}


@pytest.mark.parametrize(
    ("machines", "containers", "reason", "words"),
    [
        (hardware(), hardware(FREE), "empty", "no row at data.hardware"),
        (hardware(H100 | {"price": 0}), hardware(FREE), "empty", "1 no_price"),
        ({"data": []}, hardware(FREE), "schema", "expected an object at data"),
        ({"hardware": []}, hardware(FREE), "schema", "data is missing"),
        (hardware(H100), {"error": "no"}, "schema", "data is missing"),
        (hardware(H100), None, "http", "404"),
    ],
)
def test_replies_that_are_wrong_as_a_whole_are_refused(machines, containers, reason, words):
    with pytest.raises(FetchFailed) as caught:
        fetch(machines, containers)
    assert caught.value.reason == reason
    assert words in str(caught.value)


def test_it_is_asked_at_its_own_address_by_itself():
    assert ionet.DEFAULT_URL + ionet.MACHINES == "https://api.io.solutions/v1/io-cloud/vmaas/hardware"
