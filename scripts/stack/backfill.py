"""Makes blocks for Prometheus: of scrapes, and of what its recording rules would have made of them."""

import json
import re
import signal
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from scripts.stack.configuration import TOP
from scripts.stack.processes import LOOPBACK, Command, Program, StackError, free_port

RULES = TOP / "prometheus" / "rules"
HOURLY = RULES / "hourly.yml"  # as it is: the minute of its tiles follows from its path
# Nobody recorded the market's past; and their windows of a month would be looked through for every minute.
OF_THE_MARKET = (RULES / "market.yml", RULES / "rent_or_own.yml")
OF_RESERVATIONS = (RULES / "reservations.yml",)  # nor what was booked
OF_BUDGETS = (RULES / "budgets.yml",)  # likewise, and every hour of the period is looked through
OF_THE_LEDGER = (RULES / "bills.yml",)  # as well: what its days have cost, their own label says
DASHBOARDS = TOP / "grafana" / "dashboards"
REPORTS = TOP / "exporter" / "gputally" / "report"
EVALUATION = "1m"  # of groups without an interval of their own
BLOCK = "--max-block-duration=162h"
EDGE_S = 162 * 3600  # where promtool cuts blocks
LONGEST_S = 3600  # interval of any group
SCRAPES = 300  # of a file, which becomes blocks while the next is written
RECORDED = re.compile(r"(?<![\w:])([a-z_]+:\w+:\w+)(?:\[(\w+)\])?")
STOP = threading.Event()
Rule = Mapping[str, Any]


def go_on(after_s: float = 0.0) -> None:
    """Wait a little. Raises SystemExit after STOP: here, and never while a program is being started."""
    if STOP.wait(after_s):
        sys.exit(128 + signal.SIGTERM)


def finish(commands: Sequence[Command]) -> None:
    """Wait for all; none goes on after it. Raises StackError with the last words of one that failed."""
    try:
        for command in commands:
            while command.exit_status is None:
                go_on(0.02)
            if command.exit_status != 0:
                raise StackError(command.epitaph())
    finally:
        stop(commands)


def stop(commands: Sequence[Command]) -> None:
    """End those that are still under way."""
    for command in commands:
        command.stop()


class Scrapes:
    """Writes scrapes down; promtool makes blocks of them in `data` meanwhile."""

    def __init__(self, promtool: str, folder: Path, data: Path) -> None:
        self._promtool, self._folder, self._data = promtool, folder, data
        self._lines: list[str] = []
        self._count = 0
        self._commands: list[Command] = []

    def take(self, lines: Iterable[str]) -> None:
        """One more scrape."""
        go_on()
        self._lines += lines
        self._count += 1
        if self._count == SCRAPES:
            self._load()

    def finish(self) -> None:
        """Make blocks of the rest, and wait for all."""
        if self._lines:
            self._load()
        finish(self._commands)
        self._commands = []

    def stop(self) -> None:
        """Make no more: nobody wants them."""
        stop(self._commands)

    def _load(self) -> None:
        file = self._folder / f"scrapes-{time.monotonic_ns()}"
        with file.open("w") as opened:
            opened.writelines((*self._lines, "# EOF\n"))
        self._lines, self._count = [], 0
        argv = [*(self._promtool, "tsdb", "create-blocks-from", "openmetrics", "-q", BLOCK), str(file)]
        command = Command("promtool", [*argv, str(self._data)], file.with_suffix(".log"))
        command.start()
        self._commands.append(command)


class Server(Program):
    """A Prometheus that scrapes nothing, for the rules to be asked."""

    def __init__(self, prometheus: str, folder: Path, data: Path) -> None:
        config = folder / "prometheus.yml"
        config.write_text("{}\n")
        port = free_port()
        argv = [
            prometheus,
            f"--config.file={config}",
            f"--storage.tsdb.path={data}",
            "--storage.tsdb.retention.time=30d",
            f"--web.listen-address={LOOPBACK}:{port}",
        ]
        super().__init__("prometheus", argv, folder / "prometheus.log", port)


def make_rules(promtool: str, url: str, folder: Path, span_s: tuple[int, int]) -> None:
    """What the rules would have recorded that is read, as blocks in `folder / "made"`."""
    others = folder / "rules.yml"
    others.write_text(yaml.safe_dump({"groups": read_groups()}))
    start, end = span_s
    commands = []
    for file in (others, HOURLY):
        argv = [*(promtool, "tsdb", "create-blocks-from", "rules", BLOCK, f"--eval-interval={EVALUATION}")]
        argv += [f"--url={url}", f"--start={clear_of_edges(start)}", f"--end={end}"]
        argv += [f"--output-dir={folder / 'made'}", str(file)]
        commands.append(Command("promtool", argv, folder / f"{file.stem}.log"))
        commands[-1].start()
    finish(commands)


def clear_of_edges(start_s: int) -> int:
    """A start at which promtool skips no rule: it gives up one that has no turn before a block's end."""
    edge_s = -(-start_s // EDGE_S) * EDGE_S
    return edge_s if edge_s - start_s <= LONGEST_S else start_s


def read_groups() -> list[Rule]:
    """Groups with rules that dashboards or reports read, but for the hourly ones, written out to the scrapes.

    So one run makes all, where rules that read rules would take a run for each floor of them.
    """
    left_out = (*OF_THE_MARKET, *OF_RESERVATIONS, *OF_THE_LEDGER, *OF_BUDGETS)
    files = [file for file in sorted(RULES.glob("*.yml")) if file not in left_out]
    groups = [group for file in files for group in _groups(file)]
    known = {rule["record"]: rule | {"every": every(group)} for group in groups for rule in group["rules"]}
    hourly = {rule["record"] for group in _groups(HOURLY) for rule in group["rules"]}
    read = dashboards() + reports()
    wanted = {found[1] for found in RECORDED.finditer(read)} & known.keys() - hourly
    return [
        {"name": group["name"], "interval": every(group), "rules": rules}
        for group in groups
        if (rules := [_alone(rule, known) for rule in group["rules"] if rule["record"] in wanted])
    ]


def every(group: Rule) -> str:
    """How often a group has its turn."""
    return str(group.get("interval", EVALUATION))


def written_out(expr: str, known: Mapping[str, Rule]) -> str:
    """An expression with the expressions of rules for their names."""

    def put(found: re.Match[str]) -> str:
        rule = known.get(found[1])
        if rule is None:
            return found[0]
        window = f"[{found[2]}:{rule['every']}]" if found[2] else ""
        return f"({written_out(rule['expr'], known)}){window}"

    return RECORDED.sub(put, expr)


def dashboards() -> str:
    """The text of all pages."""
    return "\n".join(json.dumps(json.loads(file.read_text())) for file in sorted(DASHBOARDS.glob("*.json")))


def reports() -> str:
    """The text of what asks for reports."""
    return "\n".join(file.read_text() for file in sorted(REPORTS.glob("*.py")))


def rule_words() -> str:
    """The text of all rules."""
    return "\n".join(file.read_text() for file in sorted(RULES.glob("*.yml")))


def _alone(rule: Rule, known: Mapping[str, Rule]) -> Rule:
    return {**rule, "expr": written_out(rule["expr"], known)}


def _groups(file: Path) -> list[Rule]:
    groups = yaml.safe_load(file.read_text())["groups"]
    return [group | {"rules": [rule for rule in group["rules"] if "record" in rule]} for group in groups]
