"""The shipped rules on a fleet that is scraped while they run: what part of its interval each group takes."""

import re
import statistics
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import requests
import yaml

from month.needs import rule_files
from month.pages import seconds
from month.server import Agents, Server, prometheus

LIMIT = 0.10
POLL_S = 3
_SAMPLE = re.compile(r'^prometheus_rule_group_(\w+)\{rule_group="[^;]*;([^"]+)"\} (\S+)$', re.MULTILINE)


@dataclass
class Group:
    """One group: its interval as shipped, and how long its evaluations took."""

    name: str
    interval_s: int
    took_s: dict[float, float] = field(default_factory=dict)  # by the time of the evaluation
    samples: float = 0.0

    @property
    def part(self) -> float:
        """Of the interval, what the slowest evaluation takes."""
        return max(self.took_s.values()) / self.interval_s

    @property
    def median_s(self) -> float:
        """What an evaluation takes."""
        return statistics.median(self.took_s.values())


def hurried(folder: Path, longest_s: int) -> tuple[list[str], dict[str, Group]]:
    """Copies of the rules with long intervals shortened, so that they are seen to run, and their groups."""
    files, groups = [], {}
    for path in rule_files():
        body = yaml.safe_load(path.read_text())
        for group in body["groups"]:
            interval_s = seconds(group.get("interval", "15s"))
            groups[group["name"]] = Group(group["name"], interval_s)
            group["interval"] = f"{min(interval_s, longest_s)}s"
        copy = folder / f"{path.parent.name}-{path.name}"
        copy.write_text(yaml.safe_dump(body))
        files.append(str(copy))
    return files, groups


def evaluated(folder: Path, agents: Agents, length_s: float, program: str) -> tuple[list[Group], list[str]]:
    """Scrape the fleet and evaluate its rules for so long: the groups, and the alerts that they raised."""
    files, groups = hurried(folder, int(length_s) // 60 * 60)
    with agents.serving() as port:
        config = {
            "global": {"scrape_interval": "15s", "evaluation_interval": "15s"},
            "rule_files": files,
            "scrape_configs": agents.scrape_configs(port),
        }
        with prometheus(folder, config, program=program) as server:
            until = time.monotonic() + length_s
            while time.monotonic() < until:
                time.sleep(POLL_S)
                read(server, groups)
            must_work(server, groups.values())
            return list(groups.values()), raised(server)


def raised(server: Server) -> list[str]:
    """Alerts that are pending or firing."""
    answer = requests.get(f"{server.address}/api/v1/alerts", timeout=30).json()
    return sorted({alert["labels"]["alertname"] for alert in answer["data"]["alerts"]})


def read(server: Server, groups: dict[str, Group]) -> None:
    """Note how long the latest evaluation of each group took."""
    text = requests.get(f"{server.address}/metrics", timeout=30).text
    found = {(what, name): float(value) for what, name, value in _SAMPLE.findall(text)}
    for name, group in groups.items():
        at_s = found.get(("last_evaluation_timestamp_seconds", name), 0.0)
        if at_s > 0:
            group.took_s[at_s] = found["last_duration_seconds", name]
            group.samples = max(group.samples, found["last_evaluation_samples", name])


def must_work(server: Server, groups: Iterable[Group]) -> None:
    """Raise SystemExit if a rule failed or a group never ran: its time would say nothing."""
    answer = requests.get(f"{server.address}/api/v1/rules", timeout=30).json()
    failed = [
        f"{rule['name']}: {rule['lastError']}"
        for group in answer["data"]["groups"]
        for rule in group["rules"]
        if rule.get("lastError")
    ]
    idle = [f"{group.name} did not run" for group in groups if not group.took_s]
    if failed or idle:
        raise SystemExit("\n".join(failed + idle))
