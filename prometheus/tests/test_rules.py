"""What every rule and alert has to be, whatever it is about: named by the guide, about known series."""

import re

import pytest
from prometheus.tests.conftest import ALERTS, PROMETHEUS, RULES, Rule
from prometheus.tests.promql import bare_counters, matchers, metrics, nodes, parse, selectors

from gputally.catalogue import FAMILIES

BUILT_IN = {"up", "ALERTS", "scrape_samples_scraped", "scrape_duration_seconds"}
KNOWN = {family.name for family in FAMILIES} | {rule.name for rule in RULES} | BUILT_IN
RUNBOOKS = PROMETHEUS.parent / "docs" / "alerts.md"


def test_every_metric_that_a_rule_reads_exists(rule: Rule) -> None:
    assert metrics(rule.expr) <= KNOWN


def test_the_check_of_names_can_fail() -> None:
    assert not metrics("sum(gpu_power_wats)") <= KNOWN


def test_counters_are_read_by_what_they_gained(rule: Rule) -> None:
    """A bare counter compares or adds what was since the exporter first ran."""
    assert bare_counters(rule.expr) == set()


def test_up_is_asked_of_one_job(rule: Rule) -> None:
    assert all("job" in matchers(selector) for selector in selectors(rule.expr) if selector.name == "up")


def test_no_two_rules_share_a_name(rules: list[Rule], alerts: list[Rule]) -> None:
    names = [rule.name for rule in rules + alerts]
    assert sorted(names) == sorted(set(names))


def test_group_names_say_what_they_hold(rule: Rule) -> None:
    kind = "alerts" if "alert" in rule.body else "rules"
    assert re.fullmatch(rf"gputally_[a-z_]+\.{kind}", rule.group["name"])


def test_recording_rules_are_named_level_metric_operations(recording: Rule) -> None:
    assert re.fullmatch(r"(gpu|uuid|instance|cluster):[a-z0-9_]+:[a-z0-9_]+", recording.name)


def test_a_recording_rule_drops_labels_by_name_up_to_the_machine(recording: Rule) -> None:
    """`without` keeps what an operator's targets are labelled with; only cluster and uuid fold everything."""
    level = recording.name.split(":")[0]
    labels = {"cluster": "by (cluster)", "uuid": "by (cluster, uuid)"}
    for node in nodes(recording.expr):
        if hasattr(node, "modifier") and hasattr(node, "param"):
            assert labels.get(level, "without (gpu, uuid)") in node.prettify()


def test_a_recording_rule_says_which_question_it_answers(recording: Rule) -> None:
    """The comment right above it ends in a question, or continues the one before."""
    text = (PROMETHEUS / recording.file).read_text()
    above = text[: text.index(f"- record: {recording.name}\n")].rstrip()
    assert above.splitlines()[-1].strip().startswith("#")


def test_a_group_is_evaluated_often_enough_for_its_reader(rule: Rule) -> None:
    """After five minutes an instant query finds nothing; hourly tiles are read by sum_over_time alone."""
    interval = rule.group.get("interval", "15s")
    assert interval in {"15s", "30s", "1m"} or (interval == "1h" and rule.name.endswith(":increase1h"))


def test_ranges_span_four_scrapes_or_more(rule: Rule) -> None:
    """In Prometheus 3 a range of two scrapes may hold one sample."""
    for node in nodes(rule.expr):
        if hasattr(node, "range"):
            assert node.range.total_seconds() >= 60


def test_an_alert_compares_or_notices_absence(alert: Rule) -> None:
    comparisons = {"==", "!=", ">", "<", ">=", "<="}
    found = [
        node
        for node in nodes(alert.expr)
        if str(getattr(node, "op", "")) in comparisons
        or getattr(getattr(node, "func", None), "name", "") == "absent"
    ]
    assert found


def test_an_alert_is_named_by_its_subject(alert: Rule) -> None:
    assert re.fullmatch(r"(Gpu|Gputally|Host|Site)[A-Z][A-Za-z]+", alert.name)


def test_an_alert_waits_a_sensible_time(alert: Rule) -> None:
    assert re.fullmatch(r"([1-9]|[1-5]\d|60)m", alert.body["for"])


def test_an_alert_has_a_severity_that_the_routes_know(alert: Rule) -> None:
    assert alert.body["labels"]["severity"] in {"critical", "warning", "info"}


def test_labels_of_an_alert_do_not_change_while_it_fires(alert: Rule) -> None:
    """A value in a label makes a new alert at every evaluation."""
    assert "$value" not in str(alert.body["labels"])


def test_the_summary_is_a_sentence_without_numbers_and_the_description_says_where(alert: Rule) -> None:
    notes = alert.body["annotations"]
    assert set(notes) == {"summary", "description", "runbook_url"}
    assert re.fullmatch(r"[A-Z][^{}0-9]+\.", notes["summary"])
    assert "First look:" in notes["description"]
    if "absent" not in alert.expr:
        assert "{{ $labels.instance }}" in notes["description"]


def test_every_alert_has_its_runbook_and_every_runbook_its_alert() -> None:
    anchors = {
        f"docs/alerts.md#{title.lower()}"
        for title in re.findall(r"^## (\w+)$", RUNBOOKS.read_text(), re.MULTILINE)
    }
    assert anchors == {alert.body["annotations"]["runbook_url"] for alert in ALERTS}
    assert all(
        alert.body["annotations"]["runbook_url"].endswith(f"#{alert.name.lower()}") for alert in ALERTS
    )


@pytest.mark.parametrize("broken", ["sum(", "a and 64 != bool 0", "rate(x)"])
def test_the_parser_refuses_what_prometheus_refuses(broken: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(broken)
