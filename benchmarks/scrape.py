"""What one Prometheus costs that scrapes many machines and evaluates the shipped rules and alerts.

    python benchmarks/scrape.py [--nodes 25,60,125] [--seconds 75] [--gpus 8]

Machines are simulated as in push.py: one light server gives the page of one real agent to whoever asks, and
Prometheus scrapes it under many names every 15 s. Prints series, samples, cores, memory of the first minutes,
the slowest group of rules, and how they grow. Bytes a sample are those of one machine that is scraped every
second until its chunks are full, as they are in the long run; without the index, which is paid once a series.
"""

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

import push
from measure import BIN, ROOT, cpu_seconds, free_port, resident_mib, scrape, series

WARM_UP_S = 75  # rules of every minute have been evaluated once
HEAD = """\
| machines | GPUs | series | samples/s | cores | MiB | scrape | slowest rules, of interval |
|---|---|---|---|---|---|---|---|"""
CHUNK_SAMPLES = 120  # after which Prometheus begins another one


@dataclass(frozen=True)
class Step:
    """What one number of machines came to."""

    nodes: int
    gpus: int
    series: float
    samples_per_s: float
    cores: float
    mib: float
    scrape_ms: float
    rules: str
    up: float

    @property
    def holds(self) -> bool:
        """Whether every machine was scraped."""
        return self.up == self.nodes


def configuration(page: str, nodes: int, interval_s: int = push.INTERVAL_S) -> str:
    """The shipped rules and alerts, and so many targets that are all the same page."""
    groups = [
        {"targets": [page], "labels": {"cluster": "bench", "instance": f"node-{n}"}} for n in range(nodes)
    ]
    folder = ROOT / "prometheus"
    return yaml.safe_dump(
        {
            "global": {"scrape_interval": f"{interval_s}s", "evaluation_interval": "15s"},
            "rule_files": [f"{folder}/rules/*.yml", f"{folder}/alerts/*.yml"],
            "scrape_configs": [{"job_name": "gputally-node", "static_configs": groups}],
        }
    )


def ask(url: str, query: str) -> float:
    """One number, from Prometheus itself."""
    quoted = urllib.parse.quote(query)
    answer: Any = json.loads(scrape(f"{url}/api/v1/query?query={quoted}"))
    found = answer["data"]["result"]
    return float(found[0]["value"][1]) if found else 0.0


def slowest_rules(url: str) -> str:
    """The group that takes the largest part of its interval, by its latest evaluation."""
    groups = json.loads(scrape(f"{url}/api/v1/rules"))["data"]["groups"]
    share, name = max((group["evaluationTime"] / group["interval"], group["name"]) for group in groups)
    return f"{share:.1%} {name}"


def snapshot_bytes(url: str, folder: Path) -> float:
    """Bytes a sample, with everything written as a block; without the index, which is paid once a series."""
    request = urllib.request.Request(f"{url}/api/v1/admin/tsdb/snapshot", method="POST")  # noqa: S310 - ours
    with urllib.request.urlopen(request, timeout=300) as answer:  # noqa: S310 - as above
        name = json.load(answer)["data"]["name"]
    blocks = [path.parent for path in (folder / "data" / "snapshots" / name).glob("*/meta.json")]
    samples = sum(json.loads((block / "meta.json").read_text())["stats"]["numSamples"] for block in blocks)
    size = sum(path.stat().st_size for block in blocks for path in (block / "chunks").iterdir())
    return size / max(samples, 1)


@contextmanager
def prometheus(page: str, nodes: int, interval_s: int = push.INTERVAL_S) -> Iterator[tuple[str, int, Path]]:
    """A Prometheus that begins empty: its address, PID and folder."""
    folder = Path(tempfile.mkdtemp(prefix="scrape-"))
    address = f"127.0.0.1:{free_port()}"
    (folder / "prometheus.yml").write_text(configuration(page, nodes, interval_s))
    argv = [
        shutil.which("prometheus") or "prometheus",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
        "--web.enable-admin-api",
    ]
    try:
        with push.running(argv, f"http://{address}/-/ready") as pid:
            yield f"http://{address}", pid, folder
    finally:
        shutil.rmtree(folder)


