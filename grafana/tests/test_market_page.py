"""What the page about the market makes of offers that are written here; Prometheus' own tool answers it."""

import re
from pathlib import Path

import pytest
from grafana import gscore, providers
from grafana.offers import CARD, OFFER, PROVIDER
from grafana.tests.conftest import DASHBOARDS, Json, panels, targets, variables
from grafana.tests.pages import column_of, query_of
from grafana.tests.written import check, constant
from grafana.variables import HIGHEST_USD
from prometheus.tests.promql import metrics, selectors

from gputally.catalogue import FAMILIES
from gputally.model.market import BASES
from gputally.site.market.cards import load

PAGE = DASHBOARDS["gputally-market"]
H100, A100 = "h100-sxm5-80gb", "a100-pcie-40gb"
TIERS = 'price_tier="ondemand", host_tier="datacenter"'
# Titles of panels that are about all of a cluster's market, whatever is searched for.
OF_CLUSTER = {
    "Where the prices come from",
    "Providers",
    "G-score: weight x part, added up, x 100",
    "Rented now (USD)",
    "Planned (USD)",
    "Plans over time (USD)",
    "Providers, their replies",
    "Age of the last good reply",
    "Failed fetches by reason",
    "Left out",
}
# Matchers of what is chosen, of the series that have the labels.
FOLLOWED = {
    "offer": OFFER,
    "card_provider": PROVIDER,
    "card": CARD,
    "gpu_market_offer_median_usd_per_gpu_hour": OFFER,
    "gpu_market_available_gpus": PROVIDER,
    "gpu_market_offers": OFFER,
    "gpu_market_reliability_ratio": PROVIDER,
}
# Of the section "Market" of the catalogue, what neither page asks, and why.
LEFT_OUT = {
    "gpu_market_offer_min_usd_per_gpu_hour": "the rule :live is what of it can be had",
    "gpu_catalog_info": "family and form stand in the name of a card",
    "gpu_catalog_name_info": "the rules join it",
    "gpu_catalog_memory_bytes": "a variable asks it, and the memory stands in the name of a card",
}


def live(provider: str, usd: float, *, card: str = H100, cluster: str = "c") -> dict[str, str]:
    labels = f'cluster="{cluster}", provider="{provider}", card="{card}", {TIERS}, region="all"'
    return {f"offer:gpu_market_usd_per_gpu_hour:live{{{labels}}}": constant(usd)}


def of_provider(metric: str, provider: str, value: float, **more: str) -> dict[str, str]:
    labels = "".join(f', {name}="{text}"' for name, text in more.items())
    return {f'{metric}{{cluster="c", job="j", instance="i", provider="{provider}"{labels}}}': constant(value)}


OFFERS = live("vast", 1.5) | live("vast", 1.5, cluster="d") | live("akash", 2) | live("akash", 1, card=A100)
EACH = f'provider="{{}}", card="{H100}", {TIERS}, region="all"'


def test_the_cheapest_is_told_with_its_card_and_provider(tmp_path: Path) -> None:
    answer = {f'{{card="{A100}", provider="akash"}}': 1.0}
    check(tmp_path, query_of(PAGE, "Cheapest GPU hour"), OFFERS, answer)


def test_what_is_dearer_than_the_reader_wants_is_not_listed(tmp_path: Path) -> None:
    asked = query_of(PAGE, "On offer", "A")
    assert f"<= {HIGHEST_USD}" in asked
    counted = {
        f'gpu_market_offers{{cluster="c", job="j", {EACH.format(provider)}}}': constant(number)
        for provider, number in (("vast", 3), ("akash", 4))
    }
    check(tmp_path, asked, OFFERS | counted, {"{}": 7.0})
    check(tmp_path, asked.replace(f"<= {HIGHEST_USD}", "<= 1.8"), OFFERS | counted, {"{}": 3.0})


def test_the_price_that_the_page_opens_with_hides_nothing() -> None:
    assert max(card.high_usd for card in load().cards.values()) <= float(HIGHEST_USD)


def test_every_memory_is_found_in_the_name_of_its_card() -> None:
    (memory,) = (one for one in variables(PAGE, "query") if one["name"] == "memory")
    pattern = re.compile(memory["regex"].strip("/"))
    for slug in load().cards:
        found = pattern.search(slug)
        assert found, slug
        assert re.fullmatch(f".+-{found[1]}", slug)


def test_savings_are_hours_times_the_difference_times_the_days_of_a_month(tmp_path: Path) -> None:
    title = "Cheapest by card, saved at $hours h a day (USD)"
    kind = f'{{card="{H100}", {TIERS}}}'
    check(tmp_path, column_of(PAGE, title, "Saved a month"), OFFERS, {kind: 24 * 0.5 * 30.4375})
    check(tmp_path, column_of(PAGE, title, "Spread"), OFFERS, {kind: 0.25})


