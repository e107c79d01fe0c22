"""The fixtures of a real Slurm, for any conftest.py to import: one a module, it takes seconds to start."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.slurm.cluster import Slurm, missing
from tests.slurm.unified import unified_root

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    """A cluster of this machine alone, with four GPUs that are plain files."""
    yield from started(tmp_path_factory.mktemp("slurm"))


@pytest.fixture(scope="module")
def unified_slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    """The same on the unified cgroup hierarchy, whatever else the machine has."""
    if os.geteuid() != 0 or unified_root() is None:
        pytest.skip("cgroups can only be made by root, where the unified hierarchy is mounted for writing")
    yield from started(tmp_path_factory.mktemp("slurm"), "cgroup/v2")


def started(folder: Path, tracking: str = "") -> Iterator[Slurm]:
    """A cluster while it runs."""
    if missing():
        pytest.skip(f"Slurm is not installed here: no {', '.join(missing())} (make tools)")
    cluster = Slurm(folder, tracking)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
