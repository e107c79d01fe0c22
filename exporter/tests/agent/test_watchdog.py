"""A sampler that hangs is no longer vouched for, so that systemd starts the agent anew."""

from __future__ import annotations

import os
import signal
import socket
import sys
from typing import TYPE_CHECKING

import pytest

from tests.agent import running as harness
from tests.agent.metering import is_up

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.agent.running import RunningAgent
    from tests.fakenvml import FakeNvml

STATE_FILE = "counters.json.tmp"  # what the sampler writes to at every tick
# The program, but for its patience: nobody is to wait for half a minute here.
IMPATIENT = """import sys
from gputally.node import sampler
sampler.HUNG_SECONDS = 1.0
from gputally.cli import main
sys.exit(main())
"""


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "gputally"
    program.write_text(f"#!{sys.executable}\n{IMPATIENT}")
    program.chmod(0o755)
    monkeypatch.setattr(harness, "PROGRAM", program)


def pings(listening: socket.socket, within: float) -> bool:
    """Whether the agent vouches for itself within so many seconds."""
    listening.settimeout(within)
    try:
        return listening.recv(100) == b"WATCHDOG=1"
    except TimeoutError:
        return False


def in_the_way(path: Path) -> bool:
    """Put a pipe there: to open it for writing is to wait for a reader, who never comes."""
    try:
        os.mkfifo(path)
    except FileExistsError:
        return False
    return True


@pytest.mark.fault("sampler-hangs")
@pytest.mark.usefixtures("impatient")
def test_a_sampler_that_hangs_in_a_disk_is_not_vouched_for_though_scrapes_are_answered(
    new_agent: Callable[..., RunningAgent], fake_nvml: FakeNvml, tmp_path: Path
) -> None:
    gpu = fake_nvml.add_gpu()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        running = new_agent(
            env={"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "3000000"}
        ).start()
        running.wait_until(lambda s: is_up(s, gpu))
        assert listening.recv(100) == b"READY=1"
        assert pings(listening, 10)
        running.until(lambda: in_the_way(running.state_dir / STATE_FILE), 20, "nobody writes just now")
        running.until(lambda: running.get("/-/healthy")[0] == 503, 20, "it says that it is ill")
        assert "the sampler has stopped" in running.get("/-/healthy")[1]
        assert running.scrape().status == 200
        while pings(listening, 0.01):
            pass  # said before
        assert not pings(listening, 3.0)  # by when systemd sends SIGABRT
        running.signal(signal.SIGABRT)
        assert running.wait() == -signal.SIGABRT
        (running.state_dir / STATE_FILE).unlink()
        running.start()
        assert listening.recv(100) == b"READY=1"
        running.wait_until(lambda s: is_up(s, gpu))
        assert pings(listening, 10)


@pytest.mark.fault("manager-deaf")
def test_a_service_manager_that_does_not_read_holds_nobody_up(
    new_agent: Callable[..., RunningAgent], fake_nvml: FakeNvml, tmp_path: Path
) -> None:
    """The kernel keeps ten messages or so, then it lets senders wait; scrapes are not to wait with them."""
    gpu = fake_nvml.add_gpu()
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(address)
        running = new_agent(env={"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "3000000"}).start()
        running.wait_until(lambda s: is_up(s, gpu))
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as filler:
            filler.setblocking(False)
            with pytest.raises(BlockingIOError):
                fill(filler, address)
        before = running.value("gputally_last_sample_timestamp_seconds")
        running.wait_until(lambda s: s.value("gputally_last_sample_timestamp_seconds") > before + 3)
        running.until(lambda: listening.recv(100) == b"WATCHDOG=1", 20, "it goes on to vouch for itself")


def fill(filler: socket.socket, address: str) -> None:
    """Until there is no more room."""
    for _ in range(100_000):
        filler.sendto(b"x", address)
