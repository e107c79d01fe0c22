"""Odd surroundings: variables, descriptors, addresses that are taken, a service manager that watches."""

from __future__ import annotations

import http.client
import re
import resource
import signal
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.agent import running as harness
from tests.agent.metering import add_idle, assert_exact, is_up, load
from tests.fakenvml import Constant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.agent.running import RunningAgent
    from tests.fakenvml import FakeNvml


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """Start the program by this line of shell; `$0` is the program, `$@` its arguments."""

    def use(line: str) -> None:
        program = tmp_path / "start"
        program.write_text(f"#!/bin/sh\n{line}\n".replace("$0", str(harness.PROGRAM)))
        program.chmod(0o755)
        monkeypatch.setattr(harness, "PROGRAM", program)

    return use


@pytest.fixture
def known_port(monkeypatch: pytest.MonkeyPatch) -> int:
    """A free port; where the harness finds an agent that has no log to say it."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
    monkeypatch.setattr(harness.RunningAgent, "address", ("127.0.0.1", port))
    return port


@pytest.mark.fault("environment-bare")
def test_a_bare_environment_is_enough(new_agent: Callable[..., RunningAgent], fake_nvml: FakeNvml) -> None:
    """F34: no HOME, no PATH, no locale, a time zone that does not exist."""
    (gpu,) = add_idle(fake_nvml, "full")
    running = new_agent()
    running.env = {**fake_nvml.env, "LANG": "C", "LC_ALL": "C", "TZ": "Mars/Phobos", "PATH": ""}
    running.start()
    load(running, [gpu], Constant(400))
    assert_exact(running, [gpu])
    assert all(re.match(r"ts=\d{4}-\d\d-\d\dT[\d:.]+\+00:00 level=", line) for line in running.log)
    assert running.terminate()[0] == 0


@pytest.mark.fault("streams-closed")
@pytest.mark.parametrize("streams", ["<&- >&- 2>&-", "2>/dev/full >/dev/full"], ids=["none", "full"])
def test_closed_or_full_standard_streams_are_no_reason_to_fail(
    streams: str,
    agent: Callable[..., RunningAgent],
    fake_nvml: FakeNvml,
    shell: Callable[[str], None],
    known_port: int,
) -> None:
    """F34: their numbers are not given to sockets and state files, into which a library would then print."""
    (gpu,) = add_idle(fake_nvml, "full")
    shell(f'exec $0 "$@" {streams}')
    running = agent(f"--web.listen-address=127.0.0.1:{known_port}")
    load(running, [gpu], Constant(400))
    for descriptor in range(3):
        target = str(Path(f"/proc/{running.pid}/fd/{descriptor}").readlink())
        assert not target.startswith("socket:")
        assert "state" not in target
    assert_exact(running, [gpu])
    assert running.terminate()[0] == 0


@pytest.mark.fault("descriptors-out")
def test_few_descriptors_are_enough(agent: Callable[..., RunningAgent], fake_nvml: FakeNvml) -> None:
    """With room for hardly any file, metering goes on, and comes back to normal with it."""
    (gpu,) = add_idle(fake_nvml, "full")
    running = agent()
    load(running, [gpu], Constant(400))
    limits = resource.prlimit(running.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(running.pid, resource.RLIMIT_NOFILE, (3, limits[1]))
    before = len(running.lines("state not written"))
    running.until(lambda: len(running.lines("state not written", "Too many open files")) > before)
    time.sleep(0.5)
    resource.prlimit(running.pid, resource.RLIMIT_NOFILE, limits)
    running.wait_until(lambda s: s.value("gputally_state_write_success") == 1)
    assert_exact(running, [gpu])
    assert not running.lines("tick failed")


# addresses


@pytest.mark.fault("port-taken")
def test_a_port_that_is_taken_ends_the_start_with_one_line_and_no_trace(
    new_agent: Callable[..., RunningAgent], fake_nvml: FakeNvml
) -> None:
    """F35. Nor does it count as a crash, so that a service manager may try for as long as it takes."""
    gpu = fake_nvml.add_gpu()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        running = new_agent(f"--web.listen-address={address}")
        for _ in range(4):
            running.start(serving=False)
            assert running.wait() == 1
            assert running.log[-1] == f"gputally: error: cannot listen on {address}: the port is in use"
            assert not running.state_dir.exists()
    running.start()
    running.wait_until(
        lambda s: is_up(s, gpu) and s.value("gputally_collector_success", collector="processes") == 1
    )
    assert not running.lines("crashed")
    assert not running.lines("Traceback")


@pytest.mark.fault("port-taken")
def test_an_address_of_another_machine_ends_the_start_with_one_line(
    new_agent: Callable[..., RunningAgent],
) -> None:
    """F35: 192.0.2.1 is nobody's (RFC 5737)."""
    running = new_agent("--web.listen-address=192.0.2.1:9836").start(serving=False)
    assert running.wait() == 1
    line = "gputally: error: cannot listen on 192.0.2.1:9836: this machine does not have the address (yet)"
    assert running.log[-1] == line
    assert not running.state_dir.exists()


