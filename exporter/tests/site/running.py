"""A real `gputally site` in a process of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.agent.running import RunningAgent

if TYPE_CHECKING:
    from pathlib import Path


class RunningSite(RunningAgent):
    """As the node's; it keeps no state."""

    command = "site"
    defaults = {"--web.listen-address": "127.0.0.1:0", "--log.level": "info"}  # noqa: RUF012 - not changed

    def __init__(self, folder: Path, *flags: str, env: dict[str, str] | None = None) -> None:
        super().__init__(folder, "--state.dir=", *flags, env=env)
