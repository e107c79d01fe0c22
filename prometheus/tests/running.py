"""`make run` as a process, for the tests that ask what it shows."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

TOP = Path(__file__).parents[2]


@dataclass
class Run:
    """One `make run` under way, and what it has printed."""

    process: subprocess.Popen[bytes]
    output: Path
    folder: Path

    @property
    def text(self) -> str:
        return self.output.read_text()

    def address(self, name: str) -> str:
        found = re.search(rf"^  {name} +(http://\S+)", self.text, re.MULTILINE)
        return found.group(1) if found else ""

    def ask(self, path: str, **parameters: str) -> Any:
        """The data of an answer of Prometheus' API."""
        url = f"{self.address('prometheus')}/api/v1/{path}"
        answer = requests.get(url, params=parameters, timeout=10).json()
        assert answer["status"] == "success", answer
        return answer["data"]

    def value(self, query: str) -> float:
        result = self.ask("query", query=query)["result"]
        return float(result[0]["value"][1]) if result else 0.0

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(30)


def start(folder: Path, *arguments: str, path: str = "", history: str = "0") -> Run:
    """`make run` in a folder; without a past, which takes its time, unless one is asked for."""
    folder.mkdir(parents=True, exist_ok=True)
    output = folder / "output"
    with output.open("wb") as stdout:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "scripts.stack",
                f"--folder={folder / 'run'}",
                f"--history={history}",
                *arguments,
            ],
            cwd=TOP,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.STDOUT,
            env=os.environ | ({"PATH": f"{path}:{os.environ['PATH']}"} if path else {}),
        )
    return Run(process, output, folder / "run")


def await_truth(condition: Callable[[], object], what: Callable[[], str], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what()
        time.sleep(0.1)
