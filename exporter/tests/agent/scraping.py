"""A real Prometheus that scrapes one agent and can be asked what it got."""

from __future__ import annotations

import json
import socket
import subprocess
import urllib.parse
import urllib.request
from contextlib import ExitStack
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class Prometheus:
    """Scrapes one address twice a second, under limits as a careful operator sets them."""

    def __init__(self, folder: Path) -> None:
        self.target, self._address = (f"127.0.0.1:{port}" for port in free_ports(2))
        self._log = folder / "log"
        (folder / "prometheus.yml").write_text(
            f"""
scrape_configs:
  - job_name: node
    scrape_interval: 500ms
    scrape_timeout: 500ms
    sample_limit: 30000
    body_size_limit: 8MB
    label_value_length_limit: 512
    static_configs: [{{targets: ["{self.target}"]}}]
"""
        )
        command = [
            "prometheus",
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address={self._address}",
        ]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)

    def query(self, expression: str) -> list[dict[str, str]]:
        """Labels and value of every series; none while it does not answer yet."""
        url = f"http://{self._address}/api/v1/query?query={urllib.parse.quote(expression)}"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                found = json.load(answer)["data"]["result"]
        except OSError:
            assert self._process.poll() is None, self._log.read_text()
            return []
        return [{**series["metric"], "value": series["value"][1]} for series in found]

    def stop(self) -> None:
        """End it; its data are of no use any more."""
        self._process.kill()
        self._process.wait()


def free_ports(number: int) -> list[int]:
    """Ports that nobody listens on now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(number)]
        return [sock.getsockname()[1] for sock in sockets]
