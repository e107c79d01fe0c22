"""A record of `gputally run` as its writer leaves it, while the command runs and when it has ended."""

import os
from pathlib import Path

import pytest

PID, TICKS, UID = 4711, 815_000, os.geteuid()
BOOT = "5f3a91c2-0000-4000-8000-000000000001"
RUNNING = {
    "version": 1,
    "pid": PID,
    "start_ticks": TICKS,
    "boot_id": BOOT,
    "job_name": "finetune",
    "team": "nlp",
    "model": "llama-70b",
    "command": "python",
    "start_seconds": 1_790_000_000.25,
    "state": "running",
}
ENDED = RUNNING | {"state": "failed", "end_seconds": 1_790_000_060.5, "exit_code": 3}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where it stands: the reader knows it by its name."""
    return tmp_path / f"{PID}-{TICKS}.json"
