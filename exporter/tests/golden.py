"""Text that was recorded: what a test makes is compared with a file that is committed.

`UPDATE_GOLDEN=1 pytest ...` writes the files anew; look at the difference before keeping them.
"""

import os
from pathlib import Path


def assert_recorded(path: Path, text: str) -> None:
    """Fails if the file says something else, or is not there."""
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert text == path.read_text()
