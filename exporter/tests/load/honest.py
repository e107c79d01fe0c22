"""A scraper that behaves as Prometheus does, and what the kernel says about who is scraped."""

from __future__ import annotations

import gzip
import http.client
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import ssl

HEADERS = {
    "User-Agent": "Prometheus/3.5.0",
    "Accept": "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
    "Accept-Encoding": "gzip",
    "X-Prometheus-Scrape-Timeout-Seconds": "10",
}


@dataclass
class Honest:
    """Scrapes in a thread, for the time of a `with`; keeps its connection, asks again where it was closed."""

    address: tuple[str, int]
    context: ssl.SSLContext | None = None
    pace_s: float = 0.25
    seconds: list[float] = field(default_factory=list)  # of each scrape, connecting included where it had to
    failures: list[str] = field(default_factory=list)
    reconnected: int = 0

    def __enter__(self) -> Self:
        """Begin."""
        self._done = threading.Event()
        self._connection: http.client.HTTPConnection | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End after the scrape that is under way."""
        self._done.set()
        self._thread.join()
        self._drop()

    def quantile_ms(self, share: float) -> float:
        """Of the times, such as 0.95."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000 if ordered else float("nan")

    def _run(self) -> None:
        due = time.monotonic()
        while not self._done.is_set():
            began = time.perf_counter()
            try:
                self._scrape()
                self.seconds.append(time.perf_counter() - began)
            except (OSError, http.client.HTTPException, EOFError, ValueError) as error:
                self.failures.append(f"{type(error).__name__}: {error}")
                self._drop()
            due = max(due + self.pace_s, time.monotonic())
            self._done.wait(due - time.monotonic())

    def _scrape(self) -> None:
        if self._connection is not None:
            try:
                return self._ask(self._connection)
            except (ConnectionError, http.client.RemoteDisconnected, http.client.CannotSendRequest):
                self.reconnected += 1  # as Go does: an idle connection may have been closed meanwhile
                self._drop()
        self._connection = (
            http.client.HTTPConnection(*self.address, timeout=10)
            if self.context is None
            else http.client.HTTPSConnection(*self.address, timeout=10, context=self.context)
        )
        return self._ask(self._connection)

    def _ask(self, connection: http.client.HTTPConnection) -> None:
        connection.request("GET", "/metrics", headers=HEADERS)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise ValueError(f"status {answer.status}")
        text = gzip.decompress(body) if answer.headers["Content-Encoding"] == "gzip" else body
        if not text.endswith(b"# EOF\n"):
            raise ValueError("cut short")

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


@dataclass
class Appetite:
    """The most that a process had of everything, looked at ten times a second for the time of a `with`."""

    pid: int
    memory_mib: float = 0.0
    descriptors: int = 0
    threads: int = 0
    cpu_share: float = 0.0
    starved_share: float = 0.0  # of the time, the server's thread could have gone on and had no CPU

    def __enter__(self) -> Self:
        """Begin to look."""
        self._done, self._began = threading.Event(), time.monotonic()
        self._used, self._starved = cpu_seconds(self.pid), starved_seconds(self.pid)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """The last look."""
        self._done.set()
        self._thread.join()
        lasted = time.monotonic() - self._began
        self.cpu_share = (cpu_seconds(self.pid) - self._used) / lasted
        self.starved_share = (starved_seconds(self.pid) - self._starved) / lasted

    def _run(self) -> None:
        while not self._done.wait(0.1):
            now = looked(self.pid)
            self.memory_mib = max(self.memory_mib, now[0])
            self.descriptors, self.threads = max(self.descriptors, now[1]), max(self.threads, now[2])


def looked(pid: int) -> tuple[float, int, int]:
    """Resident MiB, open descriptors and threads of a process, now."""
    status = Path(f"/proc/{pid}/status").read_text()
    words = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    descriptors = sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    return int(words["VmRSS"].split()[0]) / 1024, descriptors, int(words["Threads"])


def cpu_seconds(pid: int) -> float:
    """CPU time of a process, by the kernel's clock of it."""
    return time.clock_gettime(((~pid) << 3) | 2)


def starved_seconds(pid: int) -> float:
    """How long the first thread of a process, which serves, has waited for a CPU: others had it."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
