"""What the page about renting and owning says of cards that are cheaper, dearer, not measured, not known."""

from pathlib import Path

import pytest
from grafana.absence import ABSENT
from grafana.tests.conftest import DASHBOARDS, panels, targets, variables
from grafana.tests.pages import column_of, query_of, said
from grafana.tests.written import check, constant
from prometheus.tests.promql import metrics

PAGE = DASHBOARDS["gputally-rent-or-own"]
OWN, TABLE = "What an own hour is made of (USD)", "Own or rent (USD per GPU hour)"
DECLARED = "Declared of own GPUs ($currency)"
TIERS = 'price_tier="ondemand", host_tier="datacenter"'
CARD = 'cluster="c", card="h100-sxm5-80gb"'
KIND = f"{{{CARD}, {TIERS}}}"
MODEL = 'cluster="c", job="j", model="NVIDIA H100 80GB HBM3"'


PRICE = {f"card:gpu_market_usd_per_gpu_hour:min{{{CARD}, {TIERS}}}": constant(1.5)}
KNOWN = {f'site_owned_gpu_card_info{{{MODEL}, card="h100-sxm5-80gb"}}': constant(1)}


def own(hour: float, used: float, break_even: float | None = None) -> dict[str, str]:
    series = {
        f"card:gpu_own_usd_per_hour:avg{{{CARD}}}": constant(hour),
        f"card:gpu_own_utilization:ratio30d{{{CARD}}}": constant(used),
        **{f'uuid:gpu_card_info:max{{{CARD}, uuid="u{number}"}}': constant(1) for number in range(4)},
    }
    if break_even is not None:
        series |= {
            f"card:gpu_own_breakeven_utilization:ratio{{{CARD}, {TIERS}}}": constant(break_even),
            f"card:gpu_own_is_cheaper:bool{{{CARD}, {TIERS}}}": constant(used >= break_even),
        }
    return series


@pytest.mark.parametrize(
    ("measured", "verdict"),
    [
        (own(1.0, 0.8, 0.7), "own is cheaper"),
        (own(1.0, 0.5, 0.7), "renting is cheaper"),
        (own(1.0, 0.5, 1.7), "renting is cheaper"),
        (own(3.0, 0.5), "renting costs less than our power"),
        ({}, "own cost not known"),
    ],
)
def test_the_verdict_is_said_in_words(tmp_path: Path, measured: dict[str, str], verdict: str) -> None:
    words = {said(PAGE, TABLE, code): float(code) for code in (1, 0, -1, -2)}
    series = PRICE | KNOWN | measured
    check(tmp_path, column_of(PAGE, TABLE, "Verdict"), series, {KIND: words[verdict]})


def test_nothing_is_said_of_cards_that_nobody_here_owns(tmp_path: Path) -> None:
    other = {f'card:gpu_market_usd_per_gpu_hour:min{{cluster="c", card="l40s-48gb", {TIERS}}}': constant(1)}
    known = {said(PAGE, TABLE, -2): -2.0}
    check(
        tmp_path,
        column_of(PAGE, TABLE, "Verdict"),
        PRICE | KNOWN | other,
        {KIND: known["own cost not known"]},
    )


def test_an_hour_of_work_is_dearer_than_an_hour_that_goes_by(tmp_path: Path) -> None:
    asked = column_of(PAGE, TABLE, "Own hour of work")
    check(tmp_path, asked, PRICE | KNOWN | own(1.0, 0.5), {KIND: 2.0})
    check(tmp_path, asked, PRICE | KNOWN | own(1.0, 0.0), {KIND: float(ABSENT)})  # there was none


def test_the_cheapest_seller_is_named_once(tmp_path: Path) -> None:
    sellers = {
        f'card:gpu_market_cheapest_usd_per_gpu_hour:info{{{CARD}, provider="{name}", {TIERS}}}': constant(1.5)
        for name in ("akash", "vast")
    }
    asked = column_of(PAGE, TABLE, "Cheapest rental")
    check(tmp_path, f"count by (cluster, card) ({asked})", sellers | KNOWN, {f"{{{CARD}}}": 1.0})
    check(tmp_path, f"max by (cluster, card) ({asked})", sellers | KNOWN, {f"{{{CARD}}}": 1.5})


def test_a_month_is_that_of_all_gpus_of_the_card(tmp_path: Path) -> None:
    title, series = "A month of all own GPUs, either way (USD)", PRICE | KNOWN | own(1.0, 0.5)
    for column, amount in {
        "GPUs": 4.0,
        "Own": 4 * 1.0 * 730.5,
        "Rented for the hours of work": 4 * 0.5 * 1.5 * 730.5,
        "Rented all the time": 4 * 1.5 * 730.5,
    }.items():
        check(tmp_path, column_of(PAGE, title, column), series, {KIND: amount})


