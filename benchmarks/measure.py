"""Starting an exporter on the fake driver, and reading what it costs from /proc."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "exporter"), str(ROOT)]
BIN = Path(sys.executable).parent
# Who is told to end has programs to end first.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextmanager
def sleepers(count: int) -> Iterator[list[int]]:
    """Processes that do nothing, to stand for programs on a GPU: each a job of its own."""
    children = [subprocess.Popen(["sleep", "3600"], start_new_session=True) for _ in range(count)]
    try:
        yield [child.pid for child in children]
    finally:
        for child in children:
            child.kill()
            child.wait()


@contextmanager
def exporter(command: Sequence[str], url: str, env: Mapping[str, str]) -> Iterator[int]:
    """Run an exporter until the block ends; yields its PID once it answers."""
    child = subprocess.Popen(
        command, env={**os.environ, **env}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait(url, child)
        yield child.pid
    finally:
        end(child, 5)


def end(child: "subprocess.Popen[bytes]", seconds: float) -> None:
    """Ask a program to end; one that has not done so by then is killed."""
    child.send_signal(signal.SIGTERM)
    try:
        child.wait(seconds)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _wait(url: str, child: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if child.poll() is not None:
            raise SystemExit(f"{child.args} ended with {child.returncode}")
        try:
            if "gpu" in scrape(url).decode():
                return
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f"{url} does not answer")


def scrape(url: str) -> bytes:
    """One scrape as Prometheus does it, compressed on the wire."""
    request = urllib.request.Request(url, headers={"Accept-Encoding": "gzip"})  # noqa: S310 - our own address
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - our own address
        body: bytes = answer.read()
        if answer.headers.get("Content-Encoding") == "gzip":
            import gzip  # noqa: PLC0415 - only where asked for

            return gzip.decompress(body)
        return body


def cpu_seconds(pid: int) -> float:
    """CPU time of a process, threads that have ended included, to the nanosecond."""
    # The kernel's clock id of that process: clock_getcpuclockid(3).
    return time.clock_gettime(((~pid) << 3) | 2)


def resident_mib(pid: int) -> float:
    """Resident memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def series(text: bytes) -> int:
    """How many samples a scrape holds."""
    return sum(1 for line in text.splitlines() if line and not line.startswith(b"#"))