def test_of_two_that_ask_the_same_one_is_named(tmp_path: Path) -> None:
    title = "Cheapest by card, saved at $hours h a day (USD)"
    cheapest = column_of(PAGE, title, "Cheapest")
    check(tmp_path, f"count({cheapest})", live("vast", 2) | live("akash", 2), {"{}": 1.0})


def test_each_offer_has_all_that_is_known_of_it(tmp_path: Path) -> None:
    """Every column with the same labels, so that they are one row; the price brings what it is of."""
    title, seller = "Offers (USD per GPU hour)", f'cluster="c", provider="vast", card="{H100}", {TIERS}'
    series = {
        **OFFERS,
        **of_provider("gpu_market_provider_info", "vast", 1, basis="instance", source="a.example"),
        **of_provider("gpu_market_provider_info", "akash", 1, basis="bid_stats", source="b.example"),
        **of_provider("gpu_market_last_success_timestamp_seconds", "vast", 60),
        f'gpu_catalog_tflops{{cluster="c", card="{H100}", precision="bf16_dense"}}': constant(1000),
        f"card_provider:gpu_market_gscore:ratio{{{seller}}}": constant(0.75),
    }
    vast, akash = EACH.format("vast"), EACH.format("akash")
    other = akash.replace(H100, A100)
    of_price = {
        f'{{basis="instance", {vast}}}': 1.5,
        f'{{basis="bid_stats", {akash}}}': 2.0,
        f'{{basis="bid_stats", {other}}}': 1.0,
    }
    check(tmp_path, column_of(PAGE, title, "USD an hour"), series, of_price)
    check(tmp_path, column_of(PAGE, title, "G-score"), series, {f"{{{vast}}}": 75.0})
    check(tmp_path, column_of(PAGE, title, "Age"), series, {f"{{{vast}}}": 60.0})
    check(
        tmp_path,
        column_of(PAGE, title, "Per TFLOP-hour"),
        series,
        {f"{{{vast}}}": 0.0015, f"{{{akash}}}": 0.002},
    )


@pytest.mark.parametrize(
    ("sources", "said"),
    [
        (["recording", "recording"], "A recording: these are not today's prices"),
        (["recording", "a.example"], None),
        (["a.example", "file"], "Prices as the providers publish them, and of files"),
        ([], "No market is configured: no provider is asked for prices"),
    ],
)
def test_the_page_says_when_it_shows_a_recording_and_when_there_is_nothing(
    tmp_path: Path, sources: list[str], said: str | None
) -> None:
    title = "Where the prices come from"
    series = {'site_info{cluster="c"}': constant(1)}
    for number, source in enumerate(sources):
        series |= of_provider("gpu_market_provider_info", f"p{number}", 1, basis="list", source=source)
    (panel,) = (panel for panel in panels(PAGE) if panel["title"] == title)
    words, partly = (mapping["options"] for mapping in panel["fieldConfig"]["defaults"]["mappings"])
    value = next((float(code) for code, one in words.items() if one["text"] == said), 0.5)
    check(tmp_path, query_of(PAGE, title), series, {"{}": value})
    assert partly["from"] <= 0.5 <= partly["to"]
    assert "gputally site" in panel["fieldConfig"]["defaults"]["noValue"]


def test_a_provider_is_fresh_or_too_old_or_has_not_answered(tmp_path: Path) -> None:
    series = {}
    for provider, fresh in (("vast", 1), ("akash", 0), ("ionet", 0)):
        series |= of_provider("gpu_market_provider_info", provider, 1, basis="list", source="x")
        series |= {f'provider:gpu_market_fresh:bool{{cluster="c", provider="{provider}"}}': constant(fresh)}
    for provider in ("vast", "akash"):
        series |= of_provider("gpu_market_last_success_timestamp_seconds", provider, 1)
    answer = {'{provider="vast"}': 1.0, '{provider="akash"}': 0.0, '{provider="ionet"}': -1.0}
    check(tmp_path, column_of(PAGE, "Providers, their replies", "State"), series, answer)
    check(tmp_path, query_of(PAGE, "Providers", "A"), series, {"{}": 1.0})
    check(tmp_path, query_of(PAGE, "Providers", "B"), series, {"{}": 2.0})
    assert set(map(str, (1, 0, -1))) == set(providers._STATES)


def test_every_basis_has_its_words() -> None:
    assert set(providers.BASES) == set(BASES)


