"""Prometheus' own tool, asked about a file of rules that a test has made."""

import subprocess
from pathlib import Path

import yaml


def check(file: Path) -> str:
    """What `promtool check rules` says; its answer is the failure message when it refuses."""
    return _run("check", "rules", "--lint-fatal", str(file))


def unit_test(file: Path, test: dict) -> None:
    """Run one unit test of the rules in a file."""
    wanted = {"rule_files": [file.name], "evaluation_interval": "15s", "tests": [{"interval": "15s", **test}]}
    case = file.with_name("unit_test.yml")
    case.write_text(yaml.safe_dump(wanted, sort_keys=False))
    _run("test", "rules", str(case))


def _run(*arguments: str) -> str:
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
