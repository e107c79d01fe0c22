"""Folders as the kubelet makes them for the logs of pods."""

import os
from pathlib import Path

import pytest

UID = "ea8b9161-bee3-4bf6-a4e3-65fe256e3771"
OTHER = "2681cb7f-daa4-4620-bb60-1d449709181c"
STATIC = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the kubelet would make them."""
    path = tmp_path / "pods"
    path.mkdir()
    return path


def make(folder: Path, namespace: str, name: str, uid: str, started: float | None = None) -> Path:
    """A pod's folder, with the log of a container in it as the kubelet has it."""
    path = folder / f"{namespace}_{name}_{uid}"
    (path / "main").mkdir(parents=True)
    (path / "main/0.log").write_text("2026-01-01T00:00:00Z stdout F hello\n")
    if started is not None:
        os.utime(path, (started, started))
    return path
