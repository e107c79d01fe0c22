"""Every alert is seen in unit tests: before, at and after its time, and silent where nothing is wrong."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import promql_parser
import pytest
import yaml
from prometheus.tests.conftest import ALERTS, PROMETHEUS, Rule
from prometheus.tests.promql import matchers, nodes, selectors

from gputally.alerts.thresholds import THRESHOLDS

RUNBOOKS = PROMETHEUS.parent / "docs" / "alerts.md"
SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
ALWAYS = {"GputallyWatchdog"}
# Events, and what stays until somebody acts: there is nothing to wait for.
AT_ONCE = {
    "GpuXidCritical",
    "GpuXidContained",
    "GpuRecoveryActionNeeded",
    "GpuEccUncorrectable",
    "GpuRowRemapFailed",
    "GpuRowRemapPending",
    "GpuRetiredPagesPending",
    *ALWAYS,
}


@dataclass(frozen=True)
class Look:
    """One question of a unit test: does the alert fire at this second?"""

    alert: str
    test: str
    second: int
    step: int  # seconds between two evaluations
    firing: bool


def seconds(duration: str) -> int:
    """`1h30m` and the like; everything else is an error."""
    assert re.fullmatch(r"(\d+[dhms])+", duration), duration
    return sum(int(number) * SECONDS[unit] for number, unit in re.findall(r"(\d+)([dhms])", duration))


def _looks() -> Iterator[Look]:
    for file in sorted((PROMETHEUS / "tests").glob("*_test.yml")):
        content = yaml.safe_load(file.read_text())
        step = seconds(content["evaluation_interval"])
        for test in content["tests"]:
            for case in test.get("alert_rule_test", []):
                second, firing = seconds(case["eval_time"]), bool(case.get("exp_alerts"))
                yield Look(case["alertname"], f"{file.name}: {test['name']}", second, step, firing)


@cache
def every_look() -> tuple[Look, ...]:
    """All of them, read once."""
    return tuple(_looks())


def edge(looks: list[Look]) -> int | None:
    """The second at which an alert begins to fire: silent one evaluation before, in the same test."""
    silent = {(look.test, look.second) for look in looks if not look.firing}
    begins = [look.second for look in looks if look.firing and (look.test, look.second - look.step) in silent]
    return min(begins, default=None)


def looks_of(alert: Rule) -> list[Look]:
    """The questions about one alert."""
    return [look for look in every_look() if look.alert == alert.name]


@pytest.mark.fault("agent-silent")
def test_every_alert_is_seen_before_at_and_after_its_time(alert: Rule) -> None:
    """Not earlier than `for` after the beginning of the test, so that it is `for` that is waited for."""
    looks = looks_of(alert)
    begins = 0 if alert.name in ALWAYS else edge(looks)
    assert begins is not None
    assert begins >= seconds(alert.body["for"])
    assert any(look.firing and look.second > begins for look in looks)


def test_every_alert_has_a_test_in_which_it_is_silent_throughout(alert: Rule) -> None:
    fires = {look.test for look in looks_of(alert) if look.firing}
    silent = {look.test for look in looks_of(alert)} - fires
    assert silent or alert.name in ALWAYS


def test_what_fires_on_after_its_end_is_seen_to_do_so_and_to_stop(alert: Rule) -> None:
    if "keep_firing_for" in alert.body:
        looks = looks_of(alert)
        begins = edge(looks)
        assert begins is not None
        longest = max(look.second for look in looks if look.firing)
        assert longest >= begins + seconds(alert.body["keep_firing_for"])
        assert any(not look.firing and look.second > longest for look in looks)


def test_the_edge_of_an_alert_is_found_only_where_there_is_one() -> None:
    before = Look("GpuA", "file: one", 105, 15, firing=False)
    at = Look("GpuA", "file: one", 120, 15, firing=True)
    elsewhere = Look("GpuA", "file: two", 105, 15, firing=False)
    early = Look("GpuA", "file: one", 90, 15, firing=False)
    assert edge([before, at]) == 120
    assert edge([elsewhere, at]) is None
    assert edge([early, at]) is None
    assert edge([before]) is None


@pytest.mark.parametrize("wrong", ["", "5", "m", "5x", "1m 5s"])
def test_a_duration_that_is_none_is_not_read_as_zero(wrong: str) -> None:
    with pytest.raises(AssertionError):
        seconds(wrong)


def test_only_events_and_what_stays_are_told_at_once(alert: Rule) -> None:
    assert (alert.body["for"] == "0m") == (alert.name in AT_ONCE)


def test_only_what_comes_and_goes_fires_on_after_its_end(alert: Rule) -> None:
    assert ("keep_firing_for" in alert.body) == ("gpu_throttle_seconds_total" in alert.expr)


def test_a_threshold_is_read_by_the_alert_that_it_is_named_for(alert: Rule) -> None:
    read = {
        matchers(selector).get("alert")
        for selector in selectors(alert.expr)
        if selector.name == "cluster:gputally_threshold:max"
    }
    assert read == ({f'="{alert.name}"'} if alert.name in THRESHOLDS else set())


def test_every_threshold_has_its_alert() -> None:
    assert set(THRESHOLDS) <= {alert.name for alert in ALERTS}


def test_names_are_joined_only_after_they_were_folded(alert: Rule) -> None:
    """A series of names that changes is there twice for five minutes, and a join on it would fail."""
    assert bare_joins(alert.expr) == set()


def bare_joins(expression: str) -> set[str]:
    """Series of names on the right of an operator that matches one by one."""
    return {
        node.rhs.name
        for node in nodes(expression)
        if isinstance(node, promql_parser.BinaryExpr)
        and str(node.op) not in {"and", "or", "unless"}
        and isinstance(node.rhs, promql_parser.VectorSelector)
        and str(node.rhs.name).endswith("_info")
    }


def test_a_join_on_bare_names_is_found() -> None:
    assert bare_joins("gpu_up * on (job_id) group_left (user) gpu_job_info") == {"gpu_job_info"}
    assert bare_joins("gpu_up * on (job_id) group_left (user) max by (job_id, user) (gpu_job_info)") == set()
    assert bare_joins("gpu_up and on (job_id) gpu_job_info") == set()


def test_the_first_look_is_something_to_type_or_to_open(alert: Rule) -> None:
    """One sentence at the end of the description."""
    look = alert.body["annotations"]["description"].split("First look")[1]
    assert len(look.strip(",: ")) > 10
    assert look.rstrip().endswith((".", "?"))


def test_a_runbook_has_meaning_impact_first_steps_end_and_source(alert: Rule) -> None:
    (section,) = re.findall(
        rf"^## {alert.name}$(.*?)(?=^## |\Z)", RUNBOOKS.read_text(), re.MULTILINE | re.DOTALL
    )
    heads = re.findall(r"^\*\*(Means|Impact|Look|Do|Ends|Source)\b", section, re.MULTILINE)
    assert [head for head in heads if head != "Do"] == ["Means", "Impact", "Look", "Ends", "Source"]
