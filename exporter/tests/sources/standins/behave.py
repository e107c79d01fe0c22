"""What both stand-ins do before they answer: leave a trace, and misbehave if told to.

STANDIN_RUNS       a file; each run adds a line with its PID and arguments
STANDIN_BEHAVIOUR  words separated by commas:
    slow=SECONDS   answer late
    hang           never answer, and end at SIGTERM
    stubborn       never answer, and ignore SIGTERM
    grandchild     start one that ignores SIGTERM, holds the pipes open and never ends; its PID goes to
                   STANDIN_RUNS with `grandchild`; then answer
    flood          print for ever
    garbage        print what is none of the program's answers
    nothing        print nothing
    exit=STATUS    print a sentence and end with that status
    cut=BYTES      answer, but for the last so many bytes
    warn           answer, then print a warning and end with status 14, as for a corrupt infoROM
    on=ARGUMENT    all of this only in runs whose first argument begins so
"""

import os
import signal
import sys
import time

HOLD = "import signal,time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"


def trace(words: str) -> None:
    """Adds a line to STANDIN_RUNS."""
    if path := os.environ.get("STANDIN_RUNS"):
        with open(path, "a", encoding="utf-8") as file:  # noqa: PTH123 - pathlib takes longer to import than all else
            file.write(f"{words}\n")


def behave(arguments: list[str]) -> dict[str, str]:
    """Does what STANDIN_BEHAVIOUR says; returns what is left to be done with the answer, `cut` and `warn`."""
    trace(f"{os.getpid()} {' '.join(arguments)}")
    told = dict(
        (*word.partition("=")[::2],) for word in os.environ.get("STANDIN_BEHAVIOUR", "").split(",") if word
    )
    if not " ".join(arguments).startswith(told.get("on", "")):
        return {}
    if "slow" in told:
        time.sleep(float(told["slow"]))
    if "grandchild" in told:
        pid = os.posix_spawn(sys.executable, [sys.executable, "-IS", "-c", HOLD], os.environ)
        trace(f"grandchild {pid}")
    if "stubborn" in told:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if "hang" in told or "stubborn" in told:
        trace("ready")
        time.sleep(600)
    while "flood" in told:
        os.write(1, b"x" * 65536)
    if "garbage" in told:
        os.write(1, b"Segmentation fault \x00\xff<gpu>{[,,\n")
    if "exit" in told:
        os.write(2, b"this is why\n")
    if {"garbage", "nothing", "exit"} & told.keys():
        sys.exit(int(told.get("exit", 0)))
    return told
