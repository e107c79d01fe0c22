"""Replaces this process by a fresh one of itself: after a driver upgrade, or when memory has grown too far.

Within one process NVML cannot be loaded anew: `nvmlShutdown` never unloads the library. The state is saved
before, so that the counters of the new process go on where the old ones ended.
"""

import asyncio
import logging
import os
import signal
import sys
import time

logger = logging.getLogger(__name__)
LEAST_SECONDS = 60.0  # a fault that a new process does not cure must not become a loop
TRIAL_SECONDS = 5.0  # a driver that takes longer to open is no better in a new process
URGENT_SECONDS, LEISURE_SECONDS = 5.0, 60.0  # from one trial to the next: nothing can be read, or all can
_STAMP = "_GPUTALLY_RENEWED_AT"
_TRIAL = """
import sys
from gputally.config.settings import NodeSettings
from gputally.model.clock import system_clock
from gputally.node.sources import choices
choices(NodeSettings(source=sys.argv[1]), system_clock, processes=False)[0].build().open()
"""


def may_renew() -> bool:
    """Whether the latest renewal is long enough ago."""
    try:
        at = float(os.environ.get(_STAMP, "0"))
    except ValueError:
        at = 0.0
    return not 0 <= time.time() - at < LEAST_SECONDS


def renew() -> None:
    """Execute the same command line again, in the same process id. Does not return, or raises OSError."""
    os.environ[_STAMP] = str(time.time())
    for number in (signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)  # the new process inherits this until it can listen itself
    logger.info("starting afresh")
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - our own command line


class Trial:
    """Whether a new process would get on with the driver, found out by one that does nothing else.

    After an upgrade the new library is on the disk while the old kernel module is still loaded, often until
    the next boot. A process that loaded the old library goes on metering; one started now would not.
    """

    def __init__(self, source: str) -> None:
        self._source = source
        self._process: asyncio.subprocess.Process | None = None
        self._at = -LEISURE_SECONDS

    async def passes(self, *, urgent: bool) -> bool:
        """Make a trial, if it is time for one; False if not, or if it failed."""
        now = time.monotonic()
        if now - self._at < (URGENT_SECONDS if urgent else LEISURE_SECONDS) or self._running():
            return False
        self._at = now
        null = asyncio.subprocess.DEVNULL
        isolated = ["-I"] if sys.flags.isolated else []  # as this process was started, so its successor
        try:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, *isolated, "-c", _TRIAL, self._source, stdin=null, stdout=null, stderr=null
            )
            return await asyncio.wait_for(self._process.wait(), TRIAL_SECONDS) == 0
        except TimeoutError:
            for process in self._running():
                process.kill()
        except OSError as error:
            logger.warning("no trial of the new driver: %s", error)
        return False

    def _running(self) -> list[asyncio.subprocess.Process]:
        """The latest trial, if it has not ended: inside the driver not even a kill ends it at once."""
        return [self._process] if self._process is not None and self._process.returncode is None else []
