"""docs/security.md names a test behind each claim; this looks whether it is there."""

from __future__ import annotations

import re
from pathlib import Path

TOP = Path(__file__).parents[3]
PAGE = (TOP / "docs" / "security.md").read_text()
MODES = "security/test_permissions.py"


def test_every_test_that_the_page_names_is_there():
    named = re.findall(r"`((?:[a-z]+/)*test_\w+\.py)::(test_\w+)`", PAGE)
    named += [(MODES, name) for name in re.findall(r"`(test_\w+)`", PAGE)]
    assert len(named) > 40
    for file, name in named:
        path = TOP / file if (TOP / file).exists() else TOP / "exporter" / "tests" / file
        assert re.search(rf"^ *def {name}\(", path.read_text(), re.MULTILINE), f"{file}::{name}"
    for file in re.findall(r"`((?:[a-z]+/)*test_\w+\.py)`", PAGE):
        assert (TOP / "exporter" / "tests" / file).exists(), file


def test_the_page_says_what_does_not_hold_and_who_attacks():
    headings = re.findall(r"^## (.+)$", PAGE, re.MULTILINE)
    assert headings[:4] == [
        "What there is to lose",
        "Who attacks from where",
        "What holds",
        "What does not hold",
    ]
    assert PAGE.partition("## What does not hold")[2].partition("\n## ")[0].count("\n- ") >= 10
