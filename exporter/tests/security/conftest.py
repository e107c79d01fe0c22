"""Agents of both kinds, with an ear on them, that end with their test."""

from __future__ import annotations

import urllib.request
from typing import TYPE_CHECKING

import pytest

from tests.agent.running import RunningAgent
from tests.security.listening import PROXIES, Ear, listening
from tests.site.running import RunningSite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def ear(tmp_path: Path) -> Ear:
    """What the agents of a test do to the outside."""
    return listening(tmp_path)


@pytest.fixture
def heard(tmp_path: Path, ear: Ear) -> Iterator[Callable[..., RunningAgent]]:
    """Start agents: `heard("site", "--flag=value", env=...)`; they answer HTTP on return."""
    made: list[RunningAgent] = []

    def start(
        command: str, *flags: str, env: dict[str, str] | None = None, serving: bool = True
    ) -> RunningAgent:
        folder = tmp_path / f"agent-{len(made)}"
        kinds: dict[str, type[RunningAgent]] = {"node": RunningAgent, "site": RunningSite}
        made.append(kinds[command](folder, *flags, env=env))
        made[-1].program = ear.program
        return made[-1].start(serving=serving)

    yield start
    for one in made:
        one.stop()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only those that a test sets; and none stays the way of other tests."""
    for name in (*PROXIES, "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(urllib.request, "_opener", None)


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    file = tmp_path / "provider.key"
    file.write_text("canary-key-8c1f0d3e")
    file.chmod(0o600)
    return file
