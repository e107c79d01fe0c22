"""Agents that run on the fake driver and end with their test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.agent.running import RunningAgent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.fakenvml import FakeNvml


@pytest.fixture
def new_agent(fake_nvml: FakeNvml, tmp_path: Path) -> Iterator[Callable[..., RunningAgent]]:
    """Make agents on the fake driver, not started yet: `new_agent("--flag=value", env=..., folder=...)`."""
    made: list[RunningAgent] = []

    def make(*flags: str, env: dict[str, str] | None = None, folder: Path | None = None) -> RunningAgent:
        folder = folder or tmp_path / f"agent-{len(made)}"
        made.append(RunningAgent(folder, *flags, env={**fake_nvml.env, **(env or {})}))
        return made[-1]

    yield make
    fake_nvml.release()
    for one in made:
        one.stop()


@pytest.fixture
def agent(new_agent: Callable[..., RunningAgent]) -> Callable[..., RunningAgent]:
    """Start an agent on the fake driver: `agent("--sample.interval=1s")`; it answers HTTP on return."""

    def start(*flags: str, serving: bool = True, **more: object) -> RunningAgent:
        return new_agent(*flags, **more).start(serving=serving)

    return start
