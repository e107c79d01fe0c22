"""Whether a file with a secret is open to everybody: worth a warning, no reason to refuse."""

import stat
from pathlib import Path

_OTHERS = 0o007
ADVICE = "expected mode 0640 or stricter"


def open_to_all(path: Path) -> bool:
    """Whether every user of the machine may do something with it; a file that is not there is closed."""
    try:
        return bool(stat.S_IMODE(path.stat().st_mode) & _OTHERS)
    except OSError:  # replaced this very moment; whoever needs it will look again
        return False
