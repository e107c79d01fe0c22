"""What the page about bills makes of charges that are written here; Prometheus' own tool answers it."""

from pathlib import Path

import pytest
from grafana import billimports, billjobs
from grafana.billcharges import CHARGE, GROUP
from grafana.tests.conftest import DASHBOARDS, panels, targets, variables
from grafana.tests.pages import column_of, panel_of, query_of
from grafana.tests.written import check, constant
from prometheus.tests.promql import metrics, selectors

from gputally.catalogue import LEDGER
from gputally.model.elsewhere import STATUSES
from gputally.site.ledger.jobs import KINDS
from gputally.site.ledger.staging import FOCUS, PLAIN

PAGE = DASHBOARDS["gputally-bills"]
H100, L40S = "h100-sxm5-80gb", "l40s-48gb"
TABLE, BY_DAY = "Charges ($currency)", "Cost by day, elsewhere and here ($currency)"
# Of the section "Ledger" of the catalogue, what the page does not ask itself, and why.
LEFT_OUT = {
    "gpu_cloud_cost_month_to_date": "the rule charge:... is the same, once for two agents",
    "gpu_cloud_cost_by_day": "rules add it up",
    "gpu_cloud_cost_per_gpu_hour": "a rule puts it into USD",
    "gpu_cloud_cost_latest_day_timestamp_seconds": "a rule makes an age of it",
    "gpu_cloud_job_import_rows_total": "refused rows of all kinds stand in a table",
}


def charge(provider: str, card: str, team: str, amount: float, currency: str = "USD") -> dict[str, str]:
    labels = f'cluster="c", provider="{provider}", card="{card}", team="{team}", currency="{currency}"'
    return {f"charge:gpu_cloud_cost_month_to_date:max{{{labels}}}": constant(amount)}


def site(metric: str, value: float, instance: str = "s", **labels: str) -> dict[str, str]:
    more = "".join(f', {name}="{text}"' for name, text in labels.items())
    return {f'{metric}{{cluster="c", job="gputally-site", instance="{instance}"{more}}}': constant(value)}


CHARGES = (
    charge("aws", H100, "vision", 100)
    | charge("lambda", L40S, "nlp", -5)
    | charge("ovh", H100, "nlp", 7, "EUR")
)


def test_the_month_is_of_one_currency_and_of_all_that_is_chosen(tmp_path: Path) -> None:
    title = "This month elsewhere ($currency)"
    check(tmp_path, query_of(PAGE, title), CHARGES, {"{}": 95.0})
    of_vision = query_of(PAGE, title).replace("$team", "vision")
    check(tmp_path, of_vision, CHARGES, {"{}": 100.0})


def test_last_month_is_counted_once_however_many_agents_tell_it(tmp_path: Path) -> None:
    told = {"provider": "aws", "card": H100, "team": "vision", "currency": "USD"}
    series = site("gpu_cloud_cost_last_month", 40, **told) | site(
        "gpu_cloud_cost_last_month", 40, "t", **told
    )
    check(tmp_path, query_of(PAGE, "Last month elsewhere ($currency)"), series, {"{}": 40.0})


def test_both_sides_of_31_days_are_told_apart(tmp_path: Path) -> None:
    rule = "team:gpu_cloud_and_own_cost:sum31d"
    series = {
        f'{rule}{{cluster="c", team="{team}", currency="USD", where="{where}"}}': constant(value)
        for team, where, value in (("vision", "elsewhere", 30), ("nlp", "elsewhere", 2), ("vision", "own", 8))
    }
    title = "31 days, elsewhere and here ($currency)"
    check(tmp_path, query_of(PAGE, title, "A"), series, {"{}": 32.0})
    check(tmp_path, query_of(PAGE, title, "B"), series, {"{}": 8.0})
    teams = "Teams, 31 days ($currency)"
    check(
        tmp_path, column_of(PAGE, teams, "Together"), series, {'{team="vision"}': 38.0, '{team="nlp"}': 2.0}
    )
    check(tmp_path, column_of(PAGE, teams, "Own machines"), series, {'{team="vision"}': 8.0})


def test_days_are_bars_by_their_label_and_not_by_the_time_of_a_sample(tmp_path: Path) -> None:
    rule = "cluster:gpu_cloud_and_own_cost_day:max"
    series = {
        f'{rule}{{cluster="{cluster}", day="{day}", currency="USD", where="{where}"}}': constant(value)
        for cluster, day, where, value in (
            ("c", "2026-11-27", "elsewhere", 30),
            ("d", "2026-11-27", "elsewhere", 4),
            ("c", "2026-11-27", "own", 8),
        )
    }
    day = '{day="2026-11-27", short="11-27"}'
    check(tmp_path, query_of(PAGE, BY_DAY, "A"), series, {day: 34.0})
    check(tmp_path, query_of(PAGE, BY_DAY, "B"), series, {day: 8.0})
    organize = panel_of(PAGE, BY_DAY)["transformations"][-1]["options"]
    assert organize["renameByName"] == {"short": "Day", "Value #A": "Elsewhere", "Value #B": "Own machines"}


