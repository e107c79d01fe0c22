"""`gputally jobs`: jobs that ran elsewhere, or of which Slurm knows best, into the ledger and out."""

import click

from gputally.cli.ondemand import OnDemand

_COMMANDS = {"import": ("jobsimport", "import_"), "list": ("jobslist", "list_")}


class _Jobs(OnDemand):
    places = _COMMANDS


@click.group(cls=_Jobs, no_args_is_help=False)
def jobs() -> None:
    """Jobs that ran elsewhere: import tables of them, list them.

    `gputally report jobs --ledger` shows them beside those that were measured.
    """
