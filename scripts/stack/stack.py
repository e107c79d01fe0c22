"""The stack of one run: which programs, with which arguments, in which order up and down."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from scripts.stack import configuration
from scripts.stack.accounts import WAIT_SECONDS, Accounts
from scripts.stack.notices import Notices
from scripts.stack.past import Past
from scripts.stack.processes import LOOPBACK, Program, StackError, find, free_port, get
from scripts.stack.workload import SEED, Workload

PORTS = {
    "node": 9836,
    "site": 9837,
    "market": 9840,
    "prometheus": 9090,
    "alertmanager": 9093,
    "grafana": 3000,
}
FIRST_TICKS = 3  # a source that has brought no GPU after so many ticks of the sampler has none


@dataclass
class Stack:
    """Agents, Prometheus, Alertmanager, and Grafana where it is installed, all on the loopback interface."""

    folder: Path
    source: str = "auto"
    scrape_interval: str = "5s"
    history: str = "0"  # how much of a past a simulated machine is given
    say: Callable[[str], None] = print
    ports: dict[str, int] = field(default_factory=dict)
    programs: dict[str, Program] = field(default_factory=dict)
    notices: Notices | None = None
    workload: Workload = field(init=False)
    past: Past = field(init=False)
    accounts: Accounts = field(init=False)
    is_simulated: bool = False
    started_s: float = 0.0  # on the monotonic clock

    def __post_init__(self) -> None:
        """Name the folders; nothing is written before `start`."""
        self.workload = Workload(self.folder / "workload", self.folder / "log" / "workload.log")
        self.accounts = Accounts(self.folder / "accounts", self.folder / "log" / "accounts.log")
        self.past = Past(self.folder, self._state("simulated"), self.history, self.say)

    def start(self) -> None:
        """Start everything and wait until it answers. Raises StackError; `stop` cleans up in any case."""
        self.ports = {name: free_port(port) for name, port in PORTS.items()}
        self.notices = Notices(self.folder / "log" / "notifications.log")
        self.notices.start()
        self._start_agent()
        if self.is_simulated:
            self.workload.start()
            self._start(self._market())
            self.accounts.start(self._declared(), datetime.now(UTC).date())
        self.started_s = time.monotonic()
        self._start(self._site())
        self._start(self._alertmanager())
        self._start(self._prometheus())
        if grafana := self._grafana():
            self._start(grafana)
        else:
            self.say("grafana-server is not installed: no dashboards; everything else runs")
        for program in self.programs.values():
            program.wait_until_ready()
        if self.is_simulated:
            self.accounts.wait(_moments(WAIT_SECONDS))

    def stop(self) -> None:
        """Stop in the order in which nobody misses anybody: readers first, the agent last but for its log."""
        self.past.stop()
        self.workload.stop()
        self.accounts.stop()
        for name in ("grafana", "prometheus", "alertmanager", "site", "market", "node"):
            if program := self.programs.get(name):
                program.stop()
        if self.notices:
            self.notices.stop()
            self.notices = None

    def check(self) -> None:
        """Raise StackError when a program has ended by itself; the workload is meant to, and begins again."""
        self.workload.keep_going()
        for program in self.programs.values():
            if program.exit_status is not None:
                raise StackError(program.epitaph())

    def _start(self, program: Program) -> None:
        self.programs[program.name] = program
        program.start()

    def _start_agent(self) -> None:
        self.is_simulated = self.source == "simulated" or not self._starts_real()
        if self.is_simulated:
            agent = self._agent("simulated")
            self.past.play(agent.argv, self.ports)
            self._start(agent)
            agent.wait_until_ready()

    def _starts_real(self) -> bool:
        """Start the agent on this machine's GPUs; False, and it is gone again, where none is found."""
        agent = self._agent(self.source)
        self._start(agent)
        agent.wait_until_ready()
        if self.source != "auto" or self._sees_gpus():
            return True
        self.say("no GPU found on this machine: metering simulated ones instead")
        agent.stop()
        return False

    def _sees_gpus(self, timeout_s: float = 20.0) -> bool:
        """Ask the agent itself; it knows every way to find one."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            _, text = get(self.ports["node"], "/metrics")
            lines = dict(line.rsplit(" ", 1) for line in text.decode().splitlines() if line[:1] != "#")
            if any(name.startswith("gpu_up{") for name in lines):
                return True
            if float(lines.get("gputally_samples_total", 0)) >= FIRST_TICKS:
                return False
            time.sleep(0.2)
        return False

    def _state(self, source: str) -> Path:
        """Real and simulated joules never meet, nor those of two simulated machines."""
        return self.folder / "state" / (f"simulated-{SEED}" if source == "simulated" else source)

    def _agent(self, source: str) -> Program:
        port = self.ports["node"]
        argv = [
            *(sys.executable, "-m", "gputally", "node"),
            f"--source={source}",
            f"--web.listen-address={LOOPBACK}:{port}",
            f"--state.dir={self._state(source)}",
            f"--jobs.announce={self.scrape_interval}",
        ]
        if source == "simulated":
            argv += [*self.workload.agent_flags, f"--config.file={self._declared()}"]
        # Ready means that a driver answers, which is what is to be found out.
        return Program("node", argv, self.folder / "log" / "node.log", port, ready_path="/-/healthy")

    def _site(self) -> Program:
        port = self.ports["site"]
        argv = [sys.executable, "-m", "gputally", "site", f"--web.listen-address={LOOPBACK}:{port}"]
        if self.is_simulated:
            argv.append(f"--config.file={self._declared()}")
        return Program("site", argv, self.folder / "log" / "site.log", port)

    @property
    def declared(self) -> Path:
        """Where it stands what the site of the simulated GPUs declares."""
        return self.folder / "etc" / "site" / "gputally.yml"

    def _declared(self) -> Path:
        """Write that, for both agents."""
        market_url = f"http://{LOOPBACK}:{self.ports['market']}"
        now = datetime.now(UTC)
        return configuration.write_site(self.declared.parent, market_url, now, self.accounts.ledger)

    def _market(self) -> Program:
        """Providers' replies, recorded: simulated GPUs are compared with prices that nobody asks either."""
        port = self.ports["market"]
        argv = [sys.executable, "-m", "scripts.recorded_market", f"--port={port}"]
        return Program("market", argv, self.folder / "log" / "market.log", port)

    def _prometheus(self) -> Program:
        config = configuration.write_prometheus(
            self.folder / "etc" / "prometheus", self.ports, self.scrape_interval
        )
        argv = [
            self._find("prometheus"),
            f"--config.file={config}",
            f"--storage.tsdb.path={self.folder / 'prometheus'}",
            "--storage.tsdb.retention.time=30d",  # docs/rules.md says what it takes to keep more
            f"--web.listen-address={LOOPBACK}:{self.ports['prometheus']}",
        ]
        return Program("prometheus", argv, self.folder / "log" / "prometheus.log", self.ports["prometheus"])

    def _alertmanager(self) -> Program:
        if self.notices is None:
            raise StackError("alertmanager has nobody to tell")
        config = configuration.write_alertmanager(self.folder / "etc" / "alertmanager", self.notices.url)
        argv = [
            self._find("prometheus-alertmanager", "alertmanager"),
            f"--config.file={config}",
            f"--storage.path={self.folder / 'alertmanager'}",
            f"--web.listen-address={LOOPBACK}:{self.ports['alertmanager']}",
            "--cluster.listen-address=",
        ]
        log = self.folder / "log" / "alertmanager.log"
        return Program("alertmanager", argv, log, self.ports["alertmanager"])

    def _grafana(self) -> Program | None:
        server = find("grafana-server")
        if server is None:
            return None
        settings = configuration.grafana_environment(
            self.folder / "grafana", self.ports, self.scrape_interval
        )
        home = os.environ.get("GRAFANA_HOME", "/usr/share/grafana")  # where Grafana's own packages put it
        return Program(
            "grafana",
            [server, f"--homepath={home}"],
            self.folder / "log" / "grafana.log",
            self.ports["grafana"],
            ready_path="/api/health",
            environment=os.environ | settings,
        )

    @staticmethod
    def _find(*names: str) -> str:
        path = find(*names)
        if path is None:
            raise StackError(f"{names[0]} is not on PATH; on Debian and Ubuntu: apt-get install {names[0]}")
        return path


def _moments(seconds: float) -> Iterator[None]:
    """A turn each tenth of a second, for so long."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        yield
        time.sleep(0.1)