def bytes_per_sample(page: str) -> float:
    """Of one machine, with full chunks."""
    with prometheus(page, 1, interval_s=1) as (url, _, folder):
        time.sleep(CHUNK_SAMPLES * 1.25)
        return snapshot_bytes(url, folder)


def measure(page: str, nodes: int, gpus: int, seconds: float) -> Step:
    """One number of machines."""
    with prometheus(page, nodes) as (url, pid, _):
        time.sleep(WARM_UP_S)
        began, used, taken = time.monotonic(), cpu_seconds(pid), appended(url)
        time.sleep(seconds)
        elapsed = time.monotonic() - began
        cores, rate = (cpu_seconds(pid) - used) / elapsed, (appended(url) - taken) / elapsed
        return Step(
            nodes,
            nodes * gpus,
            push.figure(url, "prometheus_tsdb_head_series"),
            rate,
            cores,
            resident_mib(pid),
            1000 * ask(url, "quantile(0.5, scrape_duration_seconds)"),
            slowest_rules(url),
            ask(url, "sum(up)"),
        )


def appended(url: str) -> float:
    """Samples that Prometheus has taken in, its rules' own among them."""
    return push.figure(url, "prometheus_tsdb_head_samples_appended_total")


def row(step: Step) -> None:
    """Print one line of the table."""
    lost = "" if step.holds else f" (only {step.up:.0f} up)"
    print(
        f"| {step.nodes:,}{lost} | {step.gpus:,} | {step.series:,.0f} | {step.samples_per_s:,.0f} |"
        f" {step.cores:.3f} | {step.mib:.0f} | {step.scrape_ms:.0f} ms |"
        f" {step.rules} |",
        flush=True,
    )


def growth(steps: Sequence[Step]) -> None:
    """Print a line through all numbers that hold, for a thousand GPUs."""
    held = [step for step in steps if step.holds]
    if len(held) < 2:
        return
    gpus = [step.gpus for step in held]
    print("\nper 1,000 GPUs, by a line through what holds, and what stands before it:")
    for name, unit, values in (
        ("series", "", [step.series for step in held]),
        ("cores", "", [step.cores for step in held]),
        ("memory", " MiB", [step.mib for step in held]),
    ):
        line = statistics.linear_regression(gpus, values)
        print(f"  {name:<7} {line.slope * 1000:,.3f}{unit} + {line.intercept:,.3f}{unit}")


def main() -> None:
    """Measure step by step, until a number does not hold."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nodes", default="25,60,125", help="numbers of machines, rising")
    parser.add_argument("--seconds", type=float, default=75, help="of each measurement")
    parser.add_argument("--gpus", type=int, default=8, help="simulated GPUs of each machine")
    options = parser.parse_args()
    agent, page = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    flags = ["--source=simulated", f"--simulated.gpus={options.gpus}", f"--web.listen-address={agent}"]
    serve = ["--serve", page.rpartition(":")[2], f"http://{agent}/metrics"]
    with (
        push.running([str(BIN / "gputally"), "node", *flags], f"http://{agent}/metrics"),
        push.running([sys.executable, push.__file__, *serve], f"http://{page}/metrics"),
    ):
        time.sleep(20)  # until jobs run on the simulated GPUs
        body = scrape(f"http://{agent}/metrics")
        with urllib.request.urlopen(f"http://{page}/metrics", timeout=10) as answer:
            packed = len(answer.read())
        print(
            f"{os.cpu_count()} cores; a machine has {options.gpus} GPUs, {series(body)} series,"
            f" {len(body):,} bytes, {packed:,} of them on the wire, every {push.INTERVAL_S} s\n"
        )
        print(f"bytes a sample: {bytes_per_sample(page):.2f}\n")
        print(HEAD)
        steps = []
        for nodes in map(int, options.nodes.split(",")):
            steps.append(measure(page, nodes, options.gpus, options.seconds))
            row(steps[-1])
            if not steps[-1].holds:
                break
    growth(steps)


if __name__ == "__main__":
    main()
