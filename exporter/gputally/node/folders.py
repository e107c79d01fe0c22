"""Folders that are made where they are missing, with those above them: nobody else may put files into any."""

from pathlib import Path

_ABOVE = 0o755  # whatever the umask: who may write there could put another folder in ours' place


def make_folder(path: Path, mode: int = _ABOVE) -> None:
    """Make a folder unless it is there. Raises OSError."""
    try:
        path.mkdir(mode, exist_ok=True)
    except FileNotFoundError:
        if path.parent == path:
            raise
        make_folder(path.parent)
        path.mkdir(mode, exist_ok=True)
