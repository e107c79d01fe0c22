"""A real agent under all kinds of crowds at once: counts, not times. `benchmarks/load.py` has the times."""

from __future__ import annotations

import json
import ssl
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
import trustme

from tests.agent.running import RunningAgent
from tests.load.crowds import Crowd, addresses
from tests.load.honest import Appetite, Honest, looked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ALL = (("idle", 250), ("drip", 250), ("unread", 100), ("scrape", 50), ("giant", 25), ("handshake", 250))
PLAIN = tuple((kind, count) for kind, count in ALL if kind != "handshake")
MOST_CONNECTIONS = 128  # gputally.web.limits
SECONDS = 5.0


@pytest.fixture(params=["plain", "TLS"])
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[RunningAgent, Honest]]:
    """An agent with simulated GPUs, and a scraper that behaves."""
    flags, context = ["--source=simulated", "--simulated.gpus=2"], None
    if request.param == "TLS":
        authority = trustme.CA()
        leaf = authority.issue_cert("127.0.0.1")
        cert = b"".join(blob.bytes() for blob in leaf.cert_chain_pems).decode()
        web = {"tls_server_config": {"cert": cert, "key": leaf.private_key_pem.bytes().decode()}}
        (tmp_path / "web.yml").write_text(json.dumps(web))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        authority.configure_trust(context)
        flags.append(f"--web.config.file={tmp_path / 'web.yml'}")
    agent = RunningAgent(tmp_path / "agent", *flags).start(serving=False)
    agent.until(lambda: bool(agent.lines("serving http on")), 20, "it serves")
    yield agent, Honest(agent.address, context, pace_s=0.1)
    agent.stop()


def settled(agent: RunningAgent, honest: Honest) -> tuple[float, int, int]:
    """What it has when only the honest one asks."""
    with honest:
        agent.until(lambda: len(honest.seconds) >= 10, 20, "ten scrapes")
    return looked(agent.pid)


def test_no_scrape_is_lost_and_nothing_stays(served: tuple[RunningAgent, Honest]) -> None:
    """925 clients from 85 addresses, each of which comes again a second after it was turned away."""
    agent, honest = served
    tls = honest.context is not None
    memory_mib, descriptors, threads = settled(agent, honest)
    before = len(honest.seconds)
    with ExitStack() as stack:
        crowds = [
            stack.enter_context(Crowd(kind, agent.address, count, addresses=addresses(kind, count), tls=tls))
            for kind, count in (ALL if tls else PLAIN)
        ]
        with Appetite(agent.pid) as most, honest:
            time.sleep(SECONDS)
            agent.until(lambda: len(honest.seconds) >= before + 20, 30, "twenty scrapes")
    assert honest.failures == []
    turned_away = {crowd.kind: crowd.count for crowd in crowds}
    assert turned_away["scrape"]["answered"] > 10
    assert sum(count["connected"] for count in turned_away.values()) > 2 * MOST_CONNECTIONS
    assert most.descriptors <= descriptors + MOST_CONNECTIONS + 8
    assert most.threads <= threads + 1
    assert most.memory_mib < memory_mib + 40
    agent.until(lambda: looked(agent.pid)[1] <= descriptors + 1, 20, "all connections to be closed")
    assert not agent.lines("Traceback")
    assert len(agent.log) < 30, agent.tail()
