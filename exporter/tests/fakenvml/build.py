"""Compiles the library: any driver version, with any functions left out, once per content."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from .layout import FUNCTIONS, SOURCES, layout_checks

if TYPE_CHECKING:
    from collections.abc import Iterable

SONAME = "libnvidia-ml.so.1"
_HOOKS = ("fake_nvml_attach", "fake_nvml_build", "fake_nvml_control_size")
# No fused multiply-add: power.c and waveform.py must round alike on every machine.
_FLAGS = (
    *("-O2", "-Wall", "-Wextra", "-Werror", "-std=gnu11", "-ffp-contract=off"),
    *("-fvisibility=hidden", "-shared", "-fPIC", "-pthread", f"-Wl,-soname,{SONAME}"),
)


def _version_script(omit: frozenset[str]) -> str:
    exported = [*(name for name in FUNCTIONS if name not in omit), *_HOOKS]
    return "{ global: " + " ".join(f"{name};" for name in exported) + " local: *; };\n"


def _digest(version: str, omit: frozenset[str]) -> str:
    content = hashlib.sha256(repr((version, sorted(omit), _FLAGS, layout_checks())).encode())
    for source in sorted(SOURCES.glob("*.[ch]")):
        content.update(source.name.encode() + source.read_bytes())
    return content.hexdigest()[:16]


def build(out_dir: Path | str, version: str = "580.1", omit: Iterable[str] = ()) -> Path:
    """Returns the path of a library of that driver version, without the functions named in `omit`.

    The folder holds one subfolder per content, so a second call with the same content compiles nothing.

    Raises:
        ValueError: `omit` names a function the library does not have.
        RuntimeError: there is no C compiler, or it refused the sources.
    """
    left_out = frozenset(omit)
    if unknown := left_out - FUNCTIONS.keys():
        raise ValueError(f"no such function: {', '.join(sorted(unknown))}")
    digest = _digest(version, left_out)
    library = Path(out_dir) / digest / SONAME
    if library.exists():
        return library
    library.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=library.parent) as scratch:
        _compile(Path(scratch), version, digest, left_out)
        (Path(scratch) / SONAME).replace(library)
    return library


def _compile(scratch: Path, version: str, digest: str, omit: frozenset[str]) -> None:
    compiler = shutil.which(os.environ.get("CC", "cc")) or shutil.which("gcc")
    if compiler is None:
        raise RuntimeError("the fake NVML library needs a C compiler (Debian: apt-get install gcc libc6-dev)")
    (scratch / "exports.map").write_text(_version_script(omit))
    (scratch / "checks.c").write_text(layout_checks())
    command = [
        compiler,
        *_FLAGS,
        f"-I{SOURCES}",
        f'-DFAKE_NVML_VERSION="{version}"',
        f'-DFAKE_NVML_BUILD="{digest}"',
        f"-Wl,--version-script={scratch / 'exports.map'}",
        *map(str, sorted(SOURCES.glob("*.c"))),
        str(scratch / "checks.c"),
        "-o",
        str(scratch / SONAME),
        "-lm",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"the fake NVML library did not compile:\n{done.stderr}")
