"""How many nodes can push to one central machine: vmagent, vmauth and VictoriaMetrics on this one.

    python benchmarks/push.py [--nodes 1,50,100,200,400] [--seconds 120] [--gpus 8]

Nodes are simulated by one light server, which gives the page of one real agent with simulated GPUs to
whoever asks; one vmagent scrapes it as many targets with names of their own, every 15 s, and pushes. What
vmagent costs is therefore what all nodes pay together; vmauth and the store are what the centre pays. Prints
a table and how each cost grows with the number of nodes.
"""

import argparse
import asyncio
import gzip
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from measure import BIN, cpu_seconds, free_port, resident_mib, scrape, series

INTERVAL_S = 15
WARM_UP_S = 45  # every target is scraped three times: series are made, caches filled
HOLDS_BYTES = 4 << 20  # more than this waiting at the end: it does not keep up
HEAD = """\
| nodes | series | samples/s | cores: vmagent | vmauth | store | MiB: vmauth | store | bytes/sample | holds |
|---|---|---|---|---|---|---|---|---|---|"""
COST_OF = ("vmagent", "vmauth", "victoria-metrics")


@dataclass(frozen=True)
class Step:
    """What one number of nodes came to."""

    nodes: int
    series: float
    rows_per_s: float
    cores: dict[str, float]
    mib: dict[str, float]
    bytes_per_row: float
    waiting_bytes: float
    failed: float

    @property
    def holds(self) -> bool:
        """Whether everything that was scraped arrived, and everything was scraped."""
        return self.waiting_bytes < HOLDS_BYTES and self.failed == 0


def serve(port: int, agent: str) -> None:
    """The page of the agent for everybody, anew every second; runs until it is ended."""
    import tornado.httpserver  # noqa: PLC0415 - in the server's process alone
    import tornado.web  # noqa: PLC0415 - as above

    class Page(tornado.web.RequestHandler):
        taken_s, body = 0.0, b""

        def get(self) -> None:
            """Whoever asks gets the same bytes."""
            if time.monotonic() - Page.taken_s > 1:
                Page.taken_s, Page.body = time.monotonic(), gzip.compress(scrape(agent), 1)
            self.set_header("Content-Type", "text/plain; version=0.0.4")
            self.set_header("Content-Encoding", "gzip")
            self.finish(Page.body)

    async def run() -> None:
        application = tornado.web.Application([(r"/metrics", Page)], log_function=lambda _: None)
        tornado.httpserver.HTTPServer(application).listen(port, "127.0.0.1", backlog=4096)
        await asyncio.Event().wait()

    asyncio.run(run())


@contextmanager
def running(argv: Sequence[str], url: str) -> Iterator[int]:
    """A program until the block ends; yields its PID once it answers."""
    child = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30
        while not _answers(url):
            if child.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{argv[0]} does not answer on {url}")
            time.sleep(0.1)
        yield child.pid
    finally:
        child.terminate()
        child.wait()


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=2).close()  # noqa: S310 - our own address
    except OSError:
        return False
    return True


def figure(url: str, name: str, only: str = "") -> float:
    """The sum of a program's own metric, of those series whose labels have `only` in them."""
    rows = (line.rpartition(" ") for line in scrape(f"{url}/metrics").decode().splitlines())
    return sum(float(value) for head, _, value in rows if head.partition("{")[0] == name and only in head)


