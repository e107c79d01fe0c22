"""A real Prometheus over blocks that promtool has made."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

import requests

from tests.agent.scraping import free_ports

# Long blocks instead of many: promtool reads everything once for each of them.
CREATE = ("promtool", "tsdb", "create-blocks-from", "--max-block-duration=162h")


def make_blocks(lines: Iterable[str], folder: Path) -> Path:
    """A folder of data out of OpenMetrics."""
    text, data = folder / "samples.txt", folder / "data"
    with text.open("w") as file:
        for line in lines:
            file.write(line + "\n")
    _run([*CREATE, "--quiet", "openmetrics", str(text), str(data)])
    text.unlink()
    return data


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


class Served:
    """Prometheus over a folder of data, which scrapes nothing."""

    def __init__(self, data: Path, rules: Path | None = None, *flags: str) -> None:
        self.data = data
        self.url = f"http://127.0.0.1:{free_ports(1)[0]}"
        config = data.parent / "prometheus.yml"
        config.write_text(f"rule_files: [{rules}]\n" if rules is not None else "{}\n")
        self._log = data.parent / "log"
        command = [
            "prometheus",
            f"--config.file={config}",
            f"--storage.tsdb.path={data}",
            "--storage.tsdb.retention.time=10y",
            f"--web.listen-address={self.url.removeprefix('http://')}",
            *flags,
        ]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        self._await()

    def backfill(self, rules: Path, start: int, end: int) -> None:
        """What the rules would have recorded, as the manual says."""
        # promtool gives a rule up when its first block of two hours ends before the first evaluation.
        times = [f"--start={start - start % 7200}", f"--end={end}"]
        _run([*CREATE, "rules", f"--url={self.url}", *times, f"--output-dir={self.data}", str(rules)])

    def query(self, expression: str, at: float) -> list[dict[str, str]]:
        answer = requests.get(
            f"{self.url}/api/v1/query", params={"query": expression, "time": str(at)}, timeout=30
        ).json()
        assert answer["status"] == "success", answer
        return [{**series["metric"], "value": series["value"][1]} for series in answer["data"]["result"]]

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(30)

    def _await(self) -> None:
        deadline = time.monotonic() + 30
        while True:
            try:
                if requests.get(f"{self.url}/-/ready", timeout=5).status_code == 200:
                    return
            except requests.ConnectionError:
                pass
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.05)
