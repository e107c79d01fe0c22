"""How long series are kept: the manual, `make run` and the containers say the same."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FLAG = re.compile(r"--storage\.tsdb\.retention\.time=(\w+)")


@pytest.mark.parametrize("path", ["docs/rules.md", "docker-compose.yml", "scripts/stack/stack.py"])
def test_thirty_days_are_kept(path: str) -> None:
    assert FLAG.findall((ROOT / path).read_text())[:1] == ["30d"]


def test_the_manual_says_so_in_words() -> None:
    assert "Prometheus keeps 30 days" in (ROOT / "docs/rules.md").read_text()
