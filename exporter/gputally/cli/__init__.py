"""Flags and environment become settings; agents are built, signalled and ended here."""

import os
import sys
from collections.abc import Sequence
from typing import ClassVar

import click

from gputally import __version__
from gputally.cli.ondemand import OnDemand

PREFIX = "GPUTALLY_"
COMMANDS = (
    "alerts",
    "bills",
    "check",
    "export-config",
    "jobs",
    "node",
    "offers",
    "plan",
    "report",
    "reservations",
    "run",
    "site",
    "tokens",
)
RUN_VARIABLES = ("GPUTALLY_JOB", "GPUTALLY_TEAM", "GPUTALLY_MODEL", "GPUTALLY_RUNS_DIR")
REPORT_VARIABLES = (
    "GPUTALLY_PROMETHEUS_URL",
    "GPUTALLY_PROMETHEUS_USER",
    "GPUTALLY_PROMETHEUS_PASSWORD",
    "GPUTALLY_PROMETHEUS_PASSWORD_FILE",
    "GPUTALLY_PROMETHEUS_CA_FILE",
    "GPUTALLY_PROMETHEUS_CERT_FILE",
    "GPUTALLY_PROMETHEUS_KEY_FILE",
    "GPUTALLY_PROMETHEUS_INSECURE",
    "GPUTALLY_TENANT",
    "GPUTALLY_TIMEOUT",
    "GPUTALLY_TIMEZONE",
)
OFFERS_VARIABLES = (
    "GPUTALLY_SITE_URL",
    "GPUTALLY_SITE_USER",
    "GPUTALLY_SITE_PASSWORD_FILE",
    "GPUTALLY_SITE_CA_FILE",
)
RESERVATIONS_VARIABLES = ("GPUTALLY_RESERVATIONS_FILE",)


class _Commands(OnDemand):
    """`node` does not carry `check` about."""

    places: ClassVar = {name: (name.replace("-", "_"), name.replace("-", "_")) for name in COMMANDS}


@click.group(cls=_Commands, no_args_is_help=False, context_settings={"max_content_width": 100})
@click.version_option(__version__, prog_name="gputally")
def gputally() -> None:
    """Meters GPUs for Prometheus: joules, busy seconds and cost that stay right."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line. Exit status: 0 stopped, 1 failed, 2 usage; an error is one line."""
    open_standard_streams()
    try:
        refuse_unknown_variables(sys.argv[1:] if arguments is None else arguments)
        status = gputally.main(args=arguments, prog_name="gputally", standalone_mode=False)
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except click.Abort:
        sys.exit(1)
    except click.ClickException as error:
        message = " ".join(told(error).split())
        click.echo(f"gputally: error: {message}", err=True)
        sys.exit(error.exit_code)
    sys.exit(status or 0)


def told(error: click.ClickException) -> str:
    """What click has to say; of a command that is missing also which there are."""
    message, context = error.format_message(), getattr(error, "ctx", None)
    if message == "Missing command." and context is not None and isinstance(context.command, click.Group):
        return f"Missing command, one of {', '.join(context.command.list_commands(context))}"
    return message


def open_standard_streams() -> None:
    """Fill descriptors 0 to 2 that we were started without.

    The next socket or file would get their numbers, and what a library prints would end up in it.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one


def refuse_unknown_variables(arguments: Sequence[str]) -> None:
    """Raise UsageError for a GPUTALLY_ variable that no flag has: a slip of the pen must not be ignored.

    Not for `run`: it stands before other people's work, which must not end for a variable of ours.
    """
    others = (*RUN_VARIABLES, *REPORT_VARIABLES, *OFFERS_VARIABLES, *RESERVATIONS_VARIABLES)
    given = sorted(name for name in os.environ if name.startswith(PREFIX) and name not in others)
    if not given or arguments[:1] == ["run"]:
        return
    import difflib  # noqa: PLC0415 - only where there is one to look up

    from gputally.cli.options import VARIABLES  # noqa: PLC0415 - as above

    known = [name[len(PREFIX) :] for name in (*VARIABLES, *others)]
    for name in given:
        if name not in VARIABLES:
            near = difflib.get_close_matches(name[len(PREFIX) :], known, n=1)
            hint = f", did you mean {PREFIX}{near[0]}?" if near else ""
            raise click.UsageError(f"unknown environment variable {name}{hint}")
