"""What gputally costs beside nvitop-exporter, in one run on the same fake driver: 8 GPUs x 4 processes.

    python benchmarks/footprint.py [--seconds 30]

Prints CPU without scrapes, CPU and time of scrapes, memory and driver calls; the limits stand beside them.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from measure import BIN, cpu_seconds, exporter, free_port, resident_mib, scrape, series, sleepers
from tests.fakenvml import FakeNvml, build
from tests.fakenvml.play import populate

GPUS, PROCESSES = 8, 4
ROUNDS = 3
PAUSE_S = 1.03  # so that each scrape meets a snapshot that nobody has asked for


@dataclass
class Result:
    """Medians over the rounds."""

    name: str
    idle_percent: float
    calls: float
    scrape_ms_per_1000: float
    p99_ms: float
    rss_mib: float
    series: int


def measure(name: str, command: list[str], url: str, fake: FakeNvml, seconds: float) -> Result:
    """Run one exporter and take its figures."""
    with exporter(command, url, fake.env) as pid:
        time.sleep(8)  # past the start and the first slow reads
        count = series(scrape(url))
        idle, calls, costs = [], [], []
        for _ in range(ROUNDS):
            fake.reset_calls()
            quiet, elapsed = _cpu(pid, int(seconds / PAUSE_S), lambda: None)
            calls.append(fake.calls() / GPUS / elapsed)
            idle.append(quiet / elapsed * 100)
            busy, _ = _cpu(pid, int(seconds / PAUSE_S), lambda: scrape(url))
            costs.append((busy - quiet) * 1000 / int(seconds / PAUSE_S))
        times = sorted(_timed(url) for _ in range(1000))
        return Result(
            name,
            statistics.median(idle),
            statistics.median(calls),
            statistics.median(costs) / count * 1000,
            times[989],
            resident_mib(pid),
            count,
        )


def _cpu(pid: int, times: int, act: Callable[[], object]) -> tuple[float, float]:
    """CPU and wall seconds while something is done once a snapshot; equally long whatever it is."""
    began, before = time.monotonic(), cpu_seconds(pid)
    for n in range(1, times + 1):
        time.sleep(max(0.0, began + n * PAUSE_S - time.monotonic()))
        act()
    return cpu_seconds(pid) - before, time.monotonic() - began


def _timed(url: str) -> float:
    began = time.perf_counter()
    scrape(url)
    return (time.perf_counter() - began) * 1000


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20, help="length of each of three rounds")
    seconds = parser.parse_args().seconds
    results = []
    with tempfile.TemporaryDirectory() as folder, sleepers(PROCESSES) as pids:
        library = build(Path(folder) / "lib")
        for name in ("gputally 1 s", "gputally 250 ms", "gputally 1 s, no jobs", "nvitop-exporter 1 s"):
            port = free_port()
            url = f"http://127.0.0.1:{port}/metrics"
            with FakeNvml(Path(folder) / f"{port}.control", library=library) as fake:
                populate(fake, GPUS, PROCESSES, "full", pids)
                results.append(measure(name, command(name, port, folder), url, fake, seconds))
    print(f"\n{GPUS} GPUs x {PROCESSES} processes, medians of {ROUNDS} rounds of {seconds:.0f} s\n")
    print("| exporter | series | CPU, no scrapes | calls/GPU/s | CPU/1000 series | scrape p99 | RSS |")
    print("|---|---|---|---|---|---|---|")
    for r in results:
        cost = f"{r.scrape_ms_per_1000:.2f} ms | {r.p99_ms:.1f} ms | {r.rss_mib:.1f} MiB"
        print(f"| {r.name} | {r.series} | {r.idle_percent:.2f} % | {r.calls:.1f} | {cost} |")
    print("| limit | | 1.0 % at 1 s, 2.5 % at 250 ms | 10 at 1 s | 4 ms | 10 ms | 40 MiB |")


def command(name: str, port: int, folder: str) -> list[str]:
    """The command line of one candidate."""
    if name.startswith("nvitop"):
        return [
            str(BIN / "nvitop-exporter"),
            "--bind-address",
            "127.0.0.1",
            "--port",
            str(port),
            "--interval",
            "1",
        ]
    interval = name.removeprefix("gputally ").partition(",")[0].replace(" ", "")
    jobs = ["--no-collector.jobs"] if "no jobs" in name else []
    return [
        *(str(BIN / "gputally"), "node", "--source=nvml", f"--web.listen-address=127.0.0.1:{port}"),
        *(f"--sample.interval={interval}", f"--state.dir={folder}/state-{port}"),
        *jobs,
    ]


if __name__ == "__main__":
    main()
