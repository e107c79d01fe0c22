"""A real Prometheus on the fleet's blocks, and a stand-in for all its agents that Prometheus can scrape."""

import http.server
import os
import subprocess
import threading
import time
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import requests
import yaml

from measure import end, free_port
from month.tsdb import Encoder, Line

RETENTION = "31d"
TARGET_LABELS = frozenset({"__name__", "cluster", "instance", "job"})


@dataclass(frozen=True)
class Server:
    """A Prometheus that runs."""

    address: str
    pid: int


def version(program: str) -> str:
    """Which Prometheus this is. Raises SystemExit if there is none."""
    try:
        said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise SystemExit(f"{program}: {error}") from None
    return (said.stdout + said.stderr).split("version ")[1].split("+")[0].split(" ")[0]


@contextmanager
def prometheus(
    folder: Path, config: object, *, program: str = "prometheus", cold: bool = False
) -> Iterator[Server]:
    """Run Prometheus on folder/data until the block ends; cold: with none of its blocks in the page cache."""
    data = folder / "data"
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    if cold:
        _forget(data)
    port = free_port()
    command = [
        *(program, f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={data}"),
        *(f"--storage.tsdb.retention.time={RETENTION}", f"--web.listen-address=127.0.0.1:{port}"),
        *("--query.timeout=10m", "--log.level=warn"),
    ]
    with (folder / "prometheus.log").open("ab") as log:
        child = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        address = f"http://127.0.0.1:{port}"
        _await(address, child, folder / "prometheus.log")
        yield Server(address, child.pid)
    finally:
        end(child, 60)


def _await(address: str, child: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and child.poll() is None:
        try:
            if requests.get(f"{address}/-/ready", timeout=5).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.05)
    raise SystemExit(f"Prometheus does not start:\n{log.read_text()[-2000:]}")


def _forget(folder: Path) -> None:
    """Take files out of the page cache, so that the next reader goes to the disk."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


class Agents:
    """One address that answers for every agent of the fleet, each on a path of its own."""

    def __init__(self, encoder: Encoder, lines: Iterable[Line], now_ms: int) -> None:
        self._encoder, self._busy = encoder, threading.Lock()
        self._lines: dict[tuple[tuple[str, str], ...], list[tuple[str, Line]]] = defaultdict(list)
        for line in lines:
            if line.begin_ms + len(line.slots) * line.slot_ms > now_ms:
                target = tuple(pair for pair in line.labels if pair[0] in TARGET_LABELS - {"__name__"})
                self._lines[target].append((_head(line), _recent(line, now_ms)))

    def scrape_configs(self, port: int) -> list[object]:
        """Jobs as in prometheus.yml, every target under the name that its series have in the blocks."""
        jobs: dict[str, list[object]] = defaultdict(list)
        for pairs in self._lines:
            names = dict(pairs)
            labels = {
                "cluster": names["cluster"],
                "instance": names["instance"],
                "__metrics_path__": f"/{names['instance']}",
            }
            jobs[names["job"]].append({"targets": [f"127.0.0.1:{port}"], "labels": labels})
        return [{"job_name": job, "static_configs": targets} for job, targets in jobs.items()]

    def page(self, instance: str) -> bytes:
        """What this agent shows at this moment."""
        now_ms = int(time.time() * 1000)
        out = []
        (lines,) = (lines for names, lines in self._lines.items() if ("instance", instance) in names)
        with self._busy:
            for head, line in lines:
                gone_ms = now_ms - line.begin_ms
                if 0 <= gone_ms < len(line.slots) * line.slot_ms:
                    out.append(f"{head} {self._encoder.values(line, gone_ms, 1)[0]!r}\n")
        return "".join(out).encode()

    @contextmanager
    def serving(self) -> Iterator[int]:
        """Answer scrapes until the block ends; yields the port."""
        agents = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = agents.page(self.path.lstrip("/"))
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            server.server_close()


def _head(line: Line) -> str:
    names = ",".join(f'{name}="{value}"' for name, value in line.labels if name not in TARGET_LABELS)
    return f"{dict(line.labels)['__name__']}{{{names}}}"


def _recent(line: Line, now_ms: int) -> Line:
    """The same series without its past, whose growth becomes one slot before the rest."""
    past = (now_ms - line.begin_ms) // line.slot_ms
    if past < 2:
        return line
    before = sum(line.slots[:past]) if line.parts else line.slots[past - 1]
    begin_ms = line.begin_ms + (past - 1) * line.slot_ms
    return replace(line, begin_ms=begin_ms, slots=array("d", [before, *line.slots[past:]]))
