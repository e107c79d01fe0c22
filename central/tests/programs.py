"""The programs of central mode, each with the files that the repository ships and ports of this machine."""

import json
import re
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests
import trustme
import yaml
from scripts.stack.processes import LOOPBACK, Command, Program, StackError, free_port

from tests.cli.command import gputally

CENTRAL = Path(__file__).parents[1]
PROMETHEUS = CENTRAL.parent / "prometheus"
LONGEST_WAIT_S = 40.0


def wait_for(what: str, done: Callable[[], bool]) -> None:
    """Return once it is so."""
    deadline = time.monotonic() + LONGEST_WAIT_S
    while not done():
        assert time.monotonic() < deadline, f"not in {LONGEST_WAIT_S:.0f} s: {what}"
        time.sleep(0.1)


class Store:
    """VictoriaMetrics. Its data stay when it is stopped."""

    def __init__(self, folder: Path) -> None:
        port = free_port()
        argv = [
            "victoria-metrics",
            f"-storageDataPath={folder / 'store'}",
            f"-httpListenAddr={LOOPBACK}:{port}",
            "-retentionPeriod=100y",
            "-search.latencyOffset=0s",  # otherwise the last 30 s are not shown
            "-memory.allowedBytes=128MB",
        ]
        self.program = Program("victoria-metrics", argv, folder / "store.log", port, ready_path="/health")
        self.url = self.program.url

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self.program.start()
        self.program.wait_until_ready()

    def put(self, text: str) -> None:
        """Store samples as they stand in the text of a scrape; they can be asked for on return."""
        requests.post(f"{self.url}/api/v1/import/prometheus", data=text, timeout=60).raise_for_status()
        self.flush()

    def flush(self) -> None:
        """Let everything that was taken be found."""
        requests.get(f"{self.url}/internal/force_flush", timeout=60).raise_for_status()

    def query(self, expression: str, time_s: float | None = None) -> list[dict[str, Any]]:
        """Series at an instant, now if none is given."""
        parameters = {"query": expression} | ({} if time_s is None else {"time": str(time_s)})
        answer = requests.get(f"{self.url}/api/v1/query", params=parameters, timeout=60)
        assert answer.status_code == requests.codes.ok, f"{expression}: {answer.text}"
        return list(answer.json()["data"]["result"])

    def values(self, selector: str) -> list[float]:
        """Every sample of one series; marks of its end left out."""
        self.flush()
        text = requests.get(f"{self.url}/api/v1/export", params={"match[]": selector}, timeout=60).text
        rows = [json.loads(line) for line in text.splitlines()]
        assert len({json.dumps(row["metric"], sort_keys=True) for row in rows}) <= 1, text
        return [value for row in rows for value in row["values"] if value is not None]


