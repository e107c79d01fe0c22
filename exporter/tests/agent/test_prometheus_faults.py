"""What a real Prometheus stores of an agent when its own disk fails, or a scrape does not arrive whole."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from tests.agent.metering import IDLE, add_idle, counted_mj, load, uuid_of
from tests.agent.scraping import Prometheus
from tests.fakenvml import Constant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.agent.running import RunningAgent
    from tests.fakenvml import FakeGpu, FakeNvml

COUNTED = "gpu_energy_joules_total"
TODAY = "gpu_energy_day_joules"


@pytest.fixture(scope="module", autouse=True)
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Started before the first test here: it takes it five seconds to look at its targets."""
    made = Prometheus(tmp_path_factory.mktemp("prometheus"))
    yield made
    made.stop()


def stored(prometheus: Prometheus, gpu: FakeGpu, name: str = COUNTED) -> float | None:
    """The latest value that it has of a GPU."""
    found = prometheus.query(f'{name}{{uuid="{uuid_of(gpu)}"}}')
    return float(found[0]["value"]) if found else None


WHOLE = 1 << 20
LENGTHS = (0, 1, 20, 512, 1024, 2048, -100, -9, -8, -2, WHOLE)  # below zero: so many bytes before the end


class Proxy:
    """Ends every body of an agent early; one of the old kind tells no length and packs nothing."""

    def __init__(self, agent: tuple[str, int], length: int, *, old: bool) -> None:
        self._agent, self._length, self._old = agent, length, old
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = "{}:{}".format(*self._listener.getsockname())
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def stop(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                with client, socket.create_connection(self._agent) as agent:
                    dropped = (b"connection:", b"accept-encoding:") if self._old else (b"connection:",)
                    lines = self._lines(client.recv(65536).partition(b"\r\n\r\n")[0], dropped)
                    agent.sendall(b"\r\n".join([*lines, b"Connection: close", b"", b""]))
                    answer = b"".join(iter(lambda agent=agent: agent.recv(65536), b""))
                    head, _blank, body = answer.partition(b"\r\n\r\n")
                    lines = self._lines(head, (b"content-length:",) if self._old else ())
                    if self._old:
                        lines[0] = lines[0].replace(b"HTTP/1.1", b"HTTP/1.0")
                    client.sendall(b"\r\n".join([*lines, b"", body[: self._length]]))

    @staticmethod
    def _lines(head: bytes, dropped: tuple[bytes, ...]) -> list[bytes]:
        return [line for line in head.split(b"\r\n") if not line.lower().startswith(dropped)]


@pytest.fixture
def proxied() -> Iterator[Callable[..., list[str]]]:
    """Proxies before an agent, one for each of LENGTHS; their addresses."""
    made: list[Proxy] = []

    def make(running: RunningAgent, *, old: bool) -> list[str]:
        some = [Proxy(running.address, length, old=old) for length in LENGTHS]
        made.extend(some)
        return [proxy.address for proxy in some]

    yield make
    for proxy in made:
        proxy.stop()


@pytest.mark.fault("scrape-cut")
def test_of_a_scrape_that_does_not_arrive_whole_nothing_is_stored(
    agent: Callable[..., RunningAgent],
    fake_nvml: FakeNvml,
    tmp_path: Path,
    proxied: Callable[..., list[str]],
) -> None:
    """F39: the format that Prometheus asks for says where it ends, even where nothing else does."""
    gpu = fake_nvml.add_gpu(power=Constant(400))
    running = agent()
    running.wait_until(lambda s: (counted_mj(s, gpu) or 0) > 0)
    names = {
        address: (kind, length)
        for kind in ("new", "old")
        for address, length in zip(proxied(running, old=kind == "old"), LENGTHS, strict=True)
    }
    prometheus = Prometheus(tmp_path, list(names))
    try:
        running.until(lambda: len(prometheus.query("up")) == len(names), 20, "all were scraped")
        running.until(lambda: len(prometheus.query(COUNTED)) == 2, 20, "what arrives whole is stored")
        ups = {names[one["instance"]]: one["value"] for one in prometheus.query("max_over_time(up[1m])")}
        counters = {names[one["instance"]] for one in prometheus.query(f"last_over_time({COUNTED}[1m])")}
    finally:
        prometheus.stop()
    # Prometheus 3 takes an answer without length and without a byte for an empty page of an agent that is up.
    arrived = {name for name, up in ups.items() if up != "0"} - {("old", 0)}
    assert arrived == {("new", WHOLE), ("old", WHOLE)}
    assert counters == {("new", WHOLE), ("old", WHOLE)}


@pytest.mark.fault("prometheus-disk", "prometheus-empty")
def test_a_full_disk_is_bridged_and_a_lost_one_costs_neither_counters_nor_days(
    agent: Callable[..., RunningAgent], fake_nvml: FakeNvml, prometheus: Prometheus
) -> None:
    """F36: what was used before and meanwhile is in what the agent shows, not only in the store.

    A limit to the size of files stands in for the full disk.
    """
    (gpu,) = add_idle(fake_nvml, "full")
    running = agent(f"--web.listen-address={prometheus.target}")
    load(running, [gpu], Constant(400))
    running.until(lambda: (stored(prometheus, gpu) or 0) > 100, 20, "Prometheus knows the counter")
    with prometheus.full_disk():
        running.until(lambda: prometheus.own("prometheus_tsdb_wal_writes_failed_total") > 1, 10, "it is full")
        running.wait_until(lambda s: (counted_mj(s, gpu) or 0) > 600_000)
    running.until(lambda: (stored(prometheus, gpu) or 0) > 600, 20, "it stores again")
    (resets,) = prometheus.query(f"resets({COUNTED}[5m])")
    assert resets["value"] == "0"
    before = stored(prometheus, gpu) or 0.0
    prometheus.stop()
    prometheus.lose_data()
    prometheus.start()
    running.until(lambda: stored(prometheus, gpu, TODAY) is not None, 20, "Prometheus knows the day again")
    assert (stored(prometheus, gpu) or 0) > before + 200
    gpu.power = IDLE
    for name in (COUNTED, TODAY):
        running.until(
            lambda name=name: stored(prometheus, gpu, name) == running.value(name, uuid=uuid_of(gpu)),
            10,
            name,
        )
