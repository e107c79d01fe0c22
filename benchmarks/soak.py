"""A day of `gputally node` in minutes: whether memory, descriptors and threads stay as they were.

    python benchmarks/soak.py [--hours 24] [--interval 1s] [--gpus 2]

A real agent with simulated GPUs and their jobs, a tariff with bands, and a state folder. Its clock leaps over
the time between two ticks (exporter/tests/load/leaping.py); ticks, state, threads, web server and deadlines
are as they are. It is scraped every 15 s of its own time, in both formats, reads its configuration anew every
hour, and clients that go wrong come and go. Prints a line for each hour, and how far the last quarter stands
above the second.
"""

import argparse
import os
import subprocess
import tempfile
import time
from pathlib import Path

from measure import ROOT, free_port  # noqa: F401 - ROOT puts the tests' folder on the path
from tests.load.day import CONFIG, Day, Hour, grown
from tests.load.leaping import leaping


def row(hour: Hour, number: int) -> None:
    """Print one hour."""
    print(
        f"| {number} | {hour.ticks:,.0f} | {hour.jobs} | {hour.series} | {hour.memory_mib:.1f} MiB |"
        f" {hour.descriptors} | {hour.threads} | {hour.real_s:.0f} s |",
        flush=True,
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hours", type=int, default=24, help="of the agent's time")
    parser.add_argument("--interval", default="1s", help="between two ticks, of the agent's time")
    parser.add_argument("--gpus", type=int, default=2)
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start\n")
    with tempfile.TemporaryDirectory() as name:
        folder, address = Path(name), ("127.0.0.1", free_port())
        (folder / "gputally.yml").write_text(CONFIG)
        command = [
            *(str(leaping(folder)), "node", "--source=simulated", f"--simulated.gpus={options.gpus}"),
            *(f"--sample.interval={options.interval}", f"--state.dir={folder / 'state'}"),
            *(f"--web.listen-address={address[0]}:{address[1]}", f"--config.file={folder / 'gputally.yml'}"),
        ]
        log = (folder / "log").open("wb")
        with log, subprocess.Popen(command, stdout=log, stderr=log) as child:
            try:
                time.sleep(3)
                day = Day(address, child.pid, child.send_signal)
                print("| hour | ticks | jobs | series | memory | fds | threads | took |")
                print("|---|---|---|---|---|---|---|---|")
                day.live(options.hours, lambda hour: row(hour, len(day.hours)))
            finally:
                child.terminate()
        lines = (folder / "log").read_text().splitlines()
    print(f"\n{day.scrapes:,} scrapes, {len(lines)} lines of log; from the second quarter to the last:")
    for what, unit in (("memory_mib", " MiB"), ("descriptors", ""), ("threads", "")):
        print(f"  {what:<12} {grown([getattr(hour, what) for hour in day.hours]):+.2f}{unit}")


if __name__ == "__main__":
    main()
