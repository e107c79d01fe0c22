"""What a linter for security says is said by ruff's S rules; each exception has its reason."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

TOP = Path(__file__).parents[3]
RUFF = Path(sys.executable).parent / "ruff"
SETTINGS = tomllib.loads((TOP / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]
QUIET = re.compile(r"#\s*noqa: *(?P<rules>[A-Z0-9, ]*\bS\d+(?:, ?[A-Z]+\d+)*)(?P<reason> - .{4,})?")
WRONG = {
    "S602": "import subprocess\nsubprocess.run('ls $HOME', shell=True)\n",
    "S506": "import yaml\nyaml.load('a: 1', Loader=yaml.Loader)\n",
    "S501": "import requests\nrequests.get('https://a.example', verify=False, timeout=1)\n",
    "S113": "import requests\nrequests.get('https://a.example')\n",
    "S314": "import xml.etree.ElementTree as ET\nET.fromstring('<a/>')\n",
    "S324": "import hashlib\nhashlib.md5(b'')\n",
    "S301": "import pickle\npickle.loads(b'')\n",
    "S310": "import urllib.request\nurllib.request.urlopen(input())\n",
    "S103": "import os\nos.chmod('a', 0o777)\n",
    "S105": "password = 'battery staple'\n",
}


def sources() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.py"],
        cwd=TOP,
        capture_output=True,
        text=True,
        check=True,
    )
    return [TOP / name for name in listed.stdout.split("\0") if name and (TOP / name).exists()]


def test_every_rule_is_on_and_the_program_has_no_exception_of_its_own():
    assert SETTINGS["select"] == ["ALL"]
    assert not [rule for rule in SETTINGS["ignore"] if re.match(r"S\d", rule)]
    folders = {
        folder: {rule for rule in rules if re.match(r"S\d", rule)}
        for folder, rules in SETTINGS["per-file-ignores"].items()
    }
    assert {folder: rules for folder, rules in folders.items() if rules} == {
        "**/tests/**": {"S101", "S603", "S607"},
        "benchmarks/**": {"S603", "S607"},
    }


@pytest.mark.parametrize("rule", WRONG)
def test_what_is_wrong_would_be_said(rule: str) -> None:
    done = subprocess.run(
        [
            RUFF,
            "check",
            "--stdin-filename",
            TOP / "exporter/gputally/cli/wrong.py",
            "--output-format",
            "concise",
            "-",
        ],
        input=WRONG[rule],
        cwd=TOP,
        capture_output=True,
        text=True,
        check=False,
    )
    assert rule in done.stdout, done.stdout + done.stderr


def test_every_line_at_which_it_is_told_to_be_quiet_has_its_reason():
    found = {}
    for path in sources():
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if (match := QUIET.search(line)) is not None:
                found[f"{path.relative_to(TOP)}:{number}"] = match["reason"]
    assert len(found) > 20
    assert [place for place, reason in found.items() if reason is None] == []


def test_every_exception_for_a_folder_has_its_reason():
    block = (TOP / "pyproject.toml").read_text().partition("[tool.ruff.lint.per-file-ignores]")[2]
    lines = [line for line in block.partition("\n[")[0].splitlines() if re.match(r'\s+"S\d', line)]
    assert len(lines) == 5
    assert all(re.search(r"# \w+ \w+", line) for line in lines)
