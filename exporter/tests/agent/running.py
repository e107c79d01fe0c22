"""A real agent in a process of its own, as a test sees it: scrapes, log lines, signals, /proc.

Nothing here knows what is right; that is for the tests. Waiting is always polling under a deadline, so that a
loaded machine makes a test slower and not red.
"""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.agent.watching import Scrape, Series, Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["PROGRAM", "RunningAgent", "Scrape", "Series", "Watch"]

PROGRAM = Path(sys.executable).parent / "gputally"
_SERVING = re.compile(r"serving http on ([0-9.]+):([0-9]+)")
_POLL_S = 0.05


class RunningAgent:
    """The command in a folder of its own, which holds its state and its log over restarts.

    Flags are given as "--name=value"; they replace the defaults of the same name. `--state.dir=` (empty)
    leaves the state out.
    """

    program: Path | None = None  # another than PROGRAM, which tests replace as well
    command = "node"
    defaults: Mapping[str, str] = {
        "--web.listen-address": "127.0.0.1:0",
        "--sample.interval": "250ms",
        "--log.level": "info",
        "--jobs.announce": "0s",  # a test does not wait a minute
    }

    def __init__(self, folder: Path, *flags: str, env: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.state_dir = folder / "state"
        self.log_file = folder / "agent.log"
        options = {**self.defaults, "--state.dir": str(self.state_dir)}
        switches = []
        for flag in flags:
            name, is_option, value = flag.partition("=")
            if is_option:
                options[name] = value
            else:
                switches.append(flag)
        self.flags = [f"{name}={value}" for name, value in options.items() if value] + switches
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("GPUTALLY_")} | dict(env or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._log_from = 0

    # life

    def start(self, *, serving: bool = True, timeout: float = 20.0) -> Self:
        """Start the command; with `serving`, return when it answers HTTP."""
        assert self._process is None or self._process.poll() is not None, "still running"
        self.folder.mkdir(parents=True, exist_ok=True)
        self._log_from = len(self.log)
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [self.program or PROGRAM, self.command, *self.flags],
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
            )
        if serving:
            self.until(self._answers, timeout, "it answers HTTP")
        return self

    def _answers(self) -> bool:
        try:
            return self.get("/-/healthy")[0] in (200, 503)
        except OSError:
            return False

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process that was started last."""
        assert self._process is not None, "not started"
        return self._process

    @property
    def pid(self) -> int:
        """Its process id; the same after it has renewed itself."""
        return self.process.pid

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def ask_to_release(self) -> None:
        """SIGUSR1: let go of the driver for a while."""
        self.signal(signal.SIGUSR1)

    def wait(self, timeout: float = 20.0) -> int:
        """Exit status; negative for a signal. Fails if it does not end in time."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"did not end within {timeout} s\n{self.tail()}") from None

    def terminate(self, timeout: float = 20.0) -> tuple[int, float]:
        """SIGTERM; exit status, and the seconds that it took."""
        began = time.monotonic()
        self.signal(signal.SIGTERM)
        return self.wait(timeout), time.monotonic() - began

    def kill(self) -> None:
        """SIGKILL, and wait for the end."""
        self.process.kill()
        self.wait()

    def restart(self, *, serving: bool = True) -> Self:
        """SIGTERM if it runs, then the same command again."""
        if self.running:
            self.terminate()
        return self.start(serving=serving)

    def stop(self) -> None:
        """End it in any case; for fixtures."""
        if self.running:
            self.process.kill()
            self.process.wait()

    # what it says

    @property
    def log(self) -> list[str]:
        """Every line that it wrote, over all starts."""
        if not self.log_file.exists():
            return []
        return self.log_file.read_text(errors="replace").splitlines()

    def lines(self, *words: str) -> list[str]:
        """Log lines that contain all these words."""
        return [line for line in self.log if all(word in line for word in words)]

    def tail(self) -> str:
        """The end of the log, for messages."""
        return "\n".join(self.log[-30:])

    @property
    def address(self) -> tuple[str, int]:
        """Where it serves now, by its own log: another port after every start and renewal."""
        found = [m for line in self.log[self._log_from :] if (m := _SERVING.search(line))]
        if not found:
            raise ConnectionRefusedError("does not serve yet")
        return found[-1][1], int(found[-1][2])

    def get(self, path: str, timeout: float = 5.0) -> tuple[int, str, float]:
        """Status, body and seconds of one request on a connection of its own. Raises OSError."""
        connection = http.client.HTTPConnection(*self.address, timeout=timeout)
        began = time.monotonic()
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read()
        except http.client.HTTPException as error:  # as when it renews itself in the middle of an answer
            raise ConnectionError(str(error)) from error
        finally:
            connection.close()
        return answer.status, body.decode(), time.monotonic() - began

    def scrape(self, timeout: float = 5.0) -> Scrape:
        """One scrape. Raises OSError while nobody answers."""
        status, body, seconds = self.get("/metrics", timeout)
        return Scrape(status, body, seconds, time.monotonic())

    def value(self, name: str, **labels: str) -> float | None:
        """One value of a scrape made now."""
        return self.scrape().value(name, **labels)

    # waiting

    def until(self, condition: Callable[[], bool], timeout: float = 10.0, what: str = "") -> None:
        """Wait for a condition while the process lives. Fails at the deadline, or when the process ends."""
        deadline = time.monotonic() + timeout
        while not condition():
            ended = not self.running
            assert not ended, f"ended ({self.process.returncode}) before {what}\n{self.tail()}"
            assert time.monotonic() < deadline, f"not within {timeout} s: {what}\n{self.tail()}"
            time.sleep(_POLL_S)

    def wait_until(
        self, predicate: Callable[[Scrape], object], timeout: float = 10.0, what: str = ""
    ) -> Scrape:
        """Scrape until the predicate holds; the scrape for which it did."""
        seen: list[Scrape] = []

        def holds() -> bool:
            try:
                seen[:] = [self.scrape()]
            except OSError:
                return False
            return seen[0].status == 200 and bool(predicate(seen[0]))

        self.until(holds, timeout, what or "the awaited scrape")
        return seen[0]

    def watch(self, pace: float = 0.2) -> Watch:
        """Scrape all the time, beside the test: `with agent.watch() as watch: ...`."""
        return Watch(self, pace)

    # what the kernel says

    @property
    def threads(self) -> int:
        """Threads of the process."""
        return sum(1 for _ in Path(f"/proc/{self.pid}/task").iterdir())

    @property
    def fds(self) -> int:
        """Open files of the process."""
        return sum(1 for _ in Path(f"/proc/{self.pid}/fd").iterdir())
