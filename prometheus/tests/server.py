"""A Prometheus that scrapes nothing: it holds what promtool made into blocks, and can be asked."""

from pathlib import Path

import requests
from scripts.stack.processes import LOOPBACK, Program, free_port


class Server:
    """One server over a folder of blocks; `rules` are evaluated, if there are any."""

    def __init__(self, folder: Path, *rules: Path) -> None:
        self.data = folder / "data"
        port = free_port()
        self.url = f"http://{LOOPBACK}:{port}"
        config = folder / "prometheus.yml"
        config.write_text(f"rule_files: [{', '.join(map(str, rules))}]\n")
        argv = [
            "prometheus",
            f"--config.file={config}",
            f"--storage.tsdb.path={self.data}",
            "--storage.tsdb.retention.time=30y",
            f"--web.listen-address={LOOPBACK}:{port}",
        ]
        self._program = Program("prometheus", argv, folder / "log", port, ready_path="/-/ready")

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._program.start()
        self._program.wait_until_ready()

    def stop(self) -> None:
        """End it; its data stay."""
        self._program.stop()

    def query(self, expression: str, time_s: float) -> dict[tuple[str, ...], float]:
        """Values at one instant, by the values of their labels, which are sorted by name."""
        found = self._ask("query", query=expression, time=time_s)
        return {_key(one["metric"]): float(one["value"][1]) for one in found}

    def instants(self, selector: str, until_s: float, range_: str) -> list[float]:
        """When the samples of all series of a selector were taken, in seconds."""
        found = self._ask("query", query=f"{selector}[{range_}]", time=until_s)
        return [float(at) for one in found for at, _ in one["values"]]

    def _ask(self, path: str, **parameters: str | float) -> list[dict]:
        answer = requests.get(f"{self.url}/api/v1/{path}", params=parameters, timeout=60).json()
        assert answer["status"] == "success", answer
        return answer["data"]["result"]


def _key(labels: dict[str, str]) -> tuple[str, ...]:
    return tuple(labels[name] for name in sorted(labels) if name != "__name__")
