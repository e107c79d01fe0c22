"""gputally beside every peer that PyPI or Debian offers, on the same fake driver: the table of README.

    python benchmarks/peers.py [--quick] [--only NAME ...]

Installs the peers into .tools/peers (a virtual environment each; Debian packages are unpacked, not
installed), then runs all of them at once, each with a driver of its own: 8 GPUs x 4 processes, square and
sine power, scraped every 15 s as Prometheus would; then the faults, one after the other. Some 6 minutes,
--quick under 2 with three of the faults and coarser figures. CPU is process time, so that a busy machine
spoils it little; the load is printed beside.
"""

import argparse
import logging
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Barrier

from measure import sleepers
from sidebyside import cost, faults, table
from sidebyside.bench import GPUS, PROCESSES, Bench
from sidebyside.install import install
from sidebyside.peers import PEERS, Peer
from tests.fakenvml import build


@dataclass(frozen=True)
class Plan:
    """How long everything takes."""

    scrapes: int
    interval_s: float
    pace: faults.Pace
    faults: Sequence[str]


FULL = Plan(8, 15.0, faults.Pace(every_s=5, during_s=15, healing_s=20, still_s=5, limit_s=6), faults.NAMES)
QUICK = Plan(5, 5.0, faults.Pace(every_s=2, during_s=6, healing_s=6, still_s=3, limit_s=3), faults.NAMES[:3])


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--quick", action="store_true", help="under 2 minutes: three of the faults, all coarser"
    )
    parser.add_argument("--only", action="append", default=[], help="peers whose name begins so")
    asked = parser.parse_args()
    logging.disable()
    plan = QUICK if asked.quick else FULL
    chosen = [peer for peer in PEERS if peer.name.startswith(tuple(asked.only) or "")]
    absent = install(chosen)
    began, load = time.monotonic(), os.getloadavg()[0]
    rows = run([peer for peer in chosen if peer.name not in absent], plan)
    rows += [table.Row(peer, absent[peer.name], {}) for peer in chosen if peer.name in absent]
    took_s = time.monotonic() - began
    print(table.heading(GPUS, PROCESSES, plan.scrapes * plan.interval_s, plan.interval_s))
    print(f"{took_s:.0f} s; load of the machine {load:.1f} before, {os.getloadavg()[0]:.1f} after,", end=" ")
    print(f"{os.cpu_count()} cores\n")
    print(table.costs(rows))
    print(table.survival(rows))
    print(table.notes(rows))
    print(table.short(rows))


def run(peers: Sequence[Peer], plan: Plan) -> list[table.Row]:
    """All peers at once; what is measured begins when the last has started."""
    with tempfile.TemporaryDirectory() as folder, sleepers(PROCESSES) as pids:
        library = build(Path(folder) / "lib")
        barrier, benches = Barrier(len(peers)), []
        for number, peer in enumerate(peers):
            own = Path(folder) / str(number)
            own.mkdir()
            benches.append(Bench(peer, own, library, pids))
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: give_up(benches, pids, folder))
        with ThreadPoolExecutor(len(peers)) as pool:
            return list(pool.map(lambda bench: observe(bench, plan, barrier), benches))


def give_up(benches: Sequence[Bench], pids: Sequence[int], folder: str) -> None:
    """End everything that was started, and this program, without waiting for its threads."""
    for bench in benches:
        bench.running.stop()
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)


def observe(bench: Bench, plan: Plan, barrier: Barrier) -> table.Row:
    """Everything about one peer."""
    try:
        try:
            why = bench.start()
        finally:
            barrier.wait()  # whatever happened: the others wait for all
        if why:
            return table.Row(bench.peer, why, {})
        measured = cost.measure(bench, plan.scrapes, plan.interval_s)
        return table.Row(bench.peer, measured, faults.Trials(bench, plan.pace).run(plan.faults))
    except TimeoutError as error:
        return table.Row(bench.peer, str(error), {})
    finally:
        print(f"{bench.peer.name} is done", file=sys.stderr)
        bench.close()


if __name__ == "__main__":
    main()
