"""How far back each series is read: by the pages, by the rules, and by whoever asks raw series instead."""

import re
from collections.abc import Iterable
from pathlib import Path

import yaml

from gputally.catalogue import BY_NAME
from month.pages import Page, seconds

ROOT = Path(__file__).resolve().parents[2] / "prometheus"
LATEST_S = 600  # what an instant selector needs, and what every family of the catalogue has
_NAME = re.compile(r'(?<![\w:"$])([a-zA-Z_:][\w:]*)\s*(?:\{[^}]*\})?\s*(?:\[([^\]:]+)[\]:])?')


def rule_files() -> list[Path]:
    """Rules and alerts as they are shipped."""
    return [path for folder in ("rules", "alerts") for path in sorted((ROOT / folder).glob("*.yml"))]


def intervals_s() -> dict[str, int]:
    """Recorded name -> how often it is evaluated."""
    config = yaml.safe_load((ROOT / "prometheus.yml").read_text())
    default_s = seconds(config["global"]["evaluation_interval"])
    groups = [group for path in rule_files() for group in yaml.safe_load(path.read_text())["groups"]]
    return {
        rule["record"]: seconds(group.get("interval", "")) or default_s
        for group in groups
        for rule in group["rules"]
        if "record" in rule
    }


def _windows(expression: str, whole_s: int) -> Iterable[tuple[str, int]]:
    """Names in an expression and the ranges behind them; a range of Grafana's is the page's."""
    for found in _NAME.finditer(expression):
        name, window = found.groups()
        if name in BY_NAME or name.count(":") == 2 or name == "up":
            asked_s = whole_s if window and "$" in window else seconds(window or "")
            yield name, LATEST_S + asked_s


def history_s(pages: Iterable[Page], raw: Iterable[str], whole_s: int) -> dict[str, int]:
    """Name -> seconds of history that somebody reads."""
    needs = dict.fromkeys(BY_NAME, LATEST_S)

    def take(name: str, length_s: int) -> None:
        needs[name] = max(needs.get(name, 0), min(length_s, whole_s))

    for page in pages:
        for expression, whole in page.expressions():
            for name, length_s in _windows(expression, whole_s):
                take(name, whole_s if whole else length_s)
    for expression in raw:
        for name, _ in _windows(expression, whole_s):
            take(name, whole_s)
    for name, length_s in rules_read_s().items():
        take(name, length_s)
    return needs


def read_by_pages(pages: Iterable[Page]) -> set[str]:
    """Names that the pages ask for."""
    return {name for page in pages for text, _ in page.expressions() for name, _ in _windows(text, 0)}


def rules_read_s() -> dict[str, int]:
    """Name -> seconds that rules and alerts look back."""
    needs: dict[str, int] = {}
    for path in rule_files():
        for group in yaml.safe_load(path.read_text())["groups"]:
            for rule in group["rules"]:
                for name, length_s in _windows(rule["expr"], 0):
                    needs[name] = max(needs.get(name, 0), length_s)
    return needs
