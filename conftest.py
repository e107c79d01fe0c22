"""How `pytest -n auto` shares the tests out.

A file stays in one process, for its fixtures are programs that take seconds to start; and so do all
files that start a whole stack, for it takes the well-known ports.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from xdist.scheduler import LoadScopeScheduling

if TYPE_CHECKING:
    from xdist.remote import Producer

TOP = Path(__file__).parent
WHOLE_STACKS = (
    "prometheus/tests/test_stack.py",
    "prometheus/tests/test_history.py",
    "grafana/tests/test_live.py",
    "grafana/tests/test_faults.py",
)


class ByFile(LoadScopeScheduling):
    """Hands out a file at a time, in the order of collection."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::", 1)[0]
        return "whole stacks" if file in WHOLE_STACKS else file


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """First what takes longest in one process; the rest as it was collected."""
    items.sort(key=lambda item: item.path.relative_to(TOP).as_posix() not in WHOLE_STACKS)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFile:
    """Not as xdist orders them, by number of tests: the slow files have few."""
    config.option.loadscopereorder = False
    return ByFile(config, log)


def pytest_xdist_auto_num_workers() -> int:
    """Two for a core, as most tests wait for programs; with eight the longest file decides."""
    return min(8, 2 * len(os.sched_getaffinity(0)))
