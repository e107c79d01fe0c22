"""`gputally run`: wraps any command and writes down whose work it was and how it ended. Needs no privileges.

The command runs as it would without us: same terminal, files, process group, signals, exit status. Metering
must never cost anybody a job: what goes wrong with the record is one line, and the command runs all the same.
"""

import contextlib
import errno
import os
import signal
from pathlib import Path

import click

from gputally.cli.runrecord import Record, clear_old
from gputally.cli.wrapping import Outcome, adopt_orphans, end_as, run_child

FOLDER = "/run/gputally/runs"
NOT_FOUND, NOT_EXECUTABLE = 127, 126  # as of every shell


@click.command(context_settings={"allow_interspersed_args": False}, options_metavar="[OPTIONS] --")
@click.option(
    "--job",
    help="Name of the job; the command's if none is given.",
    default="",
    envvar="GPUTALLY_JOB",
    show_envvar=True,
)
@click.option("--team", help="Whose work it is.", default="", envvar="GPUTALLY_TEAM", show_envvar=True)
@click.option(
    "--model", help="Which model it is about.", default="", envvar="GPUTALLY_MODEL", show_envvar=True
)
@click.option(
    "--runs.dir",
    "folder",
    help="Where records go: the agent's --jobs.runs-dir.",
    default=FOLDER,
    show_default=True,
    envvar="GPUTALLY_RUNS_DIR",
    show_envvar=True,
)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run(job: str, team: str, model: str, folder: str, command: tuple[str, ...]) -> int:
    """Run a command, and tell the agent of this machine whose work it is.

    Exit status: the command's. It ends by a signal if the command does. 126: the command cannot be executed,
    127: it is not found.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C before the command runs: no traceback
    names = {"job_name": job or os.path.basename(command[0]), "team": team, "model": model}  # noqa: PTH119 - maybe no path
    record = _begin(folder, command[0], names)
    adopt_orphans()
    try:
        outcome = run_child(
            command,
            _environment({"JOB": job, "TEAM": team, "MODEL": model}),
            meanwhile=lambda: _clear(folder),
        )
    except OSError as error:
        _say(f"{command[0]}: {error.strerror}")
        status = NOT_FOUND if error.errno == errno.ENOENT else NOT_EXECUTABLE
        outcome = Outcome(status << 8, asked_to_end=False)
    _end(record, outcome)
    return end_as(outcome)


def _begin(folder: str, command: str, names: dict[str, str]) -> Record | None:
    try:
        return Record(folder, command, names)
    except (OSError, ValueError) as error:
        _say(f"not recorded: {folder}: {getattr(error, 'strerror', None) or error}")
        return None


def _end(record: Record | None, outcome: Outcome) -> None:
    if record is None:
        return
    try:
        record.end(outcome.state, outcome.exit_code)
    except (OSError, ValueError) as error:
        _say(f"end not recorded: {error}")


def _clear(folder: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        clear_old(folder)


def _environment(told: dict[str, str]) -> dict[bytes, bytes]:
    """What we were started with, and the names that were given; so that a wrapper within needs no options."""
    given = dict(os.environb)
    with contextlib.suppress(OSError):  # Python itself sets LC_CTYPE in the C locale (PEP 538)
        if not any(v.startswith(b"LC_CTYPE=") for v in Path("/proc/self/environ").read_bytes().split(b"\0")):
            given.pop(b"LC_CTYPE", None)
    return given | {f"GPUTALLY_{key}".encode(): os.fsencode(text) for key, text in told.items() if text}


def _say(text: str) -> None:
    line = "".join(c if c.isprintable() else "_" for c in os.fsencode(text).decode(errors="replace"))
    with contextlib.suppress(OSError):
        os.write(2, f"gputally run: {line}\n".encode())  # there is no sys.stderr after `2>&-`
