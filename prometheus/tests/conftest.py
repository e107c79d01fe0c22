"""What the tests of the rules share: the rules themselves, read once."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

PROMETHEUS = Path(__file__).parents[1]


@dataclass(frozen=True)
class Rule:
    """One recording or alerting rule, and where it stands."""

    file: str
    group: dict[str, Any]
    body: dict[str, Any]

    @property
    def name(self) -> str:
        return str(self.body.get("alert") or self.body["record"])

    @property
    def expr(self) -> str:
        return str(self.body["expr"])

    def __str__(self) -> str:
        return f"{self.file}: {self.name}"


def _rules(folder: str) -> list[Rule]:
    return [
        Rule(f"{folder}/{path.name}", group, body)
        for path in sorted((PROMETHEUS / folder).glob("*.yml"))
        if path.name != "user.yml"  # rules of one's own, where somebody has some
        for group in yaml.safe_load(path.read_text())["groups"]
        for body in group["rules"]
    ]


RULES = _rules("rules")
ALERTS = _rules("alerts")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test case for each rule or alert that a test asks for by name."""
    for argument, rules in (("recording", RULES), ("alert", ALERTS), ("rule", RULES + ALERTS)):
        if argument in metafunc.fixturenames:
            metafunc.parametrize(argument, rules, ids=lambda rule: rule.name)


@pytest.fixture(scope="session")
def rules() -> list[Rule]:
    return RULES


@pytest.fixture(scope="session")
def alerts() -> list[Rule]:
    return ALERTS
