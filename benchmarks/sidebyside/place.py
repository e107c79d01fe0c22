"""Where a peer runs: its folder, port, driver and environment."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from measure import BIN, free_port
from tests.fakenvml import FakeNvml

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / ".tools" / "peers"  # git ignores it
DEBS = TOOLS / "deb"


@dataclass(frozen=True)
class Place:
    """One peer's own corner of the machine.

    Args:
        folder: for configuration, state and output.
        port: where the page of figures is to be.
        fake: its driver.
        gpus: how many it has.
    """

    folder: Path
    port: int
    fake: FakeNvml
    gpus: int

    def write(self, name: str, text: str) -> Path:
        """A file of configuration."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def env(self, **more: str) -> dict[str, str]:
        """The environment: the fake driver, the stand-in for nvidia-smi, and no settings of this user."""
        script = Path(__file__).with_name("nvidia_smi.py")
        smi = self.write("bin/nvidia-smi", f'#!/bin/sh\nexec {sys.executable} {script} "$@"\n')
        smi.chmod(0o755)
        drivers = f"{self.fake.env['LD_LIBRARY_PATH']}:{DEBS / 'usr/lib/x86_64-linux-gnu'}"
        own = {"PATH": f"{smi.parent}:{os.environ['PATH']}", "HOME": str(self.folder), "LANG": "C.UTF-8"}
        return {**own, **self.fake.env, "LD_LIBRARY_PATH": drivers, **more}


def program(peer: str, name: str) -> str:
    """A program of a peer's virtual environment."""
    return str(TOOLS / "venv" / peer / "bin" / name)


def gateway(port: int) -> list[str]:
    """A Pushgateway for a peer that pushes: part of what it takes to be scraped."""
    return [str(DEBS / "usr/bin/prometheus-pushgateway"), f"--web.listen-address=127.0.0.1:{port}"]


__all__ = ["BIN", "DEBS", "ROOT", "TOOLS", "Place", "free_port", "gateway", "program"]
