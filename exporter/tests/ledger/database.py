"""Scrapes become blocks of a real Prometheus, which is then asked.

They are written down as OpenMetrics with the time of the scrape, a file for each of Prometheus' blocks of two
hours, since promtool reads a file once for every block that it makes.
"""

from __future__ import annotations

import json
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from typing import TextIO

BLOCK_MS = 2 * 3_600_000
START_S = 60.0
FOREVER = "100y"
Labels = dict[str, str]


class Recorder:
    """Takes down what a Prometheus would have got."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[int, TextIO] = {}
        folder.mkdir()

    def take(self, lines: Iterable[str], at_ms: int) -> None:
        """One scrape: `name{labels} value`, a line each."""
        number = at_ms // BLOCK_MS
        file = self._files.get(number)
        if file is None:
            file = self._files[number] = (self._folder / f"{number}.om").open("w")
        at = f" {at_ms // 1000}.{at_ms % 1000:03}\n"
        file.writelines([line + at for line in lines])

    def blocks(self, data: Path) -> None:
        """Turn all of it into blocks."""
        for number, file in sorted(self._files.items()):
            file.write("# EOF\n")
            file.close()
            path = self._folder / f"{number}.om"
            command = ["promtool", "tsdb", "create-blocks-from", "openmetrics", "-q", str(path), str(data)]
            subprocess.run(command, check=True, capture_output=True)
            path.unlink()


class Prometheus:
    """A real one that scrapes nobody."""

    def __init__(self, folder: Path, data: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            self._address = f"127.0.0.1:{listening.getsockname()[1]}"
        config, self._log = folder / "prometheus.yml", folder / "prometheus.log"
        config.write_text("global: {}\n")
        command = [
            "prometheus",
            f"--config.file={config}",
            f"--storage.tsdb.path={data}",
            f"--storage.tsdb.retention.time={FOREVER}",
            f"--web.listen-address={self._address}",
            "--query.lookback-delta=5m",
        ]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise

    def _wait(self) -> None:
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            assert self._process.poll() is None, self._log.read_text()
            try:
                self._get("/-/ready")
            except OSError:
                time.sleep(0.1)
            else:
                return
        raise AssertionError(self._log.read_text())

    def ask(self, query: str, at_s: float) -> list[tuple[Labels, float]]:
        """Labels and values at a Unix time."""
        found = self._api("query", query=query, time=f"{at_s:.3f}")
        return [(one["metric"], float(one["value"][1])) for one in found]

    def number(self, query: str, at_s: float) -> float:
        """The one value of a query; 0 where there is none."""
        found = self.ask(query, at_s)
        assert len(found) <= 1, (query, found)
        return found[0][1] if found else 0.0

    def by(self, label: str, query: str, at_s: float) -> dict[str, float]:
        """Values by one label."""
        found = self.ask(query, at_s)
        values = {labels[label]: value for labels, value in found}
        assert len(values) == len(found), (query, found)
        return values

    def each(self, query: str, from_s: float, until_s: float, step_s: int) -> list[float]:
        """The values that a rule would have recorded: one for every step, the first left out."""
        found = self._api(
            "query_range", query=query, start=f"{from_s + step_s:.3f}", end=f"{until_s:.3f}", step=str(step_s)
        )
        assert len(found) <= 1, (query, len(found))
        return [float(value) for one in found for _, value in one["values"]]

    def _api(self, path: str, **parameters: str) -> Any:
        answer = json.loads(self._get(f"/api/v1/{path}?{urllib.parse.urlencode(parameters)}"))
        assert answer["status"] == "success", answer
        return answer["data"]["result"]

    def _get(self, path: str) -> bytes:
        with urllib.request.urlopen(f"http://{self._address}{path}", timeout=60) as answer:
            return bytes(answer.read())

    def stop(self) -> None:
        """End it; the blocks are of no use any more."""
        self._process.kill()
        self._process.wait()
