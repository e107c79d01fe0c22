"""What a release is made of, built from the files that would be committed, and a place to install it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import gputally

REPOSITORY = Path(gputally.__file__).parents[2]


@dataclass(frozen=True)
class Release:
    """Both files, and the programs of an environment that has the wheel installed."""

    sdist: Path
    wheel: Path
    programs: Path


def committed() -> list[str]:
    """Every file that is or would be committed, as a path below the repository."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    return sorted(name for name in listed.stdout.split("\0") if name and (REPOSITORY / name).is_file())


def outside() -> dict[str, str]:
    """An environment without what would lead to the checkout."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("GPUTALLY_", "PYTHON"))}


def build(folder: Path) -> Release:
    """Build an sdist, of it a wheel, and install that. No network: dependencies are this environment's."""
    sources = folder / "sources"
    for name in committed():
        (sources / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(REPOSITORY / name, sources / name, follow_symlinks=False)
    command = [
        sys.executable,
        "-m",
        "build",
        "--no-isolation",
        "--outdir",
        str(folder / "dist"),
        str(sources),
    ]
    run(command, folder)
    (sdist,) = (folder / "dist").glob("*.tar.gz")
    (wheel,) = (folder / "dist").glob("*.whl")
    return Release(sdist, wheel, install(wheel, folder / "venv"))


def install(wheel: Path, place: Path) -> Path:
    """An environment with the wheel, beside this one's packages but for the checkout. Gives its programs."""
    run([sys.executable, "-m", "venv", "--without-pip", str(place)], place.parent)
    python = place / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check", "install"]
    run([*pip, "--quiet", "--no-deps", "--no-index", str(wheel)], place.parent)
    # What is on the path and not a site folder brings its packages, and no links of editable installations.
    (packages,) = place.glob("lib/python*/site-packages")
    (packages / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python.parent


def run(command: list[str], folder: Path) -> str:
    """Standard output of a command that succeeds."""
    done = subprocess.run(command, cwd=folder, env=outside(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout
