"""A real program under `gputally run` beside the simulated jobs: what a person's own command looks like.

It visits a simulated GPU for a minute, ends well, and begins again: there is always one that runs, and one
that has ended lately.
"""

import shutil
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from scripts.stack.processes import Command

GPUS = 8
# With eight GPUs there are in this world three teams at every hour of its four weeks, but for ten minutes.
SEED = 84
LIFE_SECONDS = 60
PAUSE_SECONDS = 5.0  # at least, from one start to the next: a program that fails at once turns no wheel


@dataclass
class Workload:
    """The program, its record and its visit, all below one folder."""

    folder: Path
    log: Path
    _command: Command | None = field(default=None, init=False)
    _started_s: float = field(default=0.0, init=False)

    @property
    def agent_flags(self) -> list[str]:
        """What makes the agent see it."""
        return [
            f"--simulated.gpus={GPUS}",
            f"--simulated.seed={SEED}",
            f"--simulated.visitors-dir={self._visitors}",
            f"--jobs.runs-dir={self._runs}",
        ]

    @property
    def _visitors(self) -> Path:
        return self.folder / "visitors"

    @property
    def _runs(self) -> Path:
        return self.folder / "runs"

    def start(self) -> None:
        """Begin its first life. Visits of an earlier run are over, its records stay as anybody's would."""
        shutil.rmtree(self._visitors, ignore_errors=True)
        self._visitors.mkdir(parents=True)
        self._runs.mkdir(exist_ok=True)
        self._begin()

    def keep_going(self) -> None:
        """Begin the next life when one has ended, however it ended: somebody may have tried out `kill`."""
        ended = self._command is not None and self._command.exit_status is not None
        if ended and time.monotonic() - self._started_s >= PAUSE_SECONDS:
            self._begin()

    def stop(self) -> None:
        """End it for good."""
        if self._command is not None:
            self._command.stop()
            self._command = None

    def _begin(self) -> None:
        argv = [
            *(sys.executable, "-m", "gputally", "run", f"--runs.dir={self._runs}"),
            *("--job=demo-finetune", "--team=vision", "--model=demo-vit", "--"),
            *(sys.executable, "-m", "scripts.stack.visitor"),
            *(str(self._visitors), str(GPUS - 1), str(LIFE_SECONDS)),
        ]
        self._command = Command("workload", argv, self.log)
        self._command.start()
        self._started_s = time.monotonic()
