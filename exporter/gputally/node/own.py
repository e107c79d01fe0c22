"""The exporter's own appetite: memory, CPU time, open files, threads."""

import os

import psutil


class OwnFigures:
    """Reads /proc/self through psutil; what cannot be read is left out."""

    def __init__(self) -> None:
        self._process = psutil.Process(os.getpid())

    def __call__(self) -> dict[str, float]:
        """Values by the keys of the catalogue's process_* rows."""
        with self._process.oneshot():
            times = self._process.cpu_times()
            figures = {
                "cpu_seconds": times.user + times.system,
                "resident_bytes": float(self._process.memory_info().rss),
                "threads": float(self._process.num_threads()),
                "start_seconds": self._process.create_time(),
            }
        try:
            figures["open_fds"] = float(self._process.num_fds())
        except psutil.Error:
            return figures
        return figures
