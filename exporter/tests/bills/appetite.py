"""An import of bills in a process of its own that says how much memory it had."""

from __future__ import annotations

import sys

# By wait4 a process has had the memory of whoever started it: so it is asked what it had itself.
_MEASURED = """
import sys
from gputally.cli import main
try:
    main(sys.argv[1:])
finally:
    with open("/proc/self/status") as status:
        print(next(line.split()[1] for line in status if line.startswith("VmHWM")), file=sys.stderr)
"""


def import_command(*arguments: str) -> list[str]:
    """`gputally bills import` into `ledger.sqlite`; its standard error is the most KiB that it had."""
    return [sys.executable, "-c", _MEASURED, "bills", "import", "--ledger=ledger.sqlite", *arguments]
