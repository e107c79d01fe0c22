"""Lets the past of a simulated machine be played (history.py), once for a folder, and knows that it was."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from gputally.config.durations import parse_ns
from scripts.stack.processes import LOOPBACK, Command, StackError, find

HISTORY = "50h"  # there is a whole day of the calendar in it
SECONDS_EACH = 1.2e-13  # of a past to be played; measured
LONGEST_NS = 29 * 86_400 * 10**9  # Prometheus keeps 30 days


def check(history: str) -> None:
    """Raise StackError if it is no length that a past can have."""
    try:
        length_ns = parse_ns(history)
    except ValueError as error:
        raise StackError(f"--history={history}: {error}") from None
    if length_ns > LONGEST_NS:
        raise StackError(f"--history={history}: 29d at most")


@dataclass
class Past:
    """The hours before a simulated machine is metered for the first time."""

    folder: Path
    state: Path  # the agent's --state.dir
    history: str
    say: Callable[[str], None]
    _command: Command | None = field(default=None, init=False)

    @property
    def text(self) -> str:
        """What is to be said of it; empty where none was played."""
        return self._note.read_text().strip() if self._note.exists() else ""

    @property
    def _note(self) -> Path:
        return self.folder / "past.txt"

    def play(self, agent: list[str], ports: dict[str, int]) -> None:
        """Play it, unless it is not wanted or there are data already. One that fails is said and left out."""
        prometheus = self.folder / "prometheus"
        if not parse_ns(self.history) or prometheus.exists() or self.state.exists():
            return
        if find("promtool") is None:
            self.say("no past: promtool is not on PATH")
            return
        seconds = 10 + parse_ns(self.history) * SECONDS_EACH
        self.say(
            f"a past of {self.history} is simulated: the machine is played through it in some {seconds:.0f} s"
        )
        argv = [
            *(sys.executable, "-m", "scripts.stack.history", f"--past={self.history}"),
            *(f"--folder={self.folder}", f"--prometheus={prometheus}", f"--state={self.state}"),
            *(f"--{name}={LOOPBACK}:{ports[name]}" for name in ("node", "site")),
            *("--", *agent[agent.index("node") + 1 :]),
        ]
        self._command = Command("history", argv, self.folder / "log" / "history.log")
        self._command.start()
        while self._command.exit_status is None:
            time.sleep(0.05)
        if self._command.exit_status != 0:
            self.say(f"no past: {self._command.epitaph()}")
            return
        at = time.strftime("%Y-%m-%d %H:%M", time.gmtime())
        self._note.write_text(f"the {self.history} before {at} UTC are simulated and played, not lived\n")

    def stop(self) -> None:
        """End what is being played."""
        if self._command is not None:
            self._command.stop()
