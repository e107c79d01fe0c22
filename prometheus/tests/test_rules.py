"""What every rule and alert has to be, whatever it is about: named by the guide, about known series."""

import re
from pathlib import Path

import promql_parser
import pytest
from prometheus.tests.conftest import ALERTS, PROMETHEUS, RULES, Rule
from prometheus.tests.levels import LEVELS
from prometheus.tests.promql import bare_counters, leftmost, matchers, metrics, nodes, parse, selectors

from gputally.catalogue import FAMILIES

BUILT_IN = {"up", "ALERTS", "scrape_samples_scraped", "scrape_duration_seconds"}
KNOWN = {family.name for family in FAMILIES} | {rule.name for rule in RULES} | BUILT_IN
RUNBOOKS = PROMETHEUS.parent / "docs" / "alerts.md"
MANUAL = PROMETHEUS.parent / "docs" / "rules.md"
SCRAPE_SECONDS = 15
HEARTBEAT = "vector(1)"  # fires always, and its silence is the alarm

# What a figure may be divided by at any level.
FINER = (
    *("currency", "tariff", "reason", "day", "state", "alert"),
    *("card", "provider", "price_tier", "host_tier", "part", "period"),
    *("where", "status"),
)
# Money that is compared and never charged: what was charged, and what would be elsewhere.
COMPARED = {"rules/audit.yml", "rules/rent_or_own.yml", "rules/bills.yml", "rules/budgets.yml"}


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
    level, metric, operations = recording.name.split(":")
    assert level in LEVELS
    assert re.fullmatch(r"(gpu|site|gputally)_[a-z_]+", metric)
    assert re.fullmatch(r"[a-z0-9_]+", operations)


def test_a_recording_rule_has_the_labels_of_its_level(recording: Rule) -> None:
    """`without` keeps what an operator's targets are labelled with; other levels fold all but their own."""
    level = recording.name.split(":")[0]
    outermost = leftmost(parse(recording.expr))
    if isinstance(outermost, promql_parser.VectorSelector):
        assert level == "gpu" or str(outermost.name).startswith(f"{level}:")
    elif LEVELS[level]:
        assert outermost.modifier.type == promql_parser.AggModifierType.By
        assert set(LEVELS[level]) <= set(outermost.modifier.labels) <= {*LEVELS[level], *FINER}
    else:
        assert outermost.modifier.type == promql_parser.AggModifierType.Without
        assert set(outermost.modifier.labels) <= {"gpu", "uuid", *FINER}


def test_totals_never_mix_clusters(recording: Rule) -> None:
    by = promql_parser.AggModifierType.By
    aggregates = [node for node in nodes(recording.expr) if isinstance(node, promql_parser.AggregateExpr)]
    assert all("cluster" in node.modifier.labels for node in aggregates if node.modifier.type == by)


def test_money_keeps_its_currency(recording: Rule) -> None:
    """Two currencies are never added. Ratios of the audit compare numbers, on the day of a change as well."""
    level, metric, _ = recording.name.split(":")
    outermost = leftmost(parse(recording.expr))
    if "_cost" in metric and not metric.endswith("_audit") and LEVELS[level]:
        assert isinstance(outermost, promql_parser.VectorSelector) or "currency" in outermost.modifier.labels


def test_tiles_cover_their_interval_and_one_scrape(recording: Rule) -> None:
    """Scaled back to the interval, so that neighbours neither overlap nor leave a gap."""
    found = re.fullmatch(r"increase(5m|1h)", recording.name.split(":")[2])
    if found:
        seconds = {"5m": 300, "1h": 3600}[found.group(1)]
        assert recording.group["interval"] == found.group(1)
        ranges = [node.range.total_seconds() for node in nodes(recording.expr) if hasattr(node, "range")]
        assert ranges == [seconds + SCRAPE_SECONDS]
        assert f" {seconds} / {seconds + SCRAPE_SECONDS}" in " ".join(recording.expr.split())


def test_finals_of_jobs_look_back_two_intervals(recording: Rule) -> None:
    """One evaluation may be missed: series stay for one interval after the end of a job."""
    if recording.name.startswith("job_id"):
        assert recording.group["interval"] == "5m"
        ranges = [node.range.total_seconds() for node in nodes(recording.expr) if hasattr(node, "range")]
        assert set(ranges) == {600}


