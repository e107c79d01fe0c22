"""Sets up a fake driver for any NVML program and prints how to use it.

eval "$(python exporter/tests/fakenvml/play.py --gpus 8 --processes 4 --dir DIR)"; nvitop-exporter
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import sys
from pathlib import Path

if __package__ in (None, ""):  # run as a script
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.fakenvml import FakeNvml, Link, Process, Rate, Sine, Square, build
from tests.fakenvml.profiles import PROFILES


def live_pids(wanted: int) -> list[int]:
    """PIDs of programs that run, since a reader looks them up; made-up ones when there are too few."""
    found = []
    for entry in Path("/proc").glob("[1-9]*"):
        with contextlib.suppress(OSError):  # it may end meanwhile
            if entry.name not in ("1", str(os.getpid())) and (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
    return (sorted(found) + list(range(3_000_000, 3_000_000 + wanted)))[:wanted]


def populate(fake: FakeNvml, gpus: int, processes: int, profile: str, pids: list[int]) -> None:
    """Adds busy GPUs, each with the same number of processes."""
    for slot in range(gpus):
        wave = Square(120, 620, 20, 0.7) if slot % 2 else Sine(400, 200, 30)
        gpu = fake.add_gpu(profile, power=wave)
        gpu.set(
            gpu_percent=80,
            memory_percent=35,
            memory_used=(1 + processes) << 30,
            pcie_transmit_bytes=Rate(0, 2e9),
            pcie_receive_bytes=Rate(0, 5e9),
        )
        if profile in ("full", "h100", "a100"):
            gpu.set_links([Link(transmit_kib=Rate(0, 4e6), receive_kib=Rate(0, 4e6))] * 18)
        share = 80 // processes if processes else 0
        gpu.set_processes(Process(pid, 1 << 30, sm=share, memory=share // 2) for pid in pids)


def main() -> None:
    """Builds the library and the control file, and prints export lines for a shell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--gpus", type=int, default=2)
    parser.add_argument("--processes", type=int, default=2, help="on each GPU")
    parser.add_argument("--pid", type=int, action="append", help="a process to list instead of any live one")
    parser.add_argument("--profile", choices=sorted(PROFILES), default="full")
    parser.add_argument("--driver-version", default="580.1")
    parser.add_argument("--dir", type=Path, required=True, help="where the library and the control file go")
    asked = parser.parse_args()
    asked.dir.mkdir(parents=True, exist_ok=True)
    control = asked.dir / "control"
    control.unlink(missing_ok=True)
    fake = FakeNvml(control, library=build(asked.dir, version=asked.driver_version))
    populate(fake, asked.gpus, asked.processes, asked.profile, asked.pid or live_pids(asked.processes))
    for name, value in fake.env.items():
        print(f"export {name}={shlex.quote(value)}")  # noqa: T201 - the shell evaluates it


if __name__ == "__main__":
    main()
