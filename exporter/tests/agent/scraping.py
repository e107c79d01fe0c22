"""A real Prometheus that scrapes one agent and can be asked what it got."""

from __future__ import annotations

import json
import resource
import shutil
import socket
import subprocess
import urllib.parse
import urllib.request
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


class Prometheus:
    """Scrapes one address twice a second, or these, under limits as a careful operator sets them."""

    def __init__(self, folder: Path, targets: Sequence[str] = ()) -> None:
        self.target, self._address = (f"127.0.0.1:{port}" for port in free_ports(2))
        self._folder = folder
        (folder / "prometheus.yml").write_text(
            f"""
scrape_configs:
  - job_name: node
    scrape_interval: 500ms
    scrape_timeout: 500ms
    sample_limit: 30000
    body_size_limit: 8MB
    label_value_length_limit: 512
    static_configs: [{{targets: {json.dumps(list(targets) or [self.target])}}}]
"""
        )
        self.start()

    def start(self) -> None:
        """Start it, on what data there are."""
        command = [
            "prometheus",
            f"--config.file={self._folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={self._folder / 'data'}",
            f"--web.listen-address={self._address}",
        ]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)

    @property
    def log(self) -> str:
        """All that it said."""
        return (self._folder / "log").read_text(errors="replace")

    def query(self, expression: str) -> list[dict[str, str]]:
        """Labels and value of every series; none while it does not answer yet."""
        url = f"http://{self._address}/api/v1/query?query={urllib.parse.quote(expression)}"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                found = json.load(answer)["data"]["result"]
        except OSError:
            assert self._process.poll() is None, self.log
            return []
        return [{**series["metric"], "value": series["value"][1]} for series in found]

    def own(self, name: str) -> float:
        """A figure of its own, which needs no store."""
        with urllib.request.urlopen(f"http://{self._address}/metrics", timeout=5) as answer:
            lines = [line.split() for line in answer.read().decode().splitlines()]
        return next(float(line[1]) for line in lines if line[0] == name)

    def stop(self) -> None:
        """End it as a power cut does."""
        self._process.kill()
        self._process.wait()

    def lose_data(self) -> None:
        """While it is stopped."""
        shutil.rmtree(self._folder / "data")

    @contextmanager
    def full_disk(self) -> Iterator[None]:
        """No file of it grows any more; it is told EFBIG instead of ENOSPC."""
        number, limits = resource.RLIMIT_FSIZE, resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self._process.pid, number, (0, limits[1]))
        try:
            yield
        finally:
            resource.prlimit(self._process.pid, number, limits)


def free_ports(number: int) -> list[int]:
    """Ports that nobody listens on now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(number)]
        return [sock.getsockname()[1] for sock in sockets]
