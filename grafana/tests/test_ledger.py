"""The pages about money and jobs: quick over a month, complete in their words, linked to each other."""

import re

import promql_parser
from grafana.jobs import STATES
from grafana.prices import DEFAULT_PRICE
from grafana.tests.conftest import DASHBOARDS, PANELS, QUERIES, Json, variables
from grafana.waste import REASONS
from prometheus.tests.conftest import RULES
from prometheus.tests.promql import metrics, nodes

from gputally.catalogue import BY_NAME

LEDGER = [row for row in QUERIES if row[0] in {"gputally-cost", "gputally-jobs", "gputally-teams"}]
LINES = {"GPUs held and used", "Utilisation by team"}  # no amounts: numbers of GPUs, and parts
INTERVALS = {rule.name: rule.group.get("interval", "15s") for rule in RULES}


def test_long_ranges_read_what_was_recorded_in_minutes_or_hours() -> None:
    """A month of scrapes, or of what is recorded as often, is too much for a page."""
    for _, panel, target in LEDGER:
        for node in nodes(target["expr"]):
            if isinstance(node, promql_parser.MatrixSelector) and node.range.total_seconds() > 3600:
                name = node.vector_selector.name
                assert INTERVALS.get(name) in {"1m", "2m", "5m", "1h"}, (panel["title"], name)


def test_lines_over_the_range_are_of_clusters_and_tiles() -> None:
    """A line for each machine or GPU of a month would be as much."""
    for _, panel, target in LEDGER:
        if target["range"]:
            for name in metrics(target["expr"]):
                assert name.startswith(("cluster:", "site_")) or name.endswith(":increase1h"), panel["title"]


def test_tiles_are_drawn_no_closer_than_they_are() -> None:
    """Their sums as bars, as they are amounts; days one by one, or a bar would be of an hour."""
    for _, panel, target in LEDGER:
        if "[$__interval]" in target["expr"] and ":increase1h" in target["expr"]:
            is_of_days = re.search(r"sum_over_time\([^()]*\[\$__interval\]", target["expr"])
            assert panel["interval"] == ("1d" if is_of_days else "1h"), panel["title"]
            style = panel["fieldConfig"]["defaults"]["custom"]["drawStyle"]
            assert style == ("line" if panel["title"] in LINES else "bars"), panel["title"]


def test_every_reason_and_state_of_the_catalogue_has_its_words() -> None:
    reasons = BY_NAME["gpu_unattributed_energy_joules_total"].help.split(":")[1].strip(" .").split(", ")
    assert set(reasons) == set(REASONS)
    states = set(
        re.findall(r"running|completed|failed|cancelled|timeout|ended", BY_NAME["gpu_job_state"].help)
    )
    assert states == set(STATES)


def test_the_default_price_is_named_with_its_currency() -> None:
    assert DEFAULT_PRICE == "0.12 USD"


def links() -> list[tuple[Json, Json]]:
    return [
        (panel, link)
        for _, panel in PANELS
        for override in panel["fieldConfig"]["overrides"]
        for one in override["properties"]
        if one["id"] == "links"
        for link in one["value"]
    ] + [(panel, link) for _, panel in PANELS for link in panel["fieldConfig"]["defaults"].get("links", [])]


def test_links_lead_to_pages_that_have_the_variables() -> None:
    found = links()
    assert {panel["title"].split(" (")[0] for panel, _ in found} >= {"Running now", "Cost", "GPUs"}
    for _, link in found:
        uid, query = re.fullmatch(r"/d/([\w-]+)\?(.+)", link["url"]).groups()
        names = {one["name"] for one in DASHBOARDS[uid]["templating"]["list"]}
        assert set(re.findall(r"var-(\w+)=", query)) <= names
        assert set(re.findall(r"\$\{(\w+):queryparam\}", query)) <= names
        assert "${__url_time_range}" in query or re.search(r"from=\$\{.+\}&to=", query)


def test_a_job_is_found_from_each_of_its_rows_over_the_time_that_it_had() -> None:
    """Only columns that a table has can be spoken of in its links."""
    found = [(panel, link) for panel, link in links() if link["url"].startswith("/d/gputally-job?")]
    timed = [(panel, link) for panel, link in found if "from=" in link["url"]]
    assert len(timed) == 3
    for panel, link in found:
        names = {override["matcher"]["options"] for override in panel["fieldConfig"]["overrides"]}
        assert set(re.findall(r"__data\.fields\.(\w+)", link["url"])) <= names
        assert "var-job_id=${__value.raw}" in link["url"]


def test_lists_of_jobs_look_back_as_far_as_the_reader_says() -> None:
    (span,) = variables(DASHBOARDS["gputally-jobs"], "custom")
    assert span["current"]["value"] in span["query"].split(",")
    assert [one["value"] for one in span["options"] if one["selected"]] == [span["current"]["value"]]
    titled = [panel["title"] for _, panel in PANELS if f"[${span['name']}]" in str(panel["targets"])]
    assert titled
    assert all("$span" in title for title in titled)


def test_tiles_are_added_up_over_the_range_of_the_page_and_no_other() -> None:
    """Or drawn one by one."""
    spans = {
        span
        for _, _, target in LEDGER
        for span in re.findall(r":increase1h\{[^}]*\}\[(.+?)\]", target["expr"])
    }
    # A week for "week on week"; two hours only to know who is there.
    assert spans == {"$__range", "$__interval", "7d", "2h"}
    weeks = {panel["title"] for _, panel, target in LEDGER if "[7d]" in target["expr"]}
    assert weeks == {"Week on week"}