def test_hours_of_a_charge_stand_in_its_line_and_make_none_of_their_own(tmp_path: Path) -> None:
    """A charge in another currency has hours, and no line here."""
    series = CHARGES.copy()
    for provider, card, team in (("aws", H100, "vision"), ("ovh", H100, "nlp")):
        series |= site("gpu_cloud_gpu_hours_month_to_date", 50, provider=provider, card=card, team=team)
    line = f'{{cluster="c", provider="aws", card="{H100}", team="vision", currency="USD"}}'
    check(tmp_path, column_of(PAGE, TABLE, "GPU hours"), series, {line: 50.0})


def test_what_an_hour_was_paid_with_stands_beside_the_cheapest_of_the_same_card_on_demand(
    tmp_path: Path,
) -> None:
    title = "Paid for an hour, against the market (USD)"
    series = {
        f'provider:gpu_cloud_usd_per_gpu_hour:avg31d{{cluster="c", provider="aws", card="{card}"}}': constant(
            6
        )
        for card in (H100, L40S)
    }
    for tier, price in (("ondemand", 2), ("reserved", 1.5), ("spot", 0.5)):
        labels = f'cluster="c", card="{H100}", price_tier="{tier}", host_tier="datacenter"'
        series |= {f"card:gpu_market_usd_per_gpu_hour:min{{{labels}}}": constant(price)}
    line = f'{{cluster="c", card="{H100}", provider="aws"}}'
    check(tmp_path, column_of(PAGE, title, "Cheapest now"), series, {line: 2.0})


def test_jobs_are_counted_once_and_by_what_they_have_in_common(tmp_path: Path) -> None:
    told = {"provider": "lab", "team": "nlp", "model": "llama", "card": H100, "status": "failed"}
    series = site("gpu_cloud_jobs", 3, **told) | site("gpu_cloud_jobs", 3, "t", **told)
    line = "{" + ", ".join(f'{name}="{value}"' for name, value in told.items()) + "}"
    check(tmp_path, column_of(PAGE, "Jobs elsewhere", "Jobs"), series, {line: 3.0})


@pytest.mark.parametrize(
    ("series", "value"),
    [
        (site("gputally_ledger_readable", 1), 1),
        (site("gputally_ledger_readable", 0), 0),
        (site("gputally_ledger_readable", 0) | site("gputally_ledger_readable", 1, "t"), 1),
        ({}, 2),
    ],
    ids=["read", "unreadable", "read by one of two", "none"],
)
def test_the_page_says_whether_there_is_a_ledger_and_whether_it_is_read(
    tmp_path: Path, series: dict[str, str], value: float
) -> None:
    told = site("site_info", 1) | series
    check(tmp_path, query_of(PAGE, "The ledger"), told, {"{}": float(value)})
    (words,) = panel_of(PAGE, "The ledger")["fieldConfig"]["defaults"]["mappings"]
    assert set(words["options"]) == {"0", "1", "2"}


def test_every_word_of_the_ledger_has_one_of_the_page() -> None:
    assert set(billjobs._STATES) == set(STATUSES)
    assert set(billimports._KINDS) == {FOCUS, PLAIN, *KINDS}


def test_tables_say_what_is_missing() -> None:
    said = {
        panel["title"]: panel["fieldConfig"]["defaults"].get("noValue", "")
        for panel in panels(PAGE)
        if panel["type"] == "table"
    }
    assert len(said) == 7
    assert all(said.values()), said


def test_charges_and_jobs_follow_what_is_chosen() -> None:
    for panel, target in targets(PAGE):
        for selector in selectors(target["expr"]):
            text = selector.prettify()
            if selector.name.startswith("charge:"):
                assert all(one in text for one in GROUP.split(", ")), panel["title"]
            if selector.name in {"gpu_cloud_cost_last_month", "gpu_cloud_jobs", "gpu_cloud_job_gpu_hours"}:
                assert all(one in text for one in CHARGE.split(", ")), panel["title"]


def test_the_page_opens_with_the_currency_in_which_most_days_have_a_cost() -> None:
    (currency,) = (one for one in variables(PAGE, "query") if one["name"] == "currency")
    assert currency["query"]["query"].startswith("query_result(sort_desc(count by (currency) (")
    assert currency["sort"] == 0


def test_all_that_the_ledger_tells_is_on_the_page() -> None:
    asked = {name for _, target in targets(PAGE) for name in metrics(target["expr"])}
    told = {family.name for family in LEDGER}
    assert told - asked == set(LEFT_OUT)
