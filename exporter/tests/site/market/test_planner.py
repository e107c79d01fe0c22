"""What a plan would cost: how many GPUs, of whom, for how long, and never more than there are."""

from __future__ import annotations

import itertools
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gputally.config.market import GScore, Plan
from gputally.model.market import Market
from gputally.site.market.cards import load
from gputally.site.market.cover import EXACT, by_price, cover
from gputally.site.market.planned import planned
from gputally.site.market.planner import Answer, Shortage, cheapest_for, options_for
from gputally.site.market.search import ANYTHING, Sight, Wanted
from tests.site.market.marketplace import A100, H100, L40S, NOW, RTX4090, UNRATED, market, offer, report

CATALOGUE = load()
SPEED = Plan("speed", Decimal(48), tflops=Decimal(5000))
NUMBER = Plan("number", Decimal(100), gpus=8, card=H100)
WORK = Plan("work", Decimal(48), total_flops=Decimal("1e22"))


def ask(plan: Plan, on_offer: Market, wanted: Wanted = ANYTHING, **more) -> Answer:
    return options_for(plan, Sight(on_offer, CATALOGUE, GScore(), NOW), wanted, **more)


def test_speed_is_divided_by_what_a_card_reaches_and_rounded_up_to_whole_nodes() -> None:
    answer = ask(SPEED, market(offer("io", H100, "2.50", node=8), offer("vast", RTX4090, "0.40")))
    io, vast = sorted(answer.options, key=lambda option: option.provider)
    assert (io.gpus, io.hours, io.usd) == (16, 48, Decimal(1920))  # 13 of 395.6 TFLOPS would do
    assert (vast.gpus, vast.usd) == (76, Decimal("1459.2"))
    assert [option.provider for option in answer.options] == ["vast", "io"]


@pytest.mark.parametrize(
    ("tflops", "mfu", "gpus"),
    [
        ("395.6", "0.4", 1),
        ("395.6000001", "0.4", 2),
        ("989", "1", 1),
        ("3956", "0.4", 10),
        ("0.001", "0.001", 1),
    ],
)
def test_what_divides_evenly_takes_no_gpu_more(tflops: str, mfu: str, gpus: int) -> None:
    plan = replace(SPEED, tflops=Decimal(tflops), mfu=Decimal(mfu))
    assert ask(plan, market(offer("a", H100, 2))).options[0].gpus == gpus


def test_a_number_of_gpus_is_of_the_card_that_is_named_and_of_no_other() -> None:
    answer = ask(NUMBER, market(offer("a", H100, "2.25"), offer("a", A100, "0.5")))
    (option,) = answer.options
    assert (option.card, option.gpus, option.usd) == (H100, 8, Decimal(1800))


def test_work_is_done_before_the_deadline_by_as_few_as_can_and_takes_as_long_as_it_takes() -> None:
    (option,) = ask(WORK, market(offer("a", H100, 2))).options
    flops_per_hour = 989 * 10**12 * Decimal("0.4") * 3600
    assert option.gpus == 147
    assert option.hours == Decimal(10**22) / (flops_per_hour * 147)
    assert Decimal("47.7") < option.hours <= 48
    assert option.usd == 147 * 2 * option.hours


def test_work_takes_a_larger_node_whose_hour_is_cheaper_for_it_is_done_earlier() -> None:
    small = replace(WORK, total_flops=Decimal("1e19"))
    options = ask(small, market(offer("a", H100, 1, node=8), offer("a", H100, 2, node=1))).options
    assert (options[0].gpus, options[0].usd_per_gpu_hour) == (8, 1)
    hours = replace(NUMBER, gpus=1)
    options = ask(hours, market(offer("a", H100, 1, node=8), offer("a", H100, 2, node=1))).options
    assert (options[0].gpus, options[0].usd) == (1, Decimal(200))


def test_no_more_are_planned_than_are_free_in_whole_nodes() -> None:
    answer = ask(NUMBER, market(offer("a", H100, 1, free=15, node=8), offer("b", H100, 3, free=7)))
    assert [(option.provider, option.gpus) for option in answer.options] == [("a", 8)]
    assert answer.too_few == (Shortage("b", "datacenter", H100, 7, 8),)
    answer = ask(replace(NUMBER, gpus=9), market(offer("a", H100, 1, free=15, node=8)))
    assert (answer.options, answer.too_few) == ((), (Shortage("a", "datacenter", H100, 8, 9),))


