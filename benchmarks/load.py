"""What an honest scraper sees of `gputally node` while others do their worst, beside the same without them.

    python benchmarks/load.py [--seconds 6] [--tls]

A real agent with eight simulated GPUs. Crowds come from processes and addresses of their own, 25 clients to
an address, but scrapers each from its own, and come again a second after they were turned away. The honest
one behaves as Prometheus does and scrapes four times a second. Prints times, failures, how often it had to
connect anew, and the most that the agent had of memory, descriptors and threads. "starved" is the part of the
time in which the server could have gone on and others had the CPU: the machine's, not the agent's.
"""

import argparse
import json
import os
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import trustme

from measure import BIN, ROOT, free_port  # noqa: F401 - ROOT puts the tests' folder on the path
from tests.load.crowds import Crowd, addresses
from tests.load.honest import Appetite, Honest

COLUMNS = [
    "beside the honest one",
    "scrapes",
    "failed",
    "anew",
    "p50",
    "p95",
    "slowest",
    "memory",
    "fds",
    "threads",
    "CPU",
    "starved",
]
SITUATIONS: tuple[tuple[str, tuple[tuple[str, int], ...], bool | None], ...] = (
    ("nobody else", (), None),
    ("500 idle connections", (("idle", 500),), None),
    ("500 slow ones, a byte every half second", (("drip", 500),), None),
    ("200 that ask and do not read", (("unread", 200),), None),
    ("50 scrapers at once, every second", (("scrape", 50),), None),
    ("50 headers of a MiB at once, again and again", (("giant", 50),), None),
    ("500 TLS handshakes that stall", (("handshake", 500),), True),
    (
        "all of it at once",
        (("idle", 250), ("drip", 250), ("unread", 100), ("scrape", 50), ("giant", 25), ("handshake", 250)),
        True,
    ),
)


@contextmanager
def agent(folder: Path, *, tls: bool) -> Iterator[tuple[tuple[str, int], int, ssl.SSLContext | None]]:
    """A running agent: address, PID, and who trusts it."""
    address, flags, context = ("127.0.0.1", free_port()), [], None
    if tls:
        authority = trustme.CA()
        leaf = authority.issue_cert("127.0.0.1")
        web = {
            "cert": b"".join(blob.bytes() for blob in leaf.cert_chain_pems).decode(),
            "key": leaf.private_key_pem.bytes().decode(),
        }
        file = folder / "web.yml"
        file.write_text(json.dumps({"tls_server_config": web}))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        authority.configure_trust(context)
        flags = [f"--web.config.file={file}"]
    command = [
        *(str(BIN / "gputally"), "node", "--source=simulated", "--simulated.gpus=8"),
        *(f"--web.listen-address={address[0]}:{address[1]}", f"--state.dir={folder / 'state'}", *flags),
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
        try:
            _wait(Honest(address, context, pace_s=0.1))
            yield address, child.pid, context
        finally:
            child.terminate()


def _wait(honest: Honest) -> None:
    deadline = time.monotonic() + 30
    with honest:
        while len(honest.seconds) < 10:
            if time.monotonic() > deadline:
                raise SystemExit(f"no answers: {honest.failures[-1:]}")
            time.sleep(0.1)


def measure(name: str, crowds: tuple[tuple[str, int], ...], *, tls: bool, seconds: float) -> None:
    """One line of the table."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        address, pid, context = stack.enter_context(agent(Path(folder), tls=tls))
        loose = []
        for kind, count in crowds:
            crowd = Crowd(kind, address, count, addresses=addresses(kind, count), tls=tls)
            loose.append(stack.enter_context(crowd))
        with Appetite(pid) as most, Honest(address, context) as honest:
            time.sleep(seconds)
        cells = [
            name + (", TLS" if tls else ""),
            f"{len(honest.seconds)}",
            f"{len(honest.failures)}",
            f"{honest.reconnected}",
            f"{honest.quantile_ms(0.5):.1f} ms",
            f"{honest.quantile_ms(0.95):.1f} ms",
            f"{honest.quantile_ms(1):.1f} ms",
            f"{most.memory_mib:.1f} MiB",
            f"{most.descriptors}",
            f"{most.threads}",
            f"{100 * most.cpu_share:.0f} %",
            f"{100 * most.starved_share:.0f} %",
        ]
        print(f"| {' | '.join(cells)} |", flush=True)
        for failure in sorted(set(honest.failures)):
            print(f"  failed: {failure}", file=sys.stderr)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=6, help="of each situation")
    parser.add_argument("--tls", action="store_true", help="TLS in every situation")
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start\n")
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    for name, crowds, tls in SITUATIONS:
        measure(name, crowds, tls=options.tls or bool(tls), seconds=options.seconds)


if __name__ == "__main__":
    main()
