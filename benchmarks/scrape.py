"""What the page of one machine takes: series, bytes on the wire, and bytes a sample in Prometheus' store.

    python benchmarks/scrape.py [--gpus 8]

A real agent with simulated GPUs is scraped every second until its chunks are full, as they are in the long
run; bytes a sample are without the index, which is paid once a series. What many machines take: curve.py.
"""

import argparse
import json
import os
import shutil
import tempfile
import time
import urllib.request
from pathlib import Path

import yaml

import push
from measure import BIN, free_port, scrape, series

CHUNK_SAMPLES = 120  # after which Prometheus begins another one


def snapshot_bytes(url: str, folder: Path) -> float:
    """Bytes a sample, with everything written as a block."""
    request = urllib.request.Request(f"{url}/api/v1/admin/tsdb/snapshot", method="POST")  # noqa: S310 - ours
    with urllib.request.urlopen(request, timeout=300) as answer:  # noqa: S310 - as above
        name = json.load(answer)["data"]["name"]
    blocks = [path.parent for path in (folder / "data" / "snapshots" / name).glob("*/meta.json")]
    samples = sum(json.loads((block / "meta.json").read_text())["stats"]["numSamples"] for block in blocks)
    size = sum(path.stat().st_size for block in blocks for path in (block / "chunks").iterdir())
    return size / max(samples, 1)


def bytes_per_sample(agent: str) -> float:
    """Of a Prometheus that begins empty and scrapes until its chunks are full."""
    folder, address = Path(tempfile.mkdtemp(prefix="scrape-")), f"127.0.0.1:{free_port()}"
    jobs = [{"job_name": "gputally-node", "static_configs": [{"targets": [agent]}]}]
    config = {"global": {"scrape_interval": "1s"}, "scrape_configs": jobs}
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    argv = [
        shutil.which("prometheus") or "prometheus",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
        "--web.enable-admin-api",
    ]
    try:
        with push.running(argv, f"http://{address}/-/ready"):
            time.sleep(CHUNK_SAMPLES * 1.25)
            return snapshot_bytes(f"http://{address}", folder)
    finally:
        shutil.rmtree(folder)


def on_the_wire(url: str) -> int:
    """Bytes of a scrape as it is compressed."""
    request = urllib.request.Request(url, headers={"Accept-Encoding": "gzip"})  # noqa: S310 - ours
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - as above
        return len(answer.read())


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--gpus", type=int, default=8, help="simulated GPUs of the machine")
    options = parser.parse_args()
    agent = f"127.0.0.1:{free_port()}"
    url = f"http://{agent}/metrics"
    flags = ["--source=simulated", f"--simulated.gpus={options.gpus}", f"--web.listen-address={agent}"]
    with push.running([str(BIN / "gputally"), "node", *flags], url):
        time.sleep(20)  # until jobs run on the simulated GPUs
        body = scrape(url)
        print(
            f"{os.cpu_count()} cores; a machine has {options.gpus} GPUs, {series(body)} series,"
            f" {len(body):,} bytes, {on_the_wire(url):,} of them on the wire"
        )
        print(f"bytes a sample: {bytes_per_sample(agent):.2f}")


if __name__ == "__main__":
    main()