def test_offers_of_one_provider_add_up_and_those_of_two_do_not() -> None:
    answer = ask(
        NUMBER,
        market(
            offer("a", H100, 3, free=4, region="Norway"),
            offer("a", H100, 1, free=4, region="Spain"),
            offer("b", H100, 1, free=4),
            offer("c", H100, 1, free=4, price_tier="spot"),
            offer("c", H100, 1, free=4, host_tier="community"),
        ),
    )
    (option,) = answer.options
    assert [(line.offer.region, line.gpus) for line in option.lines] == [("Spain", 4), ("Norway", 4)]
    assert (option.usd, option.usd_per_gpu_hour) == (Decimal(1600), Decimal(2))
    assert option.available_gpus == 8


def test_memory_region_host_nvlink_and_price_tier_are_as_wanted() -> None:
    speed = replace(SPEED, vram_gib=Decimal(48))
    there = market(
        offer("a", RTX4090, 1),
        offer("a", L40S, 1, region="us-west-1", nvlink=True),
        offer("b", L40S, 1, country="DE", region="Frankfurt", host_tier="community"),
        offer("c", L40S, "0.2", price_tier="spot"),
    )

    def providers(wanted: Wanted) -> set[str]:
        return {option.provider for option in ask(speed, there, wanted).options}

    assert providers(Wanted()) == {"a", "b"}
    assert {option.card for option in ask(speed, there).options} == {L40S}
    assert providers(Wanted(price_tiers=frozenset({"spot"}))) == {"c"}
    assert providers(Wanted(regions=frozenset({"US"}))) == {"a"}
    assert providers(Wanted(regions=frozenset({"de"}))) == {"b"}
    assert providers(Wanted(host_tiers=frozenset({"community"}))) == {"b"}
    assert providers(Wanted(nvlink=True)) == {"a"}
    assert providers(Wanted(providers=frozenset({"b", "c"}))) == {"b"}


def test_a_card_whose_speed_nobody_knows_is_named_and_not_guessed() -> None:
    answer = ask(SPEED, market(offer("a", UNRATED, 1), offer("a", H100, 2)))
    assert {option.card for option in answer.options} == {H100}
    assert answer.without_tflops == (UNRATED,)
    assert ask(replace(NUMBER, card=UNRATED), market(offer("a", UNRATED, 1))).options[0].usd == 800


def test_who_has_not_answered_for_long_is_not_planned_with() -> None:
    old = Market((report("a", [offer("a", H100, 1)], age=1801), report("b", [offer("b", H100, 2)])))
    assert [option.provider for option in ask(NUMBER, old).options] == ["b"]


def test_of_the_same_cost_the_better_score_comes_first_and_then_the_name() -> None:
    there = market(
        offer("a", H100, 1, free=8, reliability_ratio=0.91),
        offer("b", H100, 1, free=8, reliability_ratio=0.99),
        offer("d", H100, 1, free=8, reliability_ratio=0.91),
    )
    assert [option.provider for option in ask(NUMBER, there).options] == ["b", "a", "d"]


def test_the_declared_plans_are_series() -> None:
    plans = (replace(NUMBER, target_usd=Decimal(900)), SPEED, replace(NUMBER, name="none", card=UNRATED))
    there = market(offer("a", H100, "1.10", node=8), offer("b", H100, 2))
    values = planned(plans, there, CATALOGUE, GScore(), NOW)
    assert values.cheapest_usd == {"number": 880.0, "speed": 844.8}
    assert values.target_usd == {"number": 900.0}
    assert values.gpus == {("number", "a", H100): 8, ("speed", "a", H100): 16}


prices = st.integers(1, 400).map(lambda cents: Decimal(cents) / 100)
offers = st.lists(
    st.builds(
        offer,
        st.sampled_from("abc"),
        st.sampled_from([H100, A100, RTX4090]),
        prices,
        free=st.none() | st.integers(0, 24),
        node=st.integers(1, 9),
        price_tier=st.sampled_from(["ondemand", "spot"]),
    ),
    max_size=8,
)
plans = st.one_of(
    st.builds(Plan, st.just("p"), prices, tflops=st.integers(1, 9000).map(Decimal)),
    st.builds(Plan, st.just("p"), prices, gpus=st.integers(1, 40), card=st.sampled_from([H100, A100])),
    st.builds(
        Plan, st.just("p"), prices, total_flops=st.integers(1, 10**6).map(lambda n: n * Decimal(10) ** 16)
    ),
)


