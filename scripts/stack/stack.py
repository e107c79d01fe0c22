"""The stack of one run: which programs, with which arguments, in which order up and down."""

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from scripts.stack import configuration
from scripts.stack.notices import Notices
from scripts.stack.processes import LOOPBACK, Program, StackError, find, free_port, get
from scripts.stack.workload import SEED, Workload

PORTS = {"node": 9836, "site": 9837, "prometheus": 9090, "alertmanager": 9093, "grafana": 3000}
FIRST_TICKS = 3  # a source that has brought no GPU after so many ticks of the sampler has none


@dataclass
class Stack:
    """Agents, Prometheus, Alertmanager, and Grafana where it is installed, all on the loopback interface."""

    folder: Path
    source: str = "auto"
    scrape_interval: str = "5s"
    say: Callable[[str], None] = print
    ports: dict[str, int] = field(default_factory=dict)
    programs: dict[str, Program] = field(default_factory=dict)
    notices: Notices | None = None
    workload: Workload = field(init=False)
    is_simulated: bool = False
    started_s: float = 0.0  # on the monotonic clock

    def __post_init__(self) -> None:
        """Name the folders; nothing is written before `start`."""
        self.workload = Workload(self.folder / "workload", self.folder / "log" / "workload.log")

    def start(self) -> None:
        """Start everything and wait until it answers. Raises StackError; `stop` cleans up in any case."""
        self.ports = {name: free_port(port) for name, port in PORTS.items()}
        self.notices = Notices(self.folder / "log" / "notifications.log")
        self.notices.start()
        self._start_agent()
        if self.is_simulated:
            self.workload.start()
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

    def stop(self) -> None:
        """Stop in the order in which nobody misses anybody: readers first, the agent last but for its log."""
        self.workload.stop()
        for name in ("grafana", "prometheus", "alertmanager", "site", "node"):
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
        self._start(self._agent(self.source))
        self.programs["node"].wait_until_ready()
        if self.source == "auto" and not self._sees_gpus():
            self.say("no GPU found on this machine: metering simulated ones instead")
            self.programs["node"].stop()
            self._start(self._agent("simulated"))
            self.programs["node"].wait_until_ready()
            self.is_simulated = True
        self.is_simulated |= self.source == "simulated"

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

    def _agent(self, source: str) -> Program:
        port = self.ports["node"]
        # Real and simulated joules never meet, nor those of two simulated machines.
        machine = f"simulated-{SEED}" if source == "simulated" else source
        argv = [
            *(sys.executable, "-m", "gputally", "node"),
            f"--source={source}",
            f"--web.listen-address={LOOPBACK}:{port}",
            f"--state.dir={self.folder / 'state' / machine}",
            f"--jobs.announce={self.scrape_interval}",
        ]
        if source == "simulated":
            argv += self.workload.agent_flags
        # Ready means that a driver answers, which is what is to be found out.
        return Program("node", argv, self.folder / "log" / "node.log", port, ready_path="/-/healthy")

    def _site(self) -> Program:
        port = self.ports["site"]
        argv = [sys.executable, "-m", "gputally", "site", f"--web.listen-address={LOOPBACK}:{port}"]
        return Program("site", argv, self.folder / "log" / "site.log", port)

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
