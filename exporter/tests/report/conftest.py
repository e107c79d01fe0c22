"""The world in a real Prometheus, once for all tests; and the same without what rules have recorded."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import gputally
from tests.report.scraped import lines
from tests.report.serving import Served, make_blocks
from tests.report.truth import World

RULES = Path(gputally.__file__).parents[2] / "prometheus" / "rules"


@dataclass(frozen=True)
class Scene:
    """What was, and who can be asked about it."""

    world: World
    served: Served


@pytest.fixture(scope="session")
def blocks(tmp_path_factory) -> tuple[World, Path]:
    """Two days up to now, as they were scraped."""
    world = World(int(time.time()))
    return world, make_blocks(lines(world), tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="session")
def scene(blocks, tmp_path_factory) -> Iterator[Scene]:
    """With all that the shipped rules would have recorded."""
    world, data = blocks
    mine = tmp_path_factory.mktemp("recorded") / "data"
    shutil.copytree(data, mine)
    served = Served(mine)
    try:
        for name in ("hourly", "jobs", "today"):
            served.backfill(RULES / f"{name}.yml", world.start, world.end)
    finally:
        served.stop()
    yield from serve(world, mine)


@pytest.fixture(scope="session")
def bare(blocks, tmp_path_factory) -> Iterator[Scene]:
    """Without any rule."""
    world, data = blocks
    mine = tmp_path_factory.mktemp("bare") / "data"
    shutil.copytree(data, mine)
    yield from serve(world, mine)


def serve(world: World, data: Path, rules: Path | None = None, *flags: str) -> Iterator[Scene]:
    """Until the tests are done with it."""
    served = Served(data, rules, *flags)
    try:
        yield Scene(world, served)
    finally:
        served.stop()


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch):
    for name in ("URL", "USER", "PASSWORD"):
        monkeypatch.delenv(f"GPUTALLY_PROMETHEUS_{name}", raising=False)
