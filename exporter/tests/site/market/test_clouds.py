"""Price lists of the large clouds, by a library that is an extra; here, by lists that a local server has."""

from __future__ import annotations

import csv
import io
import socket
import zipfile
from collections.abc import Callable

import pytest

from gputally.site.market import cards, clouds
from gputally.site.market.http import FetchFailed, Http
from tests.report.answering import Answer, Seen, speaking
from tests.site.market.asked import only, prices, settings

P5 = {
    "instance_name": "p5.48xlarge",
    "location": "us-east-1",
    "price": 55.04,
    "cpu": 192,
    "memory": 2048.0,
    "gpu_count": 8,
    "gpu_name": "H100",
    "gpu_memory": 80.0,
    "spot": False,
}


def machine(name: str, gpu: str, memory: float, **more: object) -> dict[str, object]:
    return P5 | {"instance_name": name, "gpu_name": gpu, "gpu_memory": memory, "price": 20.0} | more


def test_the_price_is_that_of_one_gpu_of_the_machine():
    fetched = clouds.parse([P5, P5 | {"price": 24.0, "spot": True}], "aws", cards.load())
    assert prices(fetched) == [
        ("h100-sxm5-80gb", 6.88, "ondemand", "datacenter"),
        ("h100-sxm5-80gb", 3.0, "spot", "datacenter"),
    ]
    for offer in fetched.offers:
        assert (offer.provider, offer.region, offer.node_gpus) == ("aws", "us-east-1", 8)
        assert (offer.available_gpus, offer.offer_id) == (None, "p5.48xlarge")


@pytest.mark.parametrize(
    ("cloud", "name", "gpu", "memory", "card"),
    [
        ("aws", "p3.16xlarge", "V100", 16, "v100-sxm2-16gb"),
        ("aws", "p4d.24xlarge", "A100", 40, "a100-sxm4-40gb"),
        ("aws", "p4de.24xlarge", "A100", 80, "a100-sxm4-80gb"),
        ("aws", "p5en.48xlarge", "H200", 141, "h200-sxm5-141gb"),
        ("aws", "g6.xlarge", "L4", 24, "l4-24gb"),
        ("aws", "g9x.other", "H100", 80, "h100-80gb"),
        ("azure", "Standard_NC24s_v3", "V100", 16, "v100-pcie-16gb"),
        ("azure", "Standard_ND40rs_v2", "V100", 32, "v100-sxm2-32gb"),
        ("azure", "Standard_NC96ads_A100_v4", "A100", 80, "a100-pcie-80gb"),
        ("azure", "Standard_ND96asr_v4", "A100", 40, "a100-sxm4-40gb"),
        ("azure", "Standard_ND96amsr_A100_v4", "A100", 80, "a100-sxm4-80gb"),
        ("azure", "Standard_NC80adis_H100_v5", "H100NVL", 94, "h100-nvl-94gb"),
        ("azure", "Standard_NCC40ads_H100_v5", "H100", 94, "h100-nvl-94gb"),
        ("azure", "Standard_ND96isr_H100_v5", "H100", 80, "h100-sxm5-80gb"),
        ("azure", "Standard_ND96isr_H200_v5", "H200", 141, "h200-sxm5-141gb"),
        ("gcp", "a2-highgpu-8g", "A100", 40, "a100-sxm4-40gb"),
        ("gcp", "a2-ultragpu-8g", "A100", 80, "a100-sxm4-80gb"),
        ("gcp", "a3-highgpu-8g", "H100", 80, "h100-sxm5-80gb"),
        ("gcp", "a3-ultragpu-8g", "H200", 141, "h200-sxm5-141gb"),
        ("gcp", "n1-standard-32", "V100", 16, "v100-sxm2-16gb"),
        ("nebius", "gpu-h100-sxm 8gpu-128vcpu-1600gb", "H100", 80, "h100-sxm5-80gb"),
        ("nebius", "gpu-l40s-a 1gpu-8vcpu-32gb", "L40S", 48, "l40s-48gb"),
        ("oci", "BM.GPU4.8", "A100", 40, "a100-sxm4-40gb"),
        ("oci", "BM.GPU.H100.8", "H100", 80, "h100-sxm5-80gb"),
        ("oci", "VM.GPU3.1", "V100", 16, "v100-sxm2-16gb"),
    ],
)
def test_the_machine_tells_which_form_a_gpu_has(cloud, name, gpu, memory, card):
    row = machine(name, gpu, float(memory), price=4.0, gpu_count=1)
    assert only(clouds.parse([row], cloud, cards.load())).card == card


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"gpu_count": 0, "gpu_name": None}, "cpu_only"),
        ({"gpu_count": None}, "no_count"),
        ({"price": None}, "no_price"),
        ({"price": 0.0}, "no_price"),
        ({"price": 0.01}, "implausible"),
        ({"gpu_name": "v5litepod", "gpu_memory": None}, "unmapped"),
        ({"gpu_name": "A10", "gpu_memory": 4.0, "gpu_count": 1}, "unmapped"),
    ],
)
def test_a_row_that_is_no_offer_is_counted_by_reason(fields, reason):
    fetched = clouds.parse([P5, P5 | fields], "aws", cards.load())
    assert len(fetched.offers) == 1
    assert fetched.rejected == {reason: 1}


