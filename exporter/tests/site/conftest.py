"""Site agents that end with their test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.site.declaring import DYNAMIC, put
from tests.site.running import RunningSite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def dynamic(tmp_path: Path) -> Path:
    """A configuration with a file of prices and one of carbon."""
    folder = tmp_path / "etc"
    folder.mkdir()
    file = folder / "gputally.yml"
    file.write_text(DYNAMIC)
    put(folder / "prices.csv", "0.1")
    put(folder / "carbon.csv", "200", "grams_per_kwh")
    return file


@pytest.fixture
def new_site(tmp_path: Path) -> Iterator[Callable[..., RunningSite]]:
    """Make site agents, not started yet: `new_site("--flag=value", env=...)`."""
    made: list[RunningSite] = []

    def make(*flags: str, env: dict[str, str] | None = None) -> RunningSite:
        made.append(RunningSite(tmp_path / f"site-{len(made)}", *flags, env=env))
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.fixture
def site(new_site: Callable[..., RunningSite]) -> Callable[..., RunningSite]:
    """Start a site agent; it answers HTTP on return."""

    def start(*flags: str, **more: dict[str, str]) -> RunningSite:
        return new_site(*flags, **more).start()

    return start
