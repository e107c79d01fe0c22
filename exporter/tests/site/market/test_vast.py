"""Vast's replies: whole offers, a machine many times, sixty-four at most, and filters that may be ignored."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from gputally.model.market import Fetched
from gputally.site.market import cards, vast
from gputally.site.market.http import FetchFailed, Http
from gputally.site.market.vast import QUERIES, Query
from tests.report.answering import Answer, Seen, speaking
from tests.site.market.asked import only, prices, settings

OFFER = {
    "id": 11304729,
    "machine_id": 4711,
    "host_id": 88,
    "bundle_id": 900,
    "gpu_name": "RTX 3090",
    "num_gpus": 1,
    "gpu_ram": 24576,
    "dph_base": 0.32,
    "dph_total": 0.322777,
    "storage_total_cost": 0.002777,
    "min_bid": 0.2,
    "storage_cost": 0.2,
    "inet_up_cost": 0.005,
    "inet_down_cost": 0.005,
    "reliability2": 0.9931,
    "verification": "verified",
    "geolocation": "Czechia, CZ",
    "bw_nvlink": 0,
    "pcie_bw": 12.3,
    "dlperf": 21.2,
    "total_flops": 35.6,
    "duration": 2_000_000.0,
    "cpu_cores": None,
    "rentable": True,
    "rented": False,
    "external": False,
}
MACHINE = OFFER | {"gpu_name": "H100 SXM", "gpu_ram": 81559, "num_gpus": 8, "dph_total": 16.0, "min_bid": 8.0}
ASKED = Query(("RTX 3090", "H100 SXM", "A100 SXM4"), datacenter=False)
DATACENTER = Query(ASKED.names, datacenter=True)


def parse(*offers: object, query: Query = ASKED) -> Fetched:
    return vast.parse([(query, {"offers": list(offers)})], cards.load())


def fetch(answer: Callable[[dict], object], seen: list[Seen] | None = None, **more) -> Fetched:
    """Ask a server that answers by what it is asked."""

    def answering(asked: Seen) -> Answer:
        said = answer(json.loads(asked.body))
        return said if isinstance(said, Answer) else Answer(body=json.dumps(said).encode())

    with speaking(answering) as provider:
        try:
            return vast.fetch(Http(), settings("vast", base_url=provider.url, **more), cards.load())
        finally:
            if seen is not None:
                seen += provider.seen


def test_every_group_is_asked_for_in_both_scopes_by_the_bare_filter():
    seen = []

    def answer(body):
        has = "RTX 3090" in body["gpu_name"]["in"] and not body["datacenter"]["eq"]
        return {"offers": [OFFER] if has else []}

    assert len(fetch(answer, seen).offers) == 2
    assert len(seen) == 2 * len(vast.GROUPS)
    assert {(one.method, one.path) for one in seen} == {("POST", "/api/v0/bundles/")}
    bodies = [json.loads(one.body) for one in seen]
    assert [body["datacenter"] for body in bodies[:2]] == [{"eq": True}, {"eq": False}]
    assert bodies[4] == {
        "rentable": {"eq": True},
        "rented": {"eq": False},
        "verified": {"eq": True},
        "external": {"eq": False},
        "datacenter": {"eq": True},
        "gpu_name": {"in": ["H100 SXM"]},
        "type": "on-demand",
        "order": [["dph_total", "asc"]],
        "limit": 64,
        "allocated_storage": 5.0,
    }


def test_no_model_is_asked_for_twice_and_every_one_is_known():
    names = [name for group in vast.GROUPS for name in group]
    assert len(names) == len(set(names))
    catalogue = cards.load()
    for name in names:
        sizes = {card.memory_gib for card in catalogue.cards.values()}
        assert any(catalogue.card_of(name, memory_gib=size) for size in sizes), name


def test_questions_are_not_asked_in_one_breath():
    pauses = []
    with speaking(lambda _: Answer(body=b'{"offers": []}')) as provider:
        told = settings("vast", base_url=provider.url, recording=False)
        with pytest.raises(FetchFailed):
            vast.fetch(Http(), told, cards.load(), pause=pauses.append)
    assert pauses == [vast.PAUSE_SECONDS] * (len(QUERIES) - 1)


def test_a_key_is_sent(tmp_path):
    (tmp_path / "key").write_text("not-a-real-key")
    seen = []
    with pytest.raises(FetchFailed):
        fetch(lambda _: {"offers": []}, seen, api_key_file=tmp_path / "key")
    assert {one.headers["Authorization"] for one in seen} == {"Bearer not-a-real-key"}


def test_a_real_row_becomes_what_is_rented_and_what_is_bid_for():
    fetched = parse(OFFER)
    assert prices(fetched) == [
        ("rtx3090-24gb", 0.322777, "ondemand", "community"),
        ("rtx3090-24gb", 0.2, "spot", "community"),
    ]
    for offer in fetched.offers:
        assert (offer.region, offer.country) == ("Czechia, CZ", "CZ")
        assert (offer.node_gpus, offer.available_gpus) == (1, 1)
        assert (offer.reliability_ratio, offer.nvlink) == (0.9931, False)
        assert (offer.provider, offer.offer_id) == ("vast", "11304729")
    assert not fetched.truncated
    assert fetched.rejected == {}


def test_an_offer_of_eight_costs_an_eighth_by_the_gpu():
    assert prices(parse(MACHINE)) == [
        ("h100-sxm5-80gb", 2.0, "ondemand", "community"),
        ("h100-sxm5-80gb", 1.0, "spot", "community"),
    ]


def test_parts_of_one_machine_are_one_offer_with_the_gpus_of_the_largest():
    fetched = parse(
        MACHINE | {"id": 1, "min_bid": None},
        MACHINE | {"id": 2, "num_gpus": 4, "dph_total": 7.6, "min_bid": None},
        MACHINE | {"id": 3, "num_gpus": 1, "dph_total": 2.1, "min_bid": None},
        MACHINE | {"id": 4, "num_gpus": 2, "dph_total": 5.0, "min_bid": None, "machine_id": 9},
    )
    assert [
        (o.offer_id, float(o.usd_per_gpu_hour), o.node_gpus, o.available_gpus) for o in fetched.offers
    ] == [
        ("2", 1.9, 4, 8),
        ("4", 2.5, 2, 2),
    ]


def test_memory_is_that_of_one_gpu_in_mib():
    cases = {81920: "a100-sxm4-80gb", 40960: "a100-sxm4-40gb", 40536.0: "a100-sxm4-40gb"}
    for mib, card in cases.items():
        row = MACHINE | {"gpu_name": "A100 SXM4", "gpu_ram": mib, "min_bid": None}
        assert only(parse(row)).card == card


def test_datacentres_are_those_that_come_when_datacentres_are_asked_for():
    mine, theirs = MACHINE | {"min_bid": None}, OFFER | {"min_bid": None, "id": 5}
    fetched = vast.parse([(DATACENTER, {"offers": [mine]}), (ASKED, {"offers": [theirs]})], cards.load())
    assert [(o.card, o.host_tier) for o in fetched.offers] == [
        ("h100-sxm5-80gb", "datacenter"),
        ("rtx3090-24gb", "community"),
    ]


def test_a_scope_that_is_ignored_makes_nobody_a_datacentre():
    row = MACHINE | {"min_bid": None}
    fetched = vast.parse([(DATACENTER, {"offers": [row]}), (ASKED, {"offers": [row]})], cards.load())
    assert only(fetched).host_tier == "community"


@pytest.mark.parametrize(("count", "truncated"), [(63, False), (64, True), (65, False)])
def test_sixty_four_offers_are_not_all(count, truncated):
    rows = [OFFER | {"id": n, "machine_id": n} for n in range(count)]
    assert parse(*rows).truncated is truncated


@pytest.mark.parametrize(
    "fields",
    [
        {"rented": True},
        {"rentable": False},
        {"external": True},
        {"verification": "unverified"},
        {"verification": "deverified"},
        {"gpu_name": "RTX 4090"},
    ],
)
def test_a_row_that_was_not_asked_for_is_counted_and_left_out(fields):
    fetched = parse(OFFER, OFFER | {"id": 2} | fields)
    assert len(fetched.offers) == 2
    assert fetched.rejected == {"unasked": 1}
    with pytest.raises(FetchFailed, match="no offer is what was asked for") as caught:
        parse(OFFER | fields)
    assert caught.value.reason == "schema"


@pytest.mark.parametrize(
    ("fields", "reasons"),
    [
        ({"num_gpus": None}, {"no_count": 1}),
        ({"num_gpus": 0}, {"no_count": 1}),
        ({"dph_total": None}, {"no_price": 1}),
        ({"dph_total": 0}, {"no_price": 1}),
        ({"dph_total": "0.32"}, {"no_price": 1}),
        ({"dph_total": 99}, {"implausible": 1}),
        ({"gpu_ram": 49140}, {"unmapped": 1}),
        ({"gpu_ram": 24}, {"unmapped": 1}),  # GiB in the field of MiB
        ({"gpu_name": None}, {"unmapped": 1}),
        ({"min_bid": 0.0001}, {"implausible": 1}),
    ],
)
def test_a_row_that_is_no_offer_is_counted_by_reason(fields, reasons):
    fetched = parse(OFFER | {"id": 2, "machine_id": 2, "min_bid": None}, OFFER | fields)
    assert fetched.rejected == reasons
    assert {offer.card for offer in fetched.offers} == {"rtx3090-24gb"}


@pytest.mark.parametrize("bid", [None, 0, 0.0, "0.2"])
def test_without_a_lowest_bid_there_is_nothing_to_bid_for(bid):
    fetched = parse(OFFER | {"min_bid": bid})
    assert only(fetched).price_tier == "ondemand"
    assert fetched.rejected == {}


@pytest.mark.parametrize(
    ("fields", "reliability"),
    [
        ({"reliability": 0.5}, 0.9931),
        ({"reliability2": None, "reliability": 0.98}, 0.98),
        ({"reliability2": None}, None),
        ({"reliability2": 99.31}, None),
        ({"reliability2": 0}, 0.0),
    ],
)
def test_reliability_has_two_names(fields, reliability):
    assert parse(OFFER | fields).offers[0].reliability_ratio == reliability


@pytest.mark.parametrize(
    ("fields", "read"),
    [
        ({"geolocation": None}, ("", "", False)),
        ({"geolocation": "Norway"}, ("Norway", "", False)),
        ({"bw_nvlink": 300.1}, ("Czechia, CZ", "CZ", True)),
        ({"bw_nvlink": None}, ("Czechia, CZ", "CZ", None)),
    ],
)
def test_what_is_not_told_is_unknown(fields, read):
    offer = parse(OFFER | fields).offers[0]
    assert (offer.region, offer.country, offer.nvlink) == read


def test_rows_without_an_id_are_all_kept():
    row = {key: value for key, value in OFFER.items() if key not in ("id", "machine_id")} | {"min_bid": None}
    assert len(parse(row, row).offers) == 2


@pytest.mark.parametrize(
    ("said", "reason", "words"),
    [
        ({"offers": []}, "empty", "there was none"),
        ({"detail": "API requests too frequent endpoint threshold=2.0"}, "schema", "offers is missing"),
        ({"offers": {"11304729": {}}}, "schema", "expected a list at offers"),
        ({"offers": [17]}, "schema", "offers[0]"),
        ([], "schema", "the top"),
        (Answer(429, b'{"detail": "too frequent"}', {"Retry-After": "7"}), "rate_limited", "429"),
        (Answer(500), "http", "500"),
        (Answer(400, b'{"error": "invalid"}'), "http", "400"),
        (Answer(body=b"<html>"), "parse", "HTML"),
    ],
)
def test_one_reply_that_is_wrong_is_enough_to_refuse_all(said, reason, words):
    with pytest.raises(FetchFailed) as caught:
        fetch(lambda _: said)
    assert caught.value.reason == reason
    assert words in str(caught.value)
    assert caught.value.retry_after_seconds == (7 if reason == "rate_limited" else None)


def test_it_is_asked_at_its_own_address_by_itself():
    assert vast.DEFAULT_URL + vast.PATH == "https://console.vast.ai/api/v0/bundles/"
    assert vast.BASIS == "instance"
