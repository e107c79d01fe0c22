"""Puts the peers where git does not look: a virtual environment each, Debian packages unpacked."""

import subprocess
import sys
from collections.abc import Sequence

from .peers import Peer
from .place import DEBS, TOOLS


def missing(peer: Peer) -> str:
    """Why a peer cannot be started as things are; empty if it can."""
    try:
        if peer.pip:
            _environment(peer)
        if peer.debs:
            _unpack(peer)
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", b"") or str(error).encode()
        lines = said.decode(errors="replace").strip().splitlines()
        return f"could not be installed: {lines[-1] if lines else error}"
    return ""


def _environment(peer: Peer) -> None:
    folder = TOOLS / "venv" / peer.venv
    done = folder / "installed.txt"
    if done.exists() and done.read_text().split() == list(peer.pip):
        return
    print(f"installing {' '.join(peer.pip)}", file=sys.stderr)
    _run(sys.executable, "-m", "venv", "--clear", str(folder))
    _run(str(folder / "bin/pip"), "install", "--quiet", "--disable-pip-version-check", *peer.pip)
    done.write_text(" ".join(peer.pip))


def _unpack(peer: Peer) -> None:
    DEBS.mkdir(parents=True, exist_ok=True)
    for package in peer.debs:
        done = DEBS / f".{package}"
        if not done.exists():
            print(f"unpacking {package}", file=sys.stderr)
            archives = TOOLS / "debs"
            archives.mkdir(exist_ok=True)
            _run("apt-get", "download", "-qq", package, cwd=str(archives))
            (archive,) = archives.glob(f"{package}_*.deb")
            _run("dpkg", "-x", str(archive), str(DEBS))
            done.touch()


def _run(*command: str, cwd: str | None = None) -> None:
    subprocess.run(command, check=True, capture_output=True, cwd=cwd)


def install(peers: Sequence[Peer]) -> dict[str, str]:
    """Install peers; what could not be, by name, and why."""
    found = {peer.name: missing(peer) for peer in peers}
    return {name: why for name, why in found.items() if why}
