"""The record of one `gputally run`: name, fields and bounds, for its writer and its reader. Imports nothing.

A record is a JSON object of at most MOST_BYTES in UTF-8. The name says which process the wrapper was, so that
the agent can open the record of an ancestor without listing a folder in which anybody may put anything.
"""

VERSION = 1
MOST_BYTES = 4096
LONGEST = 128  # characters of each text
SUFFIX = ".json"
TEXTS = ("job_name", "team", "model", "command")  # command: its name, never its arguments
FIELDS = ("version", "pid", "start_ticks", "boot_id", *TEXTS, "start_seconds", "state")
END_FIELDS = ("end_seconds", "exit_code")  # there unless it runs
RUNNING = "running"
ENDED = ("completed", "failed", "cancelled")  # cancelled: by SIGINT or SIGTERM


def file_name(pid: int, start_ticks: int) -> str:
    """Name of the record of this very process; the ticks tell it from a later one with its PID."""
    return f"{pid}-{start_ticks}{SUFFIX}"


def process_of(name: str) -> tuple[int, int] | None:
    """PID and start ticks for the name of a record; None for any other name."""
    pid, dash, ticks = name.removesuffix(SUFFIX).partition("-")
    if not (dash and len(name) <= 40 and pid.isascii() and ticks.isascii()):
        return None
    if not (pid.isdecimal() and ticks.isdecimal()) or file_name(int(pid), int(ticks)) != name:
        return None
    return int(pid), int(ticks)


def job_id(pid: int, start_ticks: int, boot_id: str) -> str:
    """Name the job, by what the kernel says alone: no user can choose the id of somebody else's.

    PID and start tick never come twice in a boot; the boot's first digits tell boots apart.
    """
    return f"run-{pid}-{start_ticks}-{boot_id[:4]}"
