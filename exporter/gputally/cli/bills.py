"""`gputally bills`: what GPUs elsewhere have cost, by the bills of those who rent them out."""

import click

from gputally.cli.ondemand import OnDemand

_COMMANDS = {
    "import": ("billsimport", "import_"),
    "list": ("billslist", "list_"),
    "export": ("billsexport", "export"),
    "imports": ("billsforget", "imports"),
    "forget": ("billsforget", "forget"),
}


class _Bills(OnDemand):
    places = _COMMANDS


@click.group(cls=_Bills, no_args_is_help=False)
def bills() -> None:
    """Import bills of clouds into a ledger, and ask it what they say.

    The ledger is the file of --ledger, or ledger.file of --config.file. Exit status: 0 done, 1 a fault, 2 a
    file or a flag that cannot be used.
    """
