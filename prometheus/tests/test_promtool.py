"""Prometheus' own tool accepts the configuration and the rules, and its unit tests of them hold."""

import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus.tests.conftest import ALERTS, PROMETHEUS, RULES, Rule
from prometheus.tests.promql import metrics, parse

from gputally.catalogue import FAMILIES

UNIT_TESTS = sorted((PROMETHEUS / "tests").glob("*_test.yml"))
FAMILIES_BY_NAME = {family.name: family for family in FAMILIES}
TARGET = {"job", "cluster", "instance", "rack"}


def promtool(*arguments: str | Path) -> str:
    """Run promtool in prometheus/; its answer is the failure message when it refuses."""
    done = subprocess.run(
        ["promtool", *map(str, arguments)], cwd=PROMETHEUS, capture_output=True, text=True, check=False
    )
    answer = done.stdout + done.stderr
    assert done.returncode == 0, answer
    return answer


def test_the_configuration_is_valid_and_finds_every_rule_file() -> None:
    """A glob that matches nothing would be silently accepted."""
    files = len({rule.file for rule in RULES + ALERTS}) + (PROMETHEUS / "alerts" / "user.yml").exists()
    assert f"SUCCESS: {files} rule files found" in promtool("check", "config", "prometheus.yml")


def test_rules_pass_promtools_lint() -> None:
    """Duplicate rules are only an error with --lint-fatal."""
    files = sorted({rule.file for rule in RULES + ALERTS})
    assert "FAILED" not in promtool("check", "rules", "--lint-fatal", *files)


@pytest.mark.fault("agent-silent")
@pytest.mark.parametrize("file", UNIT_TESTS, ids=lambda path: path.stem)
def test_unit_tests_of_rules_hold(file: Path) -> None:
    assert "SUCCESS" in promtool("test", "rules", file)


@cache
def cases(kind: str) -> list[dict[str, Any]]:
    """The entries of one kind out of all unit test files."""
    return [
        case
        for file in UNIT_TESTS
        for test in yaml.safe_load(file.read_text())["tests"]
        for case in test.get(kind, [])
    ]


def test_every_unit_test_has_a_name() -> None:
    tests = [test for file in UNIT_TESTS for test in yaml.safe_load(file.read_text())["tests"]]
    assert all(len(test.get("name", "")) > 20 for test in tests)


def asserted(cases: list[dict[str, Any]]) -> set[str]:
    """Rules of which some case expects a value other than zero, which a rule that gives nothing cannot."""
    return {
        name
        for case in cases
        if any(sample["value"] for sample in case["exp_samples"] or ())
        for name in metrics(case["expr"])
    }


def test_every_recording_rule_is_asked_for_by_a_unit_test(recording: Rule) -> None:
    assert recording.name in asserted(cases("promql_expr_test"))


def test_a_rule_without_a_unit_test_is_found() -> None:
    """What expects no series, or only zeros, does not count."""
    nothing = {"expr": "cluster:a:sum", "exp_samples": []}
    zero = {"expr": "cluster:b:sum", "exp_samples": [{"labels": "{}", "value": 0}]}
    value = {"expr": "round(cluster:c:sum, 1)", "exp_samples": [{"labels": "{}", "value": 3}]}
    assert asserted([nothing, zero, value]) == {"cluster:c:sum"}


@pytest.mark.parametrize("file", UNIT_TESTS, ids=lambda path: path.stem)
def test_unit_tests_feed_series_that_exist(file: Path) -> None:
    """With the labels that the catalogue gives them, and those of a target."""
    tests = yaml.safe_load(file.read_text())["tests"]
    for series in {one["series"] for test in tests for one in test["input_series"]}:
        selector = parse(series)
        labels = {matcher.name for matcher in selector.matchers.matchers}
        if selector.name in FAMILIES_BY_NAME:
            assert labels - TARGET == set(FAMILIES_BY_NAME[selector.name].labels), series
        else:
            assert selector.name in {"up"} | {rule.name for rule in RULES}, series
