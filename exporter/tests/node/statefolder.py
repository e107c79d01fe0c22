"""A state folder with GPUs in it, and processes of their own that use it."""

import json
import os
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import gputally
from gputally.node.counters import Context, GpuState
from gputally.node.state import StateFile
from tests.node.card import Rig
from tests.node.purse import Price

UUID = "GPU-8f6bd5a2"
PRICE = Price("EUR", "Europe/Berlin", -90_000_000, 220_000_000, (6, 22))
PACKAGE = Path(gputally.__file__).parent.parent
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - thousands of syncs, no disk needed


def ticked(rig: Rig | None = None, ticks: int = 1) -> Rig:
    """A GPU at 300 W that has been read so many times (more)."""
    rig = rig or Rig()
    for _ in range(ticks):
        hw_mj = 10**12 + rig.now.boot_ns * 3 // 10**4 // 1000
        rig.tick(energy_mj=hw_mj, utilization_ratio=1.0, pcie_transmit_bytes=hw_mj)
    return rig


def paid() -> GpuState:
    """A GPU that has used energy over midnight, at two prices of which one is below zero."""
    rig = ticked(ticks=3)
    rig.ctx = Context("boot-a", 10**9, 700.0, schedule=PRICE.schedule)
    rig.tick(30_000.0, energy_mj=10**12 + 10**9)
    rig.tick(30_000.0, energy_mj=10**12 + 2 * 10**9)
    assert rig.state.money.credit
    assert len(rig.state.money.days) > 1
    return rig.state


def save(file: StateFile, rig: Rig, **options: Any) -> None:
    file.save({UUID: rig.state}, boot_id=rig.ctx.boot_id, now=rig.now, **options)


def reopened(file: StateFile, **options: Any) -> StateFile:
    """As after a restart of the process."""
    file.close()
    return StateFile(file.folder, **{"host_id": "here", **options})


@pytest.fixture
def file(tmp_path: Path) -> Iterator[StateFile]:
    file = StateFile(tmp_path / "state", host_id="here")
    file.load(boot_id="boot-a")
    yield file
    file.close()


@pytest.fixture
def two(file: StateFile) -> tuple[StateFile, Rig, Rig]:
    """A folder with two generations, and what was saved in each."""
    older = ticked(ticks=5)
    save(file, older)
    newer = ticked(Rig(older.state, older.now, older.ctx))
    save(file, newer)
    return file, older, newer


def framed(document: object) -> bytes:
    body = json.dumps(document).encode()
    return b"%08x\n" % zlib.crc32(body) + body


PRELUDE = """
import sys, time
from pathlib import Path
from gputally.model import FastReading, Instant, Reading
from gputally.node import counters, gpustate
from gputally.node.state import StateFile, StateFolderInUse
file = StateFile(Path(sys.argv[1]), host_id="here")
now = Instant(10**13, 10**18)
ctx = counters.Context("boot-a", 10**6, 700.0)
states = {f"GPU-{n}": counters.advance(gpustate.fresh(), Reading(FastReading(energy_mj=1)), now, ctx)[0]
          for n in range(3)}
"""


def child(folder: Path, code: str) -> list[str]:
    """Run code beside a state file in a process of its own; its lines."""
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + code, str(folder)],
        env={**os.environ, "PYTHONPATH": str(PACKAGE)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()
