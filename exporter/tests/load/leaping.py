"""A real `gputally node` for which hours pass in minutes: its clock leaps over the time between two ticks.

Everything else is as it is: threads, deadlines of the driver's calls, the state file, the web server. Only
the sampler's wait for its next tick is cut short, and the clock set forward by what was left of it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_PROGRAM = """#!{python}
import sys, threading, time
from gputally.cli import agent, main, nodeagent
from gputally.model import Instant

class Leaping:
    leapt_ns = 0
    def __call__(self):
        now = time.clock_gettime_ns(time.CLOCK_BOOTTIME) + self.leapt_ns
        return Instant(now, time.time_ns() + self.leapt_ns)

class Wake(threading.Event):
    def wait(self, timeout=None):
        if timeout is None or timeout <= {least!r}:
            return super().wait(timeout)
        if super().wait({least!r}):
            return True
        CLOCK.leapt_ns += round((timeout - {least!r}) * 1e9)
        return False

CLOCK = Leaping()
build = nodeagent.build_sampler
def build_leaping(settings, clock, web_report, own_figures):
    sampler = build(settings, CLOCK, web_report, own_figures)
    sampler._wake = Wake()
    return sampler
nodeagent.build_sampler = build_leaping
nodeagent.system_clock = agent.system_clock = CLOCK
sys.exit(main())
"""


def leaping(folder: Path, least_s: float = 0.001) -> Path:
    """Put the program into a folder. Between two ticks it waits `least_s` of real time: scrapes need it."""
    program = folder / "gputally-leaping"
    program.write_text(_PROGRAM.format(python=sys.executable, least=least_s))
    program.chmod(0o755)
    return program
