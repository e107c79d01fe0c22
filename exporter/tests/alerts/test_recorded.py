"""Tables of recorded series, shipped alerts and receivers against the files that they are of."""

import re

import promql_parser
import pytest
from prometheus.tests.conftest import ALERTS, PROMETHEUS, RULES, Rule
from prometheus.tests.promql import leftmost, parse

from gputally.alerts.recorded import RECORDED
from gputally.alerts.shipped import SHIPPED
from gputally.alerts.userrules import RECEIVERS
from gputally.catalogue import BY_NAME

LEFT_OUT = {"rules/audit.yml", "rules/jobnames.yml", "rules/thresholds.yml"}
OFFERED = {rule.name: rule for rule in RULES if rule.file not in LEFT_OUT}
SECONDS = {"15s": 15, "1m": 60, "2m": 120, "5m": 300, "1h": 3600}


def labels(node: promql_parser.Expr) -> set[str]:
    """The labels of a result, as far as the catalogue knows them, those of the target among them."""
    node = leftmost(node)
    if isinstance(node, promql_parser.VectorSelector):
        if node.name in BY_NAME:
            return {*BY_NAME[node.name].labels, "cluster", "instance"}
        return labels(parse(OFFERED[node.name].expr))
    if node.modifier.type == promql_parser.AggModifierType.By:
        return set(node.modifier.labels)
    return labels(node.expr) - set(node.modifier.labels)


def test_the_table_has_what_is_recorded():
    assert set(RECORDED) == set(OFFERED)


@pytest.mark.parametrize("rule", OFFERED.values(), ids=lambda rule: rule.name)
def test_a_recorded_series_has_its_labels_and_its_interval(rule: Rule):
    row = RECORDED[rule.name]
    assert set(row.labels) == labels(parse(rule.expr))
    assert len(row.labels) == len(set(row.labels))
    assert row.seconds == SECONDS[rule.group.get("interval", "15s")]


def test_the_names_of_shipped_alerts():
    assert {rule.name for rule in ALERTS} == SHIPPED


def test_every_receiver_of_a_rule_has_its_route():
    text = (PROMETHEUS.parent / "alertmanager" / "alertmanager.yml").read_text()
    assert set(re.findall(r"""matchers: \['receiver="(\w+)"'\]""", text)) == set(RECEIVERS)
