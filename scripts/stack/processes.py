"""Programs as children: found on PATH, started with a log, awaited until they answer, stopped by their id.

Knows nothing of what the programs are.
"""

import http
import http.client
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

LOOPBACK = "127.0.0.1"
STOP_SECONDS = 15.0  # Prometheus closes its data base within seconds; the agent saves its state within two


class StackError(Exception):
    """The stack cannot go on; the message is one line for a person."""


def find(*names: str) -> str | None:
    """Path of the first of these programs that is on PATH. Debian's names differ from the projects' own."""
    return next((path for name in names if (path := shutil.which(name))), None)


def free_port(preferred: int = 0) -> int:
    """The preferred port if nobody listens on it, else any that is free."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise StackError("no free port on the loopback interface")


def get(port: int, path: str, timeout_s: float = 5.0) -> tuple[int, bytes]:
    """Status and body of a request to this machine. Raises OSError."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=timeout_s)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except http.client.HTTPException as error:
        raise OSError(f"no HTTP answer on port {port}: {error!r}") from error
    finally:
        connection.close()


@dataclass
class Command:
    """One child process."""

    name: str
    argv: list[str]
    log: Path
    environment: dict[str, str] | None = field(default=None, kw_only=True)
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def exit_status(self) -> int | None:
        """None while it runs."""
        return self._process.poll() if self._process else None

    def start(self) -> None:
        """Start it in a session of its own, so that Ctrl-C reaches only whoever stops it in good order."""
        # If we are killed outright, the kernel stops the child: nothing is left behind that holds a port.
        leash = ["setpriv", "--pdeathsig", "TERM", "--"] if find("setpriv") else []
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - programs of the stack, arguments of our own
                [*leash, *self.argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environment,
                start_new_session=True,
            )

    def epitaph(self) -> str:
        """What to tell when it ended by itself."""
        tail = self.log.read_text(errors="replace").strip().splitlines()[-3:]
        return "\n    ".join(
            [f"{self.name} ended with status {self.exit_status}; {self.log} ends with:", *tail]
        )

    def stop(self) -> None:
        """Ask it to end, and insist after a while. Does nothing if it has ended."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@dataclass
class Program(Command):
    """One that serves HTTP on the loopback interface."""

    port: int
    ready_path: str = "/-/ready"

    @property
    def url(self) -> str:
        """Where a browser finds it."""
        return f"http://{LOOPBACK}:{self.port}"

    def is_ready(self) -> bool:
        """Whether it answers now."""
        try:
            return get(self.port, self.ready_path, timeout_s=2.0)[0] == http.HTTPStatus.OK
        except OSError:
            return False

    def wait_until_ready(self, timeout_s: float = 60.0) -> None:
        """Raise StackError with the end of its log when it ends, or does not answer in time."""
        deadline = time.monotonic() + timeout_s
        while not self.is_ready():
            if self.exit_status is not None:
                raise StackError(self.epitaph())
            if time.monotonic() > deadline:
                raise StackError(f"{self.name} does not answer after {timeout_s:.0f} s; its log: {self.log}")
            time.sleep(0.1)
