"""Flags and environment become settings; agents are built, signalled and ended here."""

import os
import sys
from collections.abc import Sequence

import click

from gputally import __version__
from gputally.cli.node import node

PREFIX = "GPUTALLY_"


@click.group(context_settings={"auto_envvar_prefix": None, "max_content_width": 100})
@click.version_option(__version__, prog_name="gputally")
def gputally() -> None:
    """Meters GPUs for Prometheus: joules, busy seconds and cost that stay right."""


gputally.add_command(node)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line. Exit status: 0 stopped, 1 failed, 2 usage; an error is one line."""
    try:
        _refuse_unknown_variables()
        status = gputally.main(args=arguments, prog_name="gputally", standalone_mode=False)
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except click.Abort:
        sys.exit(1)
    except click.ClickException as error:
        message = " ".join(error.format_message().split())
        click.echo(f"gputally: error: {message}", err=True)
        sys.exit(error.exit_code)
    sys.exit(status or 0)


def _refuse_unknown_variables() -> None:
    known = {
        variable
        for command in gputally.commands.values()
        for option in command.params
        for variable in ([option.envvar] if isinstance(option.envvar, str) else option.envvar or [])
    }
    for variable in sorted(os.environ):
        if variable.startswith(PREFIX) and variable not in known:
            raise click.UsageError(f"unknown environment variable {variable}")
