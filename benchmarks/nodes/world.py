"""All that one Prometheus scrapes of a fleet: machines, a real site agent, and what that declares."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from scripts.recorded_market import RecordedMarket
from scripts.stack.accounts import WAIT_SECONDS, Accounts
from scripts.stack.configuration import write_site

import push
from measure import BIN, ROOT, free_port
from month.rules import Group, hurried
from month.server import Server, prometheus
from nodes import past
from nodes.names import host, instance

GPUS = 8
BOOKED_EVERY = 10  # machines: each of these has the bookings of the example
PAST_S = 3600
HURRIED_S = 60  # longer intervals of rules are shortened to it until each has been evaluated


def booked(declared: dict[str, Any], nodes: int) -> dict[str, Any]:
    """The example's bookings on every tenth machine, and all GPUs in the inventory."""
    rows = [
        row | {"id": f"{row['id']}-{node}", "host": host(node)}
        for node in range(0, nodes, BOOKED_EVERY)
        for row in declared["reservations"]
    ]
    return declared | {"inventory": {host(node): GPUS for node in range(nodes)}, "reservations": rows}


def targets(nodes: int, machines: str, site: str) -> dict[str, list[dict[str, Any]]]:
    """File of targets -> its content."""
    cluster = {"cluster": past.CLUSTER}
    return {
        "node.yml": [
            {
                "targets": [machines],
                "labels": cluster | {"instance": instance(node), "__metrics_path__": f"/{node}"},
            }
            for node in range(nodes)
        ],
        "site.yml": [{"targets": [site], "labels": cluster | {"instance": past.SITE}}],
    }


@dataclass
class World:
    """The programs of one step, below one folder; all end with the stack."""

    folder: Path
    nodes: int
    stack: ExitStack
    pids: dict[str, int] = field(default_factory=dict)
    samples: int = 0  # of the past

    def start(self, program: str) -> Server:
        """Play the past, start everybody; the Prometheus that scrapes them."""
        node, site, machines = (f"127.0.0.1:{free_port()}" for _ in range(3))
        declared = self._declared()
        agent = [*("--source=simulated", f"--simulated.gpus={GPUS}"), f"--config.file={declared}"]
        seen, begin_ms = past.played(self.folder, agent, PAST_S)
        self.samples = past.write(self.folder, seen, begin_ms, self.nodes)
        gputally, state = str(BIN / "gputally"), f"--state.dir={self.folder / 'state'}"
        self._run("node", [gputally, "node", *agent, state, f"--web.listen-address={node}"], node)
        config = [f"--config.file={declared}", f"--web.listen-address={site}"]
        self._run("site", [gputally, "site", *config], site)
        serve = str(Path(__file__).with_name("serve.py"))
        argv = [sys.executable, serve, machines.rpartition(":")[2], f"http://{node}/metrics"]
        self._run("machines", argv, machines, "/0")
        self._import(declared)
        return self._prometheus(program, machines, site)

    def rules(self, longest_s: int) -> dict[str, Group]:
        """The shipped rules for Prometheus to read, in copies whose intervals are no longer than this."""
        return hurried(self.folder, longest_s)[1]

    def _declared(self) -> Path:
        market = RecordedMarket()
        self.stack.callback(market.stop)
        etc, ledger = self.folder / "etc", self.folder / "ledger.sqlite"
        file = write_site(etc, market.url, datetime.now(UTC), ledger)
        reservations = etc / "reservations.yml"
        declared = booked(yaml.safe_load(reservations.read_text()), self.nodes)
        reservations.write_text(json.dumps(declared))  # as YAML it would have aliases, which are refused
        return file

    def _import(self, declared: Path) -> None:
        accounts = Accounts(self.folder / "accounts", self.folder / "accounts.log")
        accounts.start(declared, datetime.now(UTC).date())
        try:
            accounts.wait(_moments(WAIT_SECONDS))
        finally:
            accounts.stop()

    def _run(self, name: str, argv: list[str], address: str, path: str = "/metrics") -> None:
        self.pids[name] = self.stack.enter_context(push.running(argv, f"http://{address}{path}"))

    def _prometheus(self, program: str, machines: str, site: str) -> Server:
        """The shipped configuration; only where rules and targets are is ours."""
        config = yaml.safe_load((ROOT / "prometheus" / "prometheus.yml").read_text())
        del config["alerting"]
        folder = self.folder / "targets"
        folder.mkdir()
        for name, content in targets(self.nodes, machines, site).items():
            (folder / name).write_text(yaml.safe_dump(content))
        config["rule_files"] = hurried(self.folder, HURRIED_S)[0]
        server = self.stack.enter_context(prometheus(self.folder, config, program=program))
        self.pids["prometheus"] = server.pid
        own = [{"targets": [server.address.removeprefix("http://")]}]
        (folder / "prometheus.yml").write_text(yaml.safe_dump(own))
        return server


def _moments(length_s: float) -> Iterator[None]:
    """A turn each tenth of a second, for so long."""
    until = time.monotonic() + length_s
    while time.monotonic() < until:
        yield
        time.sleep(0.1)
