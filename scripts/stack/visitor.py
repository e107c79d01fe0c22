"""A program that pretends to use a GPU: it registers with the simulation, waits, and ends well."""

import argparse
import os
import signal
import sys
import time
from pathlib import Path


def main() -> int:
    """Be listed on the GPU for so many seconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="the agent's --simulated.visitors-dir")
    parser.add_argument("gpu", type=int, help="index of the GPU")
    parser.add_argument("seconds", type=float)
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    sign = arguments.folder / str(os.getpid())
    try:
        sign.write_text(f"{arguments.gpu}\n")
        time.sleep(arguments.seconds)
    finally:
        sign.unlink(missing_ok=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
