"""Replaces this process by a fresh one of itself: after a driver upgrade, or when memory has grown too far.

Within one process NVML cannot be loaded anew: `nvmlShutdown` never unloads the library. The state is saved
before, so that the counters of the new process go on where the old ones ended.
"""

import logging
import os
import signal
import sys
import time

logger = logging.getLogger(__name__)
LEAST_SECONDS = 60.0  # a fault that a new process does not cure must not become a loop
_STAMP = "_GPUTALLY_RENEWED_AT"


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
