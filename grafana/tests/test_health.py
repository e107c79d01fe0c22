"""The page about health as it is written: quick over a month, and never a number where a word belongs."""

import promql_parser
import pytest
from grafana.absence import ABSENT
from grafana.findings import FINDINGS
from grafana.gains import gained
from grafana.healthtables import ACTIONS
from grafana.tests.conftest import QUERIES, Json
from prometheus.tests.promql import metrics, nodes

from gputally.catalogue import BY_NAME, FAMILIES

HEALTH = [(panel, target) for page, panel, target in QUERIES if page == "gputally-health"]
# Of the section "Health" of the catalogue, what the page does not ask, and why.
LEFT_OUT = {"gpu_xid_errors_total": "the first XID begins it, and its increase would not see that one"}


def longest_range(expression: str) -> float:
    """Seconds of the longest range that is read scrape by scrape."""
    ranges = [node.range for node in nodes(expression) if isinstance(node, promql_parser.MatrixSelector)]
    return max((one.total_seconds() for one in ranges), default=0)


def test_no_query_reads_all_scrapes_of_a_long_range() -> None:
    """A month of a thousand GPUs' counters would be a hundred million samples."""
    for panel, target in HEALTH:
        assert longest_range(target["expr"]) <= 3600, panel["title"]
        if target["range"]:
            assert longest_range(target["expr"]) <= 300, panel["title"]


def test_that_check_can_fail() -> None:
    assert longest_range("increase(gpu_ecc_errors_total[$__range])") > 3600
    assert longest_range(gained("gpu_ecc_errors_total{}")) == 300


def test_a_graph_of_what_came_has_few_points() -> None:
    """At 1,000 GPUs each point of one compares thousands of series with themselves a step before."""
    points = [
        panel.get("maxDataPoints", 1000) for panel, target in HEALTH if "offset $__interval" in target["expr"]
    ]
    assert len(points) > 10
    assert max(points) <= 240


def test_every_health_family_of_the_catalogue_is_on_the_page() -> None:
    wanted = {family.name for family in FAMILIES if family.section == "Health"} - set(LEFT_OUT)
    assert len(wanted) > 8
    assert wanted <= {name for _, target in HEALTH for name in metrics(target["expr"])}


def test_every_action_that_a_driver_asks_for_has_its_words() -> None:
    said = BY_NAME["gpu_recovery_action"].help
    assert all(f"{number} " in said for number in range(len(ACTIONS)))
    assert f"{len(ACTIONS)} " not in said


@pytest.mark.parametrize("condition", FINDINGS.values(), ids=FINDINGS.keys())
def test_a_finding_is_a_condition(condition: str) -> None:
    """Without a comparison every GPU would have it."""
    assert any(sign in condition for sign in (" > ", " < ", " == "))


def words_of(panel: Json) -> list[str]:
    """What stands for the absent in a panel or its columns."""
    config = panel["fieldConfig"]
    properties = [one for override in config["overrides"] for one in override["properties"]]
    columns = [one["value"] for one in properties if one["id"] == "mappings"]
    options = [
        mapping["options"] for group in (config["defaults"]["mappings"], *columns) for mapping in group
    ]
    return [one[str(ABSENT)]["text"] for one in options if str(ABSENT) in one]


def test_whatever_stands_for_a_word_has_one() -> None:
    """Else the number itself would be shown."""
    for panel, target in HEALTH:
        if f" or {ABSENT} *" in target["expr"]:
            assert words_of(panel), panel["title"]
