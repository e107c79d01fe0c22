"""Where commands under `gputally run` leave their records."""

from pathlib import Path

import pytest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """As systemd makes it: everybody may add a file, whatever the umask of the tests is."""
    folder = tmp_path / "runs"
    folder.mkdir()
    folder.chmod(0o1777)
    return folder
