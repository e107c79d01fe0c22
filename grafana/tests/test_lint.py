"""The rules of Grafana's dashboard-linter, made anew: it is a Go program that not every machine can have.

Its rules about Loki (target-logql, target-logql-auto) have nothing to look at here: a test says that there is
no other data source. What is exempt stands in a table, with its reason.
"""

import re
from typing import Any

import promql_parser
import pytest
from grafana.queries import OF_SITE, is_folded
from grafana.tests.conftest import QUERIES, Json, targets, variables
from prometheus.tests.levels import LEVELS
from prometheus.tests.promql import bare_counters, matchers, metrics, nodes, parse, selectors

from gputally.catalogue import BY_NAME

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
# Series that no variable of the page can select, and why.
UNSELECTED = {
    "ALERTS": "an alert about the whole fleet names no job and no machine",
    "ALERTS_FOR_STATE": "as above",
    "prometheus_rule_evaluation_failures_total": "one server evaluates for all machines of all clusters",
    "prometheus_rule_group_interval_seconds": "as above",
    "prometheus_rule_group_iterations_missed_total": "as above",
    "prometheus_rule_group_last_duration_seconds": "as above",
}
CHOICES = ("cluster", "job", "instance", "team", "user", "model")
OF_A_RENTAL = {"rental"}  # its team is who it was rented for: no choice of jobs' teams is about it

# Of machines as the file of reservations names them; who is on a GPU of others is no choice of the page.
OF_RESERVATIONS = {"machine", "holder", "reservation", "reservation_gpu", "reservation_user"}


def variable(dashboard: Json, name: str) -> Json:
    (found,) = [one for one in dashboard["templating"]["list"] if one["name"] == name]
    assert isinstance(found, dict)
    return found


def test_template_datasource(dashboard: Json) -> None:
    """The first variable chooses the data source."""
    first = dashboard["templating"]["list"][0]
    assert (first["name"], first["label"], first["type"]) == ("datasource", "Data source", "datasource")
    assert first["query"] == "prometheus"


@pytest.mark.parametrize(("name", "label"), [("job", "Job"), ("instance", "Instance")])
def test_template_job_and_template_instance(dashboard: Json, name: str, label: str) -> None:
    found = variable(dashboard, name)
    assert found["label"] == label
    assert found["type"] == "query"
    assert found["datasource"] == SOURCE
    assert found["multi"]
    assert found["allValue"] == ".+"


def test_template_label_promql(dashboard: Json) -> None:
    """What label_values() and query_result() ask for can be parsed."""
    for one in variables(dashboard, "query"):
        found = re.fullmatch(r"label_values\((.+), \w+\)|query_result\((.+)\)", one["query"]["query"])
        assert found
        assert parse((found[1] or found[2]).replace("$__range", "7d"))


def test_template_on_time_change_reload(dashboard: Json) -> None:
    assert {one["refresh"] for one in variables(dashboard, "query")} == {2}


def test_panel_datasource(panel: Json) -> None:
    """The panel's and each query's; no Loki anywhere, so that its rules have nothing to say."""
    assert panel["datasource"] == SOURCE
    assert all(target["datasource"] == SOURCE for target in panel["targets"])


def test_panel_title_description(panel: Json) -> None:
    assert panel["title"].strip()
    assert re.fullmatch(r"[A-Z].+\.", panel["description"])


KNOWN_UNITS = {
    "Bps",
    "bytes",
    "celsius",
    "currencyUSD",
    "dateTimeFromNow",
    "hertz",
    "joule",
    "kwatth",
    "massg",
    "ms",
    "none",
    "percentunit",
    "reqps",
    "s",
    "short",
    "time:MM-DD HH:mm",
    "watt",
}


def test_panel_units(panel: Json) -> None:
    """Of the panel and of every column."""
    config = panel["fieldConfig"]
    properties = [one for override in config["overrides"] for one in override["properties"]]
    units = [config["defaults"]["unit"], *(one["value"] for one in properties if one["id"] == "unit")]
    assert set(units) <= KNOWN_UNITS | {"string"}  # of a label whose values may be digits


def test_panel_no_targets(panel: Json) -> None:
    assert panel["targets"]


def test_target_promql(query: str) -> None:
    assert parse(query)


def test_target_rate_interval(query: str) -> None:
    """A rate over a fixed range is too short at one zoom and too long at another."""
    marked = query.replace("$__rate_interval", "61s")
    for node in nodes(marked):
        if isinstance(node, promql_parser.Call) and node.func.name in {"rate", "irate"}:
            assert node.args[0].range.total_seconds() == 61


