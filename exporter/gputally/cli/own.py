"""The exporter's own appetite: memory, CPU time, open files, threads."""

import os
from contextlib import suppress

import psutil


class OwnFigures:
    """Reads /proc/self through psutil; what cannot be read is left out, and metering goes on."""

    def __init__(self) -> None:
        self._process: psutil.Process | None = None

    def __call__(self) -> dict[str, float]:
        """Values by the keys of the catalogue's process_* rows."""
        figures: dict[str, float] = {}
        with suppress(psutil.Error, OSError):  # no /proc here, or no descriptor left to read it
            process = self._process = self._process or psutil.Process(os.getpid())
            with process.oneshot():
                times = process.cpu_times()
                figures["cpu_seconds"] = times.user + times.system
                figures["resident_bytes"] = float(process.memory_info().rss)
                figures["threads"] = float(process.num_threads())
                figures["start_seconds"] = process.create_time()
            figures["open_fds"] = float(process.num_fds())
        return figures