def test_hourly_tiles_are_of_one_instant_and_come_from_counters(rules: list[Rule]) -> None:
    """So that parts add up to the whole, and promtool can backfill all of them in one run."""
    tiles = [rule for rule in rules if rule.name.endswith(":increase1h")]
    assert len({(rule.file, rule.group["name"]) for rule in tiles}) == 1
    assert all(name.endswith("_total") for rule in tiles for name in metrics(rule.expr))


def test_no_price_is_joined_to_an_amount_of_money_but_to_compare(recording: Rule) -> None:
    asked = {name for name in metrics(recording.expr) if re.match(r"(cluster:)?site_", name)}
    assert asked <= {"site_day_info"} or recording.file in COMPARED


def test_a_recording_rule_says_which_question_it_answers(recording: Rule) -> None:
    """The comment right above it ends in a question, or continues the one before."""
    text = (PROMETHEUS / recording.file).read_text()
    above = text[: text.index(f"- record: {recording.name}\n")].rstrip()
    assert above.splitlines()[-1].strip().startswith("#")


def test_a_recording_rule_stands_in_the_manual_under_its_file(recording: Rule) -> None:
    sections = re.split(r"^##+ ", MANUAL.read_text(), flags=re.MULTILINE)
    (section,) = (
        part for part in sections if f"`{Path(recording.file).name}`" in part and "| series |" in part
    )
    assert f"`{recording.name}`" in section


def test_the_manual_names_no_rule_that_does_not_exist() -> None:
    named = set(re.findall(r"`(\w+:(?:gpu|site|gputally)_\w+:\w+)", MANUAL.read_text()))
    assert named == {rule.name for rule in RULES}


def test_a_group_is_evaluated_often_enough_for_its_reader(rule: Rule) -> None:
    """After five minutes an instant query finds nothing: what is rarer is only read over a range."""
    rare = {"5m": r":(max|min|ratio|((avg|min|max|increase)5m))", "1h": ":increase1h"}
    interval = rule.group.get("interval", "15s")
    if interval not in {"15s", "30s", "1m", "2m"}:
        assert re.search(f"{rare[interval]}$", rule.name)


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
    assert found or alert.expr == HEARTBEAT


def test_an_alert_is_named_by_its_subject(alert: Rule) -> None:
    assert re.fullmatch(r"(Gpu|Gputally|Host|Site)[A-Z][A-Za-z]+", alert.name)


def test_an_alert_waits_a_sensible_time(alert: Rule) -> None:
    assert re.fullmatch(r"(\d|[1-5]\d|60)m", alert.body["for"])


def test_an_alert_has_a_severity_that_the_routes_know(alert: Rule) -> None:
    assert alert.body["labels"]["severity"] in {"critical", "warning", "info"}


def test_labels_of_an_alert_do_not_change_while_it_fires(alert: Rule) -> None:
    """A value in a label makes a new alert at every evaluation."""
    assert "$value" not in str(alert.body["labels"])


def test_the_summary_is_a_sentence_without_numbers_and_the_description_says_where(alert: Rule) -> None:
    notes = alert.body["annotations"]
    assert set(notes) == {"summary", "description", "runbook_url"}
    assert re.fullmatch(r"[A-Z][^{}0-9]+\.", notes["summary"])
    assert "First look" in notes["description"]
    if "absent" not in alert.expr and alert.expr != HEARTBEAT:
        assert re.search(r"\$labels\.(instance|cluster)", notes["description"])


def test_every_alert_has_its_runbook_and_every_runbook_its_alert() -> None:
    anchors = {
        f"docs/alerts.md#{title.lower()}"
        for title in re.findall(r"^## (\w+)$", RUNBOOKS.read_text(), re.MULTILINE)
    }
    assert anchors == {alert.body["annotations"]["runbook_url"] for alert in ALERTS}
    assert all(
        alert.body["annotations"]["runbook_url"].endswith(f"#{alert.name.lower()}") for alert in ALERTS
    )


def test_the_table_of_runbooks_has_every_alert_beside_its_file_in_the_order_of_sections() -> None:
    text = RUNBOOKS.read_text()
    rows = re.findall(r"^\| `(\w+\.yml)` \| (.+) \|$", text, re.MULTILINE)
    listed = [(file, name) for file, names in rows for name in re.findall(r"\[(\w+)\]", names)]
    files = {alert.name: Path(alert.file).name for alert in ALERTS}
    assert listed == [(files[name], name) for name in re.findall(r"^## (\w+)$", text, re.MULTILINE)]


@pytest.mark.parametrize("broken", ["sum(", "a and 64 != bool 0", "rate(x)"])
def test_the_parser_refuses_what_prometheus_refuses(broken: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(broken)