def test_without_the_library_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(clouds, "LIBRARY", "nobody_has_this")
    with pytest.raises(FetchFailed) as caught:
        clouds.fetch(Http(), settings("clouds", name="aws"), cards.load())
    assert caught.value.reason == "network"
    assert str(caught.value) == clouds.MISSING


COLUMNS = [*P5, "disk_size", "gpu_vendor", "flags", "cpu_arch", "provider_data"]
FULL = P5 | {"gpu_vendor": "nvidia", "cpu_arch": "x86", "provider_data": "{}"}


def packed(cloud: str, *rows: dict[str, object]) -> bytes:
    """A list as the library downloads it."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    writer.writerows(rows)
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr(f"{cloud}.csv", text.getvalue())
    return data.getvalue()


def publishing(cloud: str, *rows: dict[str, object]) -> Callable[[Seen], Answer]:
    """Where the library finds the list of one cloud, and empty ones of all others."""

    def answer(seen: Seen) -> Answer:
        _, _, name, *rest = seen.path.split("/")
        if rest == ["version"]:
            return Answer(body=b"20261128")
        return Answer(body=packed(name, *(rows if name == cloud else ())))

    return answer


@pytest.fixture
def lists(monkeypatch) -> Callable[[str], None]:
    """Let the library look for its lists there, and nowhere through a proxy."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return lambda url: monkeypatch.setenv("GPUHUNT_CATALOG_URL", f"{url}/lists")


def test_the_library_itself_brings_the_lists_of_a_cloud(lists, caplog):
    rows = [
        FULL,
        FULL | {"spot": True, "price": 24.0},
        FULL | {"gpu_count": 0, "gpu_name": "", "gpu_memory": ""},
    ]
    booked = FULL | {"instance_name": "a3-highgpu-8g", "flags": "gcp-dws-calendar-mode", "price": 30.0}
    nvl = FULL | {"instance_name": "Standard_NC40ads_H100_v5", "gpu_name": "H100NVL", "gpu_memory": 94.0}
    for cloud, listed, found in (
        ("aws", rows, [("h100-sxm5-80gb", 3.0, "spot"), ("h100-sxm5-80gb", 6.88, "ondemand")]),
        ("gcp", [booked], [("h100-sxm5-80gb", 3.75, "reserved")]),
        ("azure", [nvl], [("h100-nvl-94gb", 6.88, "ondemand")]),
    ):
        with speaking(publishing(cloud, *listed)) as server:
            lists(server.url)
            fetched = clouds.fetch(Http(), settings("clouds", name=cloud), cards.load())
        assert sorted(price[:3] for price in prices(fetched)) == found
        assert {offer.provider for offer in fetched.offers} == {cloud}
    assert "Traceback" not in caplog.text


def failed(cloud: str) -> FetchFailed:
    with pytest.raises(FetchFailed) as caught:
        clouds.fetch(Http(), settings("clouds", name=cloud), cards.load())
    assert "\n" not in str(caught.value)
    return caught.value


def test_a_failure_of_the_library_is_one_line(lists):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        lists(f"http://127.0.0.1:{taken.getsockname()[1]}")
    failure = failed("aws")
    assert (failure.reason, str(failure)) == ("network", "gpuhunt: Connection refused")
    with speaking(publishing("aws", FULL)) as server:
        lists(server.url)
        assert (failed("moon").reason, failed("oci").reason) == ("schema", "empty")
