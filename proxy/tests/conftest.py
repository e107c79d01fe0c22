"""The real nginx on the shipped files: only ports, folders and the addresses of the upstreams are others."""

import os
import re
import shutil
import signal
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
import trustme
from proxy.tests.grafana import Upstream
from scripts.stack.processes import LOOPBACK, Program, StackError, free_port

FILES = Path(__file__).parents[1]
NAME = "gpus.example.org"
NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin:/sbin") or "nginx"
PORTS = {"grafana": 3000, "prometheus": 9090, "alertmanager": 9093}  # as upstreams-host.conf has them


class Nginx(Program):
    """Ready as soon as its plain port redirects."""

    def is_ready(self) -> bool:
        """Whether it answers now."""
        try:
            answer = requests.get(f"{self.url}/", allow_redirects=False, timeout=2)
        except requests.RequestException:
            return False
        return answer.status_code == 308


class Proxy:
    """The proxy in a folder of its own, and how to ask it."""

    def __init__(self, folder: Path, authority: trustme.CA) -> None:
        self.folder = folder
        self.authority = authority
        self.ports = {name: free_port() for name in ("http", "https", *PORTS)}
        self.authority.cert_pem.write_to_path(folder / "ca.pem")
        self.certify()
        self.write()
        argv = [NGINX, "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(folder / "nginx.conf")]
        log = folder / "nginx.log"
        self.program = Nginx("nginx", [*argv, "-g", "daemon off;"], log, port=self.ports["http"])
        self.check = [*argv, "-t"]

    def certify(self) -> None:
        """A new certificate, where nginx looks for it."""
        made = self.authority.issue_cert(NAME, "localhost", LOOPBACK)
        tls = self.folder / "tls"
        tls.mkdir(exist_ok=True)
        (tls / "certificate.pem").write_bytes(b"".join(blob.bytes() for blob in made.cert_chain_pems))
        made.private_key_pem.write_to_path(tls / "key.pem")

    def write(self, upstreams: str = "upstreams-host.conf") -> None:
        """The shipped files with the paths and ports of this run."""
        main = (FILES / "nginx.conf").read_text().replace("/var/cache/nginx/", f"{self.folder}/")
        main = main.replace("upstreams-compose.conf", upstreams).replace(
            "worker_processes auto", "worker_processes 1"
        )
        main = main.replace("/dev/stdout", f"{self.folder}/access.log").replace(
            "/dev/stderr", f"{self.folder}/error.log"
        )
        if os.geteuid() == 0:  # whose workers would else be somebody who may not read a folder of pytest's
            main = f"user root;\n{main}"
        (self.folder / "nginx.conf").write_text(main)
        server = self._moved((FILES / "gputally.conf").read_text())
        server = re.sub(r"\blisten 80;", f"listen {LOOPBACK}:{self.ports['http']};", server)
        server = re.sub(r"\blisten 443 ", f"listen {LOOPBACK}:{self.ports['https']} ", server)
        (self.folder / "gputally.conf").write_text(server)
        text = (FILES / upstreams).read_text()
        for name, port in PORTS.items():
            text = re.sub(rf":{port};", f":{self.ports[name]};", text)
        (self.folder / upstreams).write_text(text)

    def enable(self, name: str) -> None:
        """An optional part, put where its first lines say."""
        enabled = self.folder / "proxy" / "enabled"
        enabled.mkdir(parents=True, exist_ok=True)
        (enabled / name).write_text(self._moved((FILES / "optional" / name).read_text()))

    def _moved(self, text: str) -> str:
        return text.replace("/etc/gputally/", f"{self.folder}/")

    def start(self) -> None:
        """Check the files as a person would, then serve."""
        done = subprocess.run(self.check, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "[warn]" not in done.stderr, done.stderr
        self.program.start()
        self.program.wait_until_ready(20)

    def reload(self) -> None:
        """As `nginx -s reload` does it."""
        os.kill(int((self.folder / "nginx.pid").read_text()), signal.SIGHUP)

    def url(self, path: str, scheme: str = "https") -> str:
        """Where a client finds it."""
        return f"{scheme}://{LOOPBACK}:{self.ports[scheme]}{path}"

    def ask(self, path: str, method: str = "GET", **more: object) -> requests.Response:
        """One request by HTTPS on a connection of its own, by a client that trusts the authority."""
        headers = {"Connection": "close"} | dict(more.pop("headers", {}))  # type: ignore[call-overload]
        return requests.request(
            method, self.url(path), verify=str(self.folder / "ca.pem"), timeout=20, headers=headers, **more
        )

    def until(self, condition: Callable[[], bool], what: str, within_s: float = 30.0) -> None:
        """Poll under a deadline."""
        deadline = time.monotonic() + within_s
        while not condition():
            assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
            time.sleep(0.05)

    def context(self) -> ssl.SSLContext:
        """Of a client that trusts the authority."""
        context = ssl.create_default_context(cafile=str(self.folder / "ca.pem"))
        context.check_hostname = True
        return context


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """A certificate authority that nobody else trusts."""
    return trustme.CA()


def _serve(folder: Path, authority: trustme.CA, *optional: str) -> Iterator[Proxy]:
    made = Proxy(folder, authority)
    for name in optional:
        made.enable(name)
    try:
        made.start()
        yield made
    except StackError as error:
        raise AssertionError(f"{error}\n{(folder / 'error.log').read_text()}") from error
    finally:
        made.program.stop()


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory, authority: trustme.CA) -> Iterator[Proxy]:
    """The proxy with nothing behind it."""
    yield from _serve(tmp_path_factory.mktemp("proxy"), authority)


@pytest.fixture
def grafana(proxy: Proxy) -> Iterator[Upstream]:
    """What stands behind it."""
    with Upstream(proxy.ports["grafana"]) as upstream:
        yield upstream


@pytest.fixture
def bare(tmp_path: Path, authority: trustme.CA) -> Iterator[Proxy]:
    """A proxy that is not started yet."""
    made = Proxy(tmp_path, authority)
    yield made
    made.program.stop()
