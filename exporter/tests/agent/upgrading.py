"""A driver that is upgraded underneath: its library is replaced, and its version is looked at."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.agent.running import Scrape
    from tests.fakenvml import FakeNvml


def version(scrape: Scrape) -> str | None:
    """Version of the driver that is read."""
    return scrape.label("gpu_driver_info", "driver_version")


def own_library(fake: FakeNvml, folder: Path) -> Path:
    """A copy of the fake driver in a folder of its own, for `LD_LIBRARY_PATH`: one that can be replaced."""
    installed = folder / "lib" / "libnvidia-ml.so.1"
    installed.parent.mkdir()
    shutil.copy(fake.library, installed)
    return installed


def install(library: Path, where: Path) -> None:
    """As a package manager does: a new file takes the old one's place; who has that open keeps it."""
    new = where.with_suffix(".dpkg-new")
    shutil.copy(library, new)
    new.replace(where)
