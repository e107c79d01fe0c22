"""The fixtures of the fake driver, for any conftest.py to import."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .build import build
from .control import FakeNvml

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def fake_nvml_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library with everything in it, compiled once a session."""
    return build(tmp_path_factory.mktemp("fake-nvml"))


@pytest.fixture
def fake_nvml(fake_nvml_library: Path, tmp_path: Path) -> Iterator[FakeNvml]:
    """A driver without GPUs yet, on the real clock; not yet loaded in any process."""
    with FakeNvml(tmp_path / "fake-nvml.control", library=fake_nvml_library) as fake:
        yield fake
