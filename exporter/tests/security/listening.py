"""`gputally` as it is, with an ear on what the interpreter does: whom it connects to, what it starts.

Python's own audit hooks tell of every connection, name that is looked up and child, whichever library makes
them. What they tell goes to a file, a JSON line each.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from gputally.site.market.http import FetchFailed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PROXIES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")

_PROGRAM = """#!{python}
import json, os, sys
if "TEST_UMASK" in os.environ:
    os.umask(int(os.environ["TEST_UMASK"], 8))
ear = os.open({file!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
def hear(event, args):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto", "subprocess.Popen", "os.exec"):
        said = args[1:] if event in ("socket.connect", "socket.sendto") else args
        os.write(ear, (json.dumps([event, json.loads(json.dumps(said, default=repr))]) + "\\n").encode())
sys.addaudithook(hear)
from gputally.cli import main
sys.exit(main())
"""


@dataclass(frozen=True)
class Ear:
    """A program to be started in the place of `gputally`, and what was heard of it."""

    program: Path
    file: Path

    def events(self, name: str) -> list[list]:
        """Arguments of all events of a kind."""
        lines = self.file.read_text().splitlines() if self.file.exists() else []
        return [arguments for event, arguments in map(json.loads, lines) if event == name]

    @property
    def reached(self) -> set[tuple[str, int]]:
        """Addresses of other programs, by TCP or UDP."""
        found = {name: self.events(name) for name in ("socket.connect", "socket.sendto")}
        addresses = [arguments[0] for each in found.values() for arguments in each]
        return {(address[0], address[1]) for address in addresses if isinstance(address, list)}

    @property
    def names(self) -> set[str]:
        """Names that were looked up, of hosts; an address is none."""
        hosts = {str(arguments[0]) for arguments in self.events("socket.getaddrinfo")}
        return {host for host in hosts if host.strip("[]").replace(".", "").isdigit() is False and host}


def listening(folder: Path) -> Ear:
    """Put the program into a folder."""
    ear = Ear(folder / "gputally-heard", folder / "heard.jsonl")
    ear.program.write_text(_PROGRAM.format(python=sys.executable, file=str(ear.file)))
    ear.program.chmod(0o755)
    return ear


def failure(ask: Callable[[], object]) -> FetchFailed:
    """Why there is no answer; fails where there is one."""
    with pytest.raises(FetchFailed) as caught:
        ask()
    return caught.value