def test_the_formula_stands_beside_the_weights_in_force(tmp_path: Path) -> None:
    title = "G-score: weight x part, added up, x 100"
    weights = {"price": 0.5, "reliability": 0.3, "availability": 0.2}
    series = {
        f'gpu_market_gscore_weight{{cluster="c", part="{part}"}}': constant(weight)
        for part, weight in weights.items()
    }
    assert set(gscore.PARTS) == set(weights)
    for letter, weight in zip("ABC", weights.values(), strict=True):
        check(tmp_path, query_of(PAGE, title, letter), series, {"{}": weight})
    check(
        tmp_path,
        query_of(PAGE, title, "D"),
        {'gpu_market_gscore_gpus{cluster="c"}': constant(8)},
        {"{}": 8.0},
    )
    (panel,) = (panel for panel in panels(PAGE) if panel["title"] == title)
    assert all(part in panel["description"] for part in ("Price", "Reliability", "Availability", "90 %"))


def test_a_rental_is_put_beside_the_cheapest_of_its_kind(tmp_path: Path) -> None:
    place = 'cluster="c", job="j", instance="i"'
    whose = f'rental="training", team="nlp", provider="lambda", card="{H100}", {TIERS}'
    series = {
        f"gpu_rental_usd_per_gpu_hour{{{place}, {whose}}}": constant(2.5),
        f'gpu_rental_gpus{{{place}, rental="training"}}': constant(4),
        f'gpu_rental_hours_per_day{{{place}, rental="training"}}': constant(24),
        f'card:gpu_market_usd_per_gpu_hour:min{{cluster="c", card="{H100}", {TIERS}}}': constant(1.5),
    }
    one = '{cluster="c", rental="training"}'
    check(tmp_path, column_of(PAGE, "Rented now (USD)", "A month"), series, {one: 2.5 * 4 * 24 * 30.4375})
    check(tmp_path, column_of(PAGE, "Rented now (USD)", "Cheapest now"), series, {one: 1.5})


@pytest.mark.parametrize(("target", "reached"), [(900, 1), (700, 0)])
def test_a_plan_waits_for_its_target(tmp_path: Path, target: float, reached: float) -> None:
    series = {
        'gpu_plan_cheapest_usd{cluster="c", job="j", plan="finetune"}': constant(800),
        'gpu_plan_target_usd{cluster="c", job="j", plan="finetune"}': constant(target),
    }
    answer = {'{cluster="c", plan="finetune"}': float(reached)}
    check(tmp_path, column_of(PAGE, "Planned (USD)", "State"), series, answer)


def test_tables_say_what_is_missing() -> None:
    said = {
        panel["title"]: panel["fieldConfig"]["defaults"].get("noValue", "")
        for panel in panels(PAGE)
        if panel["type"] == "table"
    }
    assert len(said) == 6
    assert "rentals" in said["Rented now (USD)"]
    assert "plans" in said["Planned (USD)"]
    assert all(said.values()), said


def test_every_question_follows_what_is_searched_for() -> None:
    asked = [(panel["title"], one) for panel, target in targets(PAGE) for one in selectors(target["expr"])]
    searched = [(title, one) for title, one in asked if title not in OF_CLUSTER]
    assert {title for title, _ in asked} >= OF_CLUSTER
    for title, selector in searched:
        name = selector.name.partition(":")[0]
        for matcher in filter(None, FOLLOWED.get(name, "").split(", ")):
            assert matcher in selector.prettify(), (title, selector.name)


def test_variables_ask_cards_and_not_single_offers() -> None:
    """A few hundred series each, whatever the market shows."""
    for variable in variables(PAGE, "query"):
        (name,) = metrics(variable["query"]["query"].removeprefix("label_values(").rpartition(",")[0])
        if variable["name"] == "region":  # only offers have one
            assert name == "gpu_market_offers"
        elif variable["name"] not in {"cluster", "job", "instance"}:
            assert name.startswith(("card:", "card_provider:", "gpu_catalog_"))


def test_job_and_machine_are_handed_on_and_not_shown() -> None:
    hidden = {one["name"] for one in PAGE["templating"]["list"] if one["hide"]}
    assert hidden == {"job", "instance"}


def test_all_that_the_market_tells_is_on_one_of_the_pages() -> None:
    pages: tuple[Json, ...] = (PAGE, DASHBOARDS["gputally-rent-or-own"])
    asked = {name for page in pages for _, target in targets(page) for name in metrics(target["expr"])}
    told = {family.name for family in FAMILIES if family.section == "Market"}
    assert len(told) > 20
    assert told - asked == set(LEFT_OUT)