def has_ipv6() -> bool:
    """Whether this machine has the IPv6 loopback address."""
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


def test_an_ipv6_address_is_served_beside_another_or_refused_by_name(
    new_agent: Callable[..., RunningAgent], fake_nvml: FakeNvml
) -> None:
    fake_nvml.add_gpu()
    running = new_agent("--web.listen-address=", env={"GPUTALLY_WEB_LISTEN_ADDRESS": "127.0.0.1:0 [::1]:0"})
    if not has_ipv6():
        assert running.start(serving=False).wait() == 1
        assert running.log[-1].startswith("gputally: error: cannot listen on [::1]:0: ")
        return
    running.start()
    (port,) = {m[1] for line in running.lines("serving http") if (m := re.search(r"\[::1\]:([0-9]+)", line))}
    connection = http.client.HTTPConnection("::1", int(port), timeout=5)
    connection.request("GET", "/metrics")
    assert connection.getresponse().status == 200
    connection.close()
    assert running.scrape().status == 200


# a service manager


class Manager:
    """The socket of a service manager, and what it was told."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)

    def told(self, within: float = 5.0) -> str:
        """The next message."""
        self.socket.settimeout(within)
        return self.socket.recv(4096).decode()


@pytest.fixture
def manager() -> Iterator[Callable[[str], Manager]]:
    """Make service managers that listen at an address."""
    made: list[Manager] = []

    def make(address: str) -> Manager:
        made.append(Manager(address))
        return made[-1]

    yield make
    for one in made:
        one.socket.close()


@pytest.mark.fault("driver-open-hangs")
def test_a_service_manager_hears_that_we_are_ready_alive_and_stopping_even_if_the_driver_hangs(
    new_agent: Callable[..., RunningAgent],
    fake_nvml: FakeNvml,
    manager: Callable[[str], Manager],
    tmp_path: Path,
) -> None:
    """The watchdog is fed by our own loop: a hung driver is no reason to be restarted."""
    address = str(tmp_path / "notify")
    listening = manager(address)
    fake_nvml.add_gpu()
    fake_nvml.fault("nvmlInitWithFlags", hang=True)
    running = new_agent(env={"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "3000000"}).start()
    assert listening.told() == "READY=1"
    fake_nvml.wait_for_hang("nvmlInitWithFlags")
    began = time.monotonic()
    assert [listening.told(3.0) for _ in range(2)] == ["WATCHDOG=1"] * 2
    assert time.monotonic() - began < 3.0
    assert running.get("/-/ready")[0] == 503
    assert running.get("/-/healthy")[0] == 200
    running.signal(signal.SIGTERM)
    told = listening.told()
    while told == "WATCHDOG=1":
        told = listening.told()
    assert told == "STOPPING=1"
    assert running.wait() == 0


def test_a_service_manager_may_listen_at_an_abstract_address(
    new_agent: Callable[..., RunningAgent], manager: Callable[[str], Manager], tmp_path: Path
) -> None:
    listening = manager(f"\0{tmp_path}")
    new_agent(env={"NOTIFY_SOCKET": f"@{tmp_path}"}).start()
    assert listening.told() == "READY=1"


@pytest.mark.fault("manager-deaf")
def test_a_service_manager_that_is_gone_is_no_error(
    agent: Callable[..., RunningAgent], fake_nvml: FakeNvml, tmp_path: Path
) -> None:
    gpu = fake_nvml.add_gpu()
    running = agent(env={"NOTIFY_SOCKET": str(tmp_path / "gone"), "WATCHDOG_USEC": "soon"})
    running.wait_until(lambda s: is_up(s, gpu))
    assert running.terminate()[0] == 0


@pytest.mark.fault("environment-bare")
def test_a_working_folder_that_is_gone_is_no_reason_to_fail(
    agent: Callable[..., RunningAgent], fake_nvml: FakeNvml, shell: Callable[[str], None]
) -> None:
    gpu = fake_nvml.add_gpu()
    shell('mkdir under && cd under && rmdir ../under && exec $0 "$@"')
    running = agent()
    running.wait_until(lambda s: is_up(s, gpu))
    assert running.terminate()[0] == 0