class Centre:
    """Store, vmauth and vmagent in one folder; `pids` and `urls` by program."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder, self._stack = folder, stack
        self.urls = {name: f"http://127.0.0.1:{free_port()}" for name in COST_OF}
        self.pids: dict[str, int] = {}

    def start(self, page: str, nodes: int) -> None:
        """Start everything; the last begins to push."""
        self._run("victoria-metrics", f"-storageDataPath={self._folder / 'store'}", "-retentionPeriod=1y")
        self._run("vmauth", f"-auth.config={self._auth()}")
        targets = {"targets": [page], "labels": {"cluster": "bench"}}
        groups = [targets | {"labels": targets["labels"] | {"instance": f"node-{n}"}} for n in range(nodes)]
        config = self._folder / "vmagent.yml"
        job = {"job_name": "gputally-node", "scrape_interval": f"{INTERVAL_S}s", "static_configs": groups}
        config.write_text(yaml.safe_dump({"scrape_configs": [job]}))
        self._run(
            "vmagent",
            f"-promscrape.config={config}",
            f"-remoteWrite.url={self.urls['vmauth']}/api/v1/write",
            f"-remoteWrite.bearerTokenFile={self._folder / 'site-bench.token'}",
            f"-remoteWrite.tmpDataPath={self._folder / 'buffer'}",
            "-remoteWrite.maxDiskUsagePerURL=2GB",
        )

    def _auth(self) -> Path:
        """Tokens as an operator makes them."""
        holders, auth = self._folder / "holders.yml", self._folder / "vmauth.yml"
        declared = {"store": self.urls["victoria-metrics"], "sites": {"bench": {}}}
        holders.write_text(yaml.safe_dump(declared))
        files = ["--holders.file", holders, "--auth.file", auth, "--output", self._folder]
        subprocess.run([BIN / "gputally", "tokens", "apply", *files], check=True, stdout=subprocess.DEVNULL)
        return auth

    def _run(self, name: str, *flags: str) -> None:
        url = self.urls[name]
        argv = [name, f"-httpListenAddr={url.removeprefix('http://')}", *flags]
        self.pids[name] = self._stack.enter_context(running(argv, f"{url}/health"))


def measure(page: str, nodes: int, seconds: float) -> Step:
    """One number of nodes on a centre of its own, which begins empty."""
    folder = Path(tempfile.mkdtemp(prefix="push-"))
    try:
        with ExitStack() as stack:
            centre = Centre(folder, stack)
            centre.start(page, nodes)
            time.sleep(WARM_UP_S)
            return _taken(centre, nodes, seconds)
    finally:
        shutil.rmtree(folder)


def _taken(centre: Centre, nodes: int, seconds: float) -> Step:
    store, agent = centre.urls["victoria-metrics"], centre.urls["vmagent"]

    def rows() -> float:
        return figure(store, "vm_rows_inserted_total", "promremotewrite")

    def failed() -> float:
        return figure(agent, "vm_promscrape_scrapes_failed_total")

    began, rows_before, failed_before = time.monotonic(), rows(), failed()
    used = {name: cpu_seconds(pid) for name, pid in centre.pids.items()}
    time.sleep(seconds)
    elapsed, gained = time.monotonic() - began, rows() - rows_before
    cores = {name: (cpu_seconds(pid) - used[name]) / elapsed for name, pid in centre.pids.items()}
    scrape(f"{store}/internal/force_flush")
    scrape(f"{store}/internal/force_merge")
    time.sleep(3)  # merges run by themselves
    size = figure(store, "vm_data_size_bytes", "storage/")
    return Step(
        nodes,
        figure(store, "vm_cache_entries", "storage/hour_metric_ids"),
        gained / elapsed,
        cores,
        {name: resident_mib(pid) for name, pid in centre.pids.items()},
        size / max(figure(store, "vm_rows", "storage/"), 1),
        figure(agent, "vmagent_remotewrite_pending_data_bytes"),
        failed() - failed_before,
    )


def growth(steps: Sequence[Step]) -> None:
    """Print how costs grow: a line through all numbers of nodes that hold."""
    held = [step for step in steps if step.holds]
    if len(held) < 2:
        return
    nodes = [step.nodes for step in held]
    print("\nper node, by a line through what holds, and what stands before it:")
    for name in COST_OF:
        cpu = statistics.linear_regression(nodes, [step.cores[name] for step in held])
        memory = statistics.linear_regression(nodes, [step.mib[name] for step in held])
        print(
            f"  {name:<17} {cpu.slope * 1000:6.3f} cores per 1,000 nodes + {cpu.intercept:.3f},"
            f" {memory.slope * 1000:8.1f} MiB per 1,000 nodes + {memory.intercept:.0f}"
        )


def main() -> None:
    """Measure step by step, until a number does not hold."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nodes", default="1,50,100,200,400,800", help="numbers of nodes, rising")
    parser.add_argument("--seconds", type=float, default=120, help="of each measurement")
    parser.add_argument("--gpus", type=int, default=8, help="simulated GPUs of each node")
    parser.add_argument("--serve", nargs=2, metavar=("PORT", "URL"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(int(options.serve[0]), options.serve[1])
        return
    agent, page = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    flags = ["--source=simulated", f"--simulated.gpus={options.gpus}", f"--web.listen-address={agent}"]
    mirror = [
        sys.executable,
        str(Path(__file__)),
        "--serve",
        page.rpartition(":")[2],
        f"http://{agent}/metrics",
    ]
    with (
        running([str(BIN / "gputally"), "node", *flags], f"http://{agent}/metrics"),
        running(mirror, f"http://{page}/metrics"),
    ):
        time.sleep(20)  # until jobs run on the simulated GPUs
        count = series(scrape(f"http://{page}/metrics"))
        print(
            f"{os.cpu_count()} cores; a node has {options.gpus} GPUs, {count} series, every {INTERVAL_S} s\n"
        )
        print(HEAD)
        steps = []
        for nodes in map(int, options.nodes.split(",")):
            steps.append(measure(page, nodes, options.seconds))
            row(steps[-1])
            if not steps[-1].holds:
                break
    growth(steps)


def row(step: Step) -> None:
    """Print one line of the table."""
    cores, mib = step.cores, step.mib
    lost = f"no: {step.waiting_bytes / 2**20:.1f} MiB wait, {step.failed:.0f} scrapes failed"
    print(
        f"| {step.nodes:,} | {step.series:,.0f} | {step.rows_per_s:,.0f} | {cores['vmagent']:.3f} |"
        f" {cores['vmauth']:.3f} | {cores['victoria-metrics']:.3f} | {mib['vmauth']:.0f} |"
        f" {mib['victoria-metrics']:.0f} | {step.bytes_per_row:.2f} |"
        f" {'yes' if step.holds else lost} |",
        flush=True,
    )


if __name__ == "__main__":
    main()