@given(plans, offers)
def test_a_cost_is_gpus_times_price_times_hours_and_what_is_planned_is_there(plan: Plan, there: list) -> None:
    for option in ask(plan, market(*there)).options:
        lines = option.lines
        assert option.usd == sum(line.gpus * line.offer.usd_per_gpu_hour for line in lines) * option.hours
        assert 0 < option.hours <= plan.hours
        assert {(o.provider, o.card, o.price_tier) for o in (line.offer for line in lines)} == {
            (option.provider, option.card, "ondemand")
        }
        assert all(line.gpus % line.offer.node_gpus == 0 for line in lines)
        assert all(
            line.offer.available_gpus is None or line.gpus <= line.offer.available_gpus for line in lines
        )
        assert plan.gpus is None or option.gpus >= plan.gpus
        speed = option.gpus * Decimal(str(CATALOGUE.cards[option.card].bf16_dense_tflops)) * plan.mfu
        assert plan.tflops is None or speed >= plan.tflops
        if plan.total_flops is not None:
            done = speed * 10**12 * option.hours * 3600
            assert abs(done / plan.total_flops - 1) < Decimal("1e-20")


@given(plans, offers, st.integers(0, 20_000), st.integers(0, 20_000))
def test_more_money_never_gives_a_worse_plan(plan: Plan, there: list, budget: int, more: int) -> None:
    poor = ask(plan, market(*there), budget_usd=Decimal(budget))
    rich = ask(plan, market(*there), budget_usd=Decimal(budget + more))
    assert all(option.usd <= budget for option in poor.options)
    assert not poor.options or rich.options[0].usd <= poor.options[0].usd
    assert len(rich.options) + rich.over_budget == len(poor.options) + poor.over_budget


@given(plans, offers, offers)
def test_more_offers_never_make_a_plan_dearer(plan: Plan, there: list, more: list) -> None:
    few, many = ask(plan, market(*there)), ask(plan, market(*there, *more))
    if plan.total_flops is None:
        assert not few.options or many.options[0].usd <= few.options[0].usd


@given(plans, offers)
def test_the_first_of_all_options_is_found_without_the_others(plan: Plan, there: list) -> None:
    sight = Sight(market(*there), CATALOGUE, GScore(), NOW)
    assert cheapest_for(plan, sight) == next(iter(options_for(plan, sight).options), None)


small = st.lists(
    st.tuples(prices, st.integers(1, 6), st.integers(0, 3)).map(
        lambda row: offer("a", H100, row[0], free=row[1] * row[2], node=row[1])
    ),
    max_size=4,
)


@given(small, st.integers(1, 20))
def test_there_is_no_cheaper_way_to_have_so_many(there: list, gpus: int) -> None:
    counts = itertools.product(*(range((o.available_gpus or 0) // o.node_gpus + 1) for o in there))
    costs = [
        sum(n * o.node_gpus * o.usd_per_gpu_hour for n, o in zip(nodes, there, strict=True))
        for nodes in counts
        if sum(n * o.node_gpus for n, o in zip(nodes, there, strict=True)) >= gpus
    ]
    lines = cover(there, gpus)
    assert (None if lines is None else sum(line.usd_per_hour for line in lines)) == min(costs, default=None)


@given(
    st.lists(
        st.tuples(prices, st.sampled_from([1, 2, 4, 7, 8, 100]), st.integers(0, 60)).map(
            lambda row: offer("a", H100, row[0], free=row[1] * row[2], node=row[1])
        ),
        max_size=6,
    ),
    st.integers(EXACT, 8 * EXACT),
)
def test_very_many_cost_no_more_than_the_cheapest_ones_in_a_row(there: list, gpus: int) -> None:
    lines, plain = cover(there, gpus), by_price(there, gpus)
    assert (lines is None) == (plain is None)
    if lines is not None and plain is not None:
        assert sum(line.gpus for line in lines) >= gpus
        assert sum(line.usd_per_hour for line in lines) <= sum(line.usd_per_hour for line in plain)