def test_what_is_not_measured_is_a_word(tmp_path: Path) -> None:
    one = f"{{{CARD}}}"
    for column in ("GPUs", "Idle", "Of a busy hour", "Utilisation, 30 days"):
        check(tmp_path, column_of(PAGE, OWN, column), KNOWN, {one: float(ABSENT)})
    watts = {f"card:gpu_own_idle_watts:avg{{{CARD}}}": constant(70)}
    check(tmp_path, column_of(PAGE, OWN, "Idle"), KNOWN | watts, {one: 70.0})
    mapped = str(next(panel for panel in panels(PAGE) if panel["title"] == OWN)["fieldConfig"])
    assert "not measured" in mapped
    assert "none metered" in mapped


def test_a_model_that_the_catalogue_does_not_know_is_listed_as_such(tmp_path: Path) -> None:
    box = 'cluster="c", job="j", model="my box"'
    series = {
        **KNOWN,
        f"site_owned_gpu_life_seconds{{{MODEL}}}": constant(1),
        f"site_owned_gpu_life_seconds{{{box}}}": constant(1),
    }
    answer = {
        '{cluster="c", model="NVIDIA H100 80GB HBM3", card="h100-sxm5-80gb"}': 1.0,
        '{cluster="c", model="my box", card="unknown to the catalogue"}': 1.0,
    }
    check(tmp_path, query_of(PAGE, DECLARED), series, answer)


@pytest.mark.parametrize(("rates", "shown"), [({"USD": 1.0}, 1.0), ({"EUR": 1.16}, ABSENT), ({}, ABSENT)])
def test_a_currency_without_a_rate_is_told(tmp_path: Path, rates: dict[str, float], shown: float) -> None:
    """The page has one currency chosen, here USD: nothing else is its rate."""
    series = {
        f"site_owned_gpu_life_seconds{{{MODEL}}}": constant(1),
        f'site_owned_gpu_capital{{{MODEL}, currency="USD"}}': constant(30000),
    }
    for currency, rate in rates.items():
        series[f'site_usd_per_unit{{cluster="c", currency="{currency}"}}'] = constant(rate)
    answer = {'{cluster="c", model="NVIDIA H100 80GB HBM3"}': float(shown)}
    check(tmp_path, column_of(PAGE, DECLARED, "USD for one of it"), series, answer)
    assert said(PAGE, DECLARED, ABSENT) == "no rate"


STEPS = (
    ({'site_info{cluster="c"}': constant(1)}, "No market"),
    ({'gpu_market_provider_info{cluster="c", provider="vast"}': constant(1)}, "owned_gpus"),
    ({f"site_owned_gpu_life_seconds{{{MODEL}}}": constant(1)}, "catalogue"),
    (KNOWN, "rate"),
    ({'cluster:site_electricity_usd_per_kwh:avg7d{cluster="c"}': constant(0.2)}, "measured"),
    (own(1.0, 0.5), "rents out"),
    (own(1.0, 0.5, 0.7), "are known"),
)


@pytest.mark.parametrize("there", range(len(STEPS)))
def test_the_first_that_is_missing_is_told(tmp_path: Path, there: int) -> None:
    title = "Is there enough to compare?"
    series = {name: values for step, _ in STEPS[: there + 1] for name, values in step.items()}
    code = (there + 1) % len(STEPS)
    check(tmp_path, query_of(PAGE, title), series, {'{cluster="c"}': float(code)})
    assert STEPS[there][1] in said(PAGE, title, code)


def test_a_cluster_that_lacks_something_does_not_speak_for_another(tmp_path: Path) -> None:
    series = {name: values for step, _ in STEPS for name, values in step.items()}
    answer = {'{cluster="c"}': 0.0, '{cluster="d"}': 1.0}
    check(
        tmp_path,
        query_of(PAGE, "Is there enough to compare?"),
        series | {'site_info{cluster="d"}': constant(1)},
        answer,
    )


def test_tables_say_what_is_missing() -> None:
    said_by = {
        panel["title"]: panel["fieldConfig"]["defaults"].get("noValue", "")
        for panel in panels(PAGE)
        if panel["type"] == "table"
    }
    assert len(said_by) == 4
    assert all("owned_gpus" in text for text in said_by.values()), said_by


def test_variables_ask_few_series() -> None:
    asked = {
        variable["name"]: metrics(variable["query"]["query"].removeprefix("label_values(").rpartition(",")[0])
        for variable in variables(PAGE, "query")
    }
    assert asked["card"] == {"site_owned_gpu_card_info"}
    assert asked["price_tier"] == asked["host_tier"] == {"card:gpu_market_usd_per_gpu_hour:min"}


def test_what_is_assumed_is_on_the_page() -> None:
    """Declared or measured, whatever the verdict is made of."""
    asked = {name for _, target in targets(PAGE) for name in metrics(target["expr"])}
    declared = {f"site_owned_gpu_{what}" for what in ("capital", "residual", "life_seconds", "opex_per_hour")}
    measured = {"card:gpu_own_idle_watts:avg", "card:gpu_own_active_watts:avg30d"}
    assert declared | measured | {"site_pue_ratio", "site_electricity_price_now_per_kwh"} <= asked
