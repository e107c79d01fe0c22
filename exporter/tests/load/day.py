"""A day of an agent whose clock leaps: scraped, reloaded, knocked at, and looked at every hour."""

from __future__ import annotations

import contextlib
import http.client
import re
import signal
import socket
import time
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING

from tests.load.honest import looked

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ACCEPTS = ("text/plain;version=0.0.4", "application/openmetrics-text;version=1.0.0")
KNOCKS = (b"", b"GET /metr", b"\x16\x03\x01\x02\x00", b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n", b"\x00" * 99)
HOUR_S = 3600.0
PAUSE_S = 0.02  # of ours, in which the agent gets on by seconds or minutes
CONFIG = """
site:
  timezone: Europe/Berlin
tariff:
  currency: EUR
  bands:
    - {name: night, hours: ["22:00-24:00", "00:00-06:00"], price_per_kwh: 0.20}
    - {name: day, price_per_kwh: 0.32}
"""


@dataclass(frozen=True)
class Hour:
    """What an agent had at the end of an hour of its own."""

    memory_mib: float
    descriptors: int
    threads: int
    ticks: float
    jobs: int
    series: int
    real_s: float


@dataclass
class Day:
    """Lives through hours with an agent; `tell` sends it a signal."""

    address: tuple[str, int]
    pid: int
    tell: Callable[[signal.Signals], None]
    scrape_every_s: float = 15.0  # of the agent's time
    hours: list[Hour] = field(default_factory=list)
    scrapes: int = 0
    _connection: http.client.HTTPConnection | None = None
    _body: str = ""

    def live(self, hours: int, said: Callable[[Hour], None] = lambda _: None, most_s: float = 3600.0) -> None:
        """So many hours. Raises TimeoutError where they take longer than `most_s` of ours."""
        began, self._connection = time.monotonic(), http.client.HTTPConnection(*self.address, timeout=30)
        with contextlib.closing(self._connection):
            while not (began_s := self._scrape()):  # before its first tick
                time.sleep(PAUSE_S)
            due_s = began_s
            while len(self.hours) < hours:
                if time.monotonic() - began > most_s:
                    raise TimeoutError(f"{len(self.hours)} hours within {most_s:g} s")
                now_s = self._scrape()
                due_s += self.scrape_every_s
                if due_s > now_s:  # else as many as Prometheus would have made meanwhile
                    due_s = now_s
                    time.sleep(PAUSE_S)
                if now_s - began_s >= (len(self.hours) + 1) * HOUR_S:
                    self._end_hour(time.monotonic() - began, said)

    def _end_hour(self, real_s: float, said: Callable[[Hour], None]) -> None:
        """A look at what there is; then clients that go wrong, and a configuration that is read again."""
        lines = [line for line in self._body.splitlines() if not line.startswith("#")]
        jobs = sum(line.startswith("gpu_job_info{") for line in lines)
        ticks = self._value("gputally_samples_total")
        self.hours.append(Hour(*looked(self.pid), ticks, jobs, len(lines), real_s))
        said(self.hours[-1])
        for data in KNOCKS * 4:
            with contextlib.suppress(OSError), socket.create_connection(self.address, timeout=5) as knocking:
                knocking.sendall(data)
        self.tell(signal.SIGHUP)

    def _scrape(self) -> float:
        """One scrape; the agent's time in it, 0 before the first tick."""
        assert self._connection is not None
        self._connection.request("GET", "/metrics", headers={"Accept": ACCEPTS[self.scrapes % 2]})
        answer = self._connection.getresponse()
        self._body = answer.read().decode()
        assert answer.status == 200, answer.status
        self.scrapes += 1
        name = "gputally_last_sample_timestamp_seconds"
        return self._value(name) if f"\n{name} " in self._body else 0.0

    def _value(self, name: str) -> float:
        found = re.search(rf"^{name} (\S+)", self._body, re.MULTILINE)
        assert found is not None, name
        return float(found[1])


def grown(values: Sequence[float]) -> float:
    """How far the median of the last quarter stands above that of the second one: the first still fills."""
    quarter = max(1, len(values) // 4)
    return median(values[-quarter:]) - median(values[quarter : 2 * quarter])