def of_bills(metric: str) -> tuple[str, ...]:
    """The labels of a family of charges or jobs elsewhere."""
    return BY_NAME[metric].labels if metric.startswith("gpu_cloud_") and metric in BY_NAME else ()


def labels_of(metric: str) -> tuple[str, ...]:
    """Which of the choices a series of this name can follow."""
    level, is_recorded, _ = metric.partition(":")
    labels = ("cluster", "job", "instance")
    if level in OF_A_RENTAL:
        labels = ("cluster",)
    elif level in OF_RESERVATIONS:
        labels = tuple(label for label in LEVELS[level] if label in ("cluster", "team"))
    elif is_recorded:
        labels = LEVELS[level] or labels
    elif metric.startswith("gpu_reservation_"):
        labels = ("cluster", *(label for label in BY_NAME[metric].labels if label == "team"))
    elif metric.startswith(OF_SITE):  # of all the cluster's machines, and from a job of its own
        labels = ("cluster", "team") if "team" in of_bills(metric) else ("cluster",)
    return tuple(label for label in labels if label in CHOICES)


@pytest.mark.parametrize("label", ["cluster", "job", "instance"])
def test_target_job_and_target_instance(query: str, label: str) -> None:
    """The cluster too. A recorded series follows the labels that its level has left."""
    for selector in selectors(query):
        if label in labels_of(selector.name) and selector.name not in UNSELECTED:
            assert f'{label}=~"${label}"' in selector_text(selector)


@pytest.mark.parametrize("label", ["team", "user", "model"])
def test_amounts_of_teams_follow_what_is_chosen_of_them(query: str, label: str) -> None:
    for selector in selectors(query):
        if label in labels_of(selector.name):
            assert f'{label}=~"${label}"' in selector_text(selector)


def test_nothing_is_filtered_by_a_label_that_it_does_not_have(query: str) -> None:
    """It would be empty whenever a choice is made."""
    names = {"gpu_job_info"} | {name for name in metrics(query) if name.startswith("gpu_team_")}
    for selector in selectors(query):
        followed = {label for label in CHOICES if f'{label}=~"${label}"' in selector_text(selector)}
        silenced = is_folded(selector.name)  # by what it does not have
        people = {"team", "user", "model"} if silenced or selector.name in names else set()
        assert followed <= {*labels_of(selector.name), *people}


def is_money(metric: str) -> bool:
    """Whether a series is an amount in some currency; what is USD by its name is not."""
    if metric in BY_NAME:
        return "currency" in BY_NAME[metric].labels and not metric.endswith("_info")
    return "cost" in metric and "audit" not in metric


def test_two_currencies_are_never_added(query: str) -> None:
    """Every amount is of the one currency that the page has chosen."""
    for selector in selectors(query):
        chosen = matchers(selector).get("currency")
        assert chosen == ('="$currency"' if is_money(selector.name) else None)


def test_the_currency_is_one_and_is_told_wherever_there_is_an_amount(dashboard: Json) -> None:
    found = [one for one in variables(dashboard, "query") if one["name"] == "currency"]
    assert not any(one["multi"] or one["includeAll"] for one in found)
    for panel, target in targets(dashboard):
        if any(is_money(name) for name in metrics(target["expr"])):
            assert found
            assert "$currency" in panel["title"] or is_ratio(panel, target), panel["title"]


def is_ratio(panel: Json, target: Json) -> bool:
    """Whether the amount is divided by another."""
    return " / " in target["expr"] and panel["fieldConfig"]["defaults"]["unit"] == "percentunit"


def selector_text(selector: Any) -> str:
    """As written: two matchers of one label are both in it."""
    return str(selector.prettify())


def test_nothing_is_exempt_that_does_not_occur() -> None:
    named = {name for *_, target in QUERIES for name in metrics(target["expr"])}
    assert set(UNSELECTED) <= named


def test_target_counter_agg(query: str) -> None:
    """A counter is shown as what it gains."""
    assert bare_counters(query) == set()


def test_uneditable_dashboard(dashboard: Json) -> None:
    assert dashboard["editable"] is False


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        ("gpu_energy_joules_total", bare_counters),
        ('gpu_up{job=~"$job"}', lambda text: "instance" not in matchers(selectors(text)[0])),
    ],
)
def test_the_rules_can_fail(broken: str, complaint: Any) -> None:
    assert complaint(broken)