class Front:
    """vmauth, and nginx with TLS before it."""

    def __init__(self, folder: Path, store: str) -> None:
        self.folder = folder
        self.holders, self.auth, self.tokens = (
            folder / "holders.yml",
            folder / "vmauth.yml",
            folder / "tokens",
        )
        self.tokens.mkdir()
        self._session = requests.Session()  # a handshake for each question would take most of the time
        self.ca_file = folder / "ca.pem"
        self._certify()
        self._declare(store)
        port, self.port = free_port(), free_port()
        self.url = f"https://{LOOPBACK}:{self.port}"
        argv = ["vmauth", f"-auth.config={self.auth}", f"-httpListenAddr={LOOPBACK}:{port}"]
        self.vmauth = Program("vmauth", argv, folder / "vmauth.log", port, ready_path="/health")
        config = folder / "nginx.conf"
        config.write_text(self._nginx(port))
        self.nginx = Command(
            "nginx", ["nginx", "-c", str(config), "-e", str(folder / "nginx.err")], folder / "nginx.log"
        )

    def start(self) -> None:
        """Start both, and wait until both answer."""
        self.vmauth.start()
        self.vmauth.wait_until_ready()
        self.nginx.start()
        wait_for("nginx listens", self._listens)

    def stop(self) -> None:
        """End both."""
        self._session.close()
        self.nginx.stop()
        self.vmauth.stop()

    def change(self, *arguments: str) -> str:
        """Run `gputally tokens` with these arguments; vmauth takes the result."""
        output = ["--output", str(self.tokens)] if arguments[0] in ("apply", "rotate") else []
        files = ["--holders.file", str(self.holders), "--auth.file", str(self.auth), *output]
        answer = gputally("tokens", *arguments, *files, folder=self.folder)
        assert (answer.status, answer.err) == (0, "")
        if self.vmauth.exit_status is None and self.vmauth.is_ready():
            requests.get(f"{self.vmauth.url}/-/reload", timeout=10).raise_for_status()
        return answer.out

    def token(self, holder: str) -> str:
        """The newest token of node:NAME or team:NAME."""
        return (self.tokens / f"{holder.replace(':', '-')}.token").read_text().strip()

    def ask(self, token: str, path: str, method: str = "GET", **more: Any) -> requests.Response:
        """One request through the front."""
        headers = {"Authorization": f"Bearer {token}"}
        return self._session.request(
            method, f"{self.url}{path}", headers=headers, verify=str(self.ca_file), timeout=30, **more
        )

    def count(self, metric: str) -> float:
        """A figure of vmauth's own."""
        return figure(self.vmauth, metric)

    def _certify(self) -> None:
        authority = trustme.CA()
        server = authority.issue_cert(LOOPBACK)
        authority.cert_pem.write_to_path(str(self.ca_file))
        server.private_key_pem.write_to_path(str(self.folder / "tls.key"))
        for pem in server.cert_chain_pems:
            pem.write_to_path(str(self.folder / "tls.crt"), append=True)

    def _declare(self, store: str) -> None:
        """The shipped example, with the address of this store."""
        text = (CENTRAL / "holders.yml").read_text()
        assert "http://127.0.0.1:8428" in text
        self.holders.write_text(text.replace("http://127.0.0.1:8428", store))
        answer = gputally(
            *("tokens", "apply", "--holders.file", str(self.holders), "--auth.file", str(self.auth)),
            *("--output", str(self.tokens)),
            folder=self.folder,
        )
        assert (answer.status, answer.err) == (0, "")

    def _nginx(self, vmauth_port: int) -> str:
        """The shipped file within the least that nginx needs around it."""
        text = (CENTRAL / "nginx.conf").read_text()
        for shipped, here in (
            ("server 127.0.0.1:8427;", f"server {LOOPBACK}:{vmauth_port};"),
            ("listen 8443 ssl;", f"listen {LOOPBACK}:{self.port} ssl;"),
            ("/etc/gputally/central/", f"{self.folder}/"),
        ):
            assert shipped in text
            text = text.replace(shipped, here)
        places = "".join(
            f"{kind}_temp_path {self.folder / kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        return (
            f"daemon off;\nuser root;\nworker_processes 1;\npid {self.folder / 'nginx.pid'};\n"
            f"error_log {self.folder / 'nginx.err'};\nevents {{}}\n"
            f"http {{\naccess_log {self.folder / 'access.log'};\n{places}{text}}}\n"
        )

    def _listens(self) -> bool:
        if self.nginx.exit_status is not None:
            raise StackError(self.nginx.epitaph())
        with socket.socket() as probe:
            return probe.connect_ex((LOOPBACK, self.port)) == 0


class Pusher:
    """vmagent as it runs on a node: the shipped file, with targets and an interval of the test."""

    def __init__(self, folder: Path, front: Front, token_file: Path, target: str) -> None:
        self.folder, port = folder, free_port()
        (folder / "targets").mkdir(parents=True)
        # What the sender says of itself must not count: the token's labels do.
        labels = {"cluster": "elsewhere", "instance": "somebody"}
        groups = [{"targets": [target], "labels": labels}]
        (folder / "targets" / "node.yml").write_text(yaml.safe_dump(groups))
        config = yaml.safe_load((CENTRAL / "vmagent.yml").read_text())
        config["global"] |= {"scrape_interval": "500ms", "scrape_timeout": "400ms"}
        config["scrape_configs"][2]["static_configs"] = [{"targets": [f"{LOOPBACK}:{port}"]}]
        (folder / "vmagent.yml").write_text(yaml.safe_dump(config))
        argv = [
            "vmagent",
            f"-promscrape.config={folder / 'vmagent.yml'}",
            f"-httpListenAddr={LOOPBACK}:{port}",
            f"-remoteWrite.url={front.url}/api/v1/write",
            f"-remoteWrite.bearerTokenFile={token_file}",
            f"-remoteWrite.tlsCAFile={front.ca_file}",
            f"-remoteWrite.tmpDataPath={folder / 'buffer'}",
            "-remoteWrite.maxDiskUsagePerURL=2GB",
            "-memory.allowedBytes=64MB",
        ]
        self.program = Program("vmagent", argv, folder / "vmagent.log", port, ready_path="/health")

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self.program.start()
        self.program.wait_until_ready()

    def dropped(self) -> float:
        """How many blocks were thrown away."""
        return figure(self.program, "vmagent_remotewrite_packets_dropped_total")

    def retries(self) -> float:
        """How often a block was sent once more."""
        return figure(self.program, "vmagent_remotewrite_retries_count_total")


def figure(program: Program, metric: str) -> float:
    """The sum of a program's own metric; what stands in braces is looked for as text."""
    name, _, label = metric.partition("{")
    text = requests.get(f"{program.url}/metrics", timeout=10).text
    pattern = rf"^{re.escape(name)}(?:\{{(.*)\}})? (\S+)$"
    found = re.findall(pattern, text, re.MULTILINE)
    return sum(float(value) for labels, value in found if label.rstrip("}") in labels)
