"""A page of a list on standard output; what has to be known beside CSV goes to standard error."""

import sys

import click

from gputally.tables.listed import FORMS, Listed
from gputally.tables.text import printable


def write(command: str, listed: Listed, form: str, page: int, limit: int) -> None:
    """Print a page. Raises click.UsageError where there is none."""
    try:
        turned = listed.turned(page, limit)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    click.echo(FORMS[form](turned))
    if form == "csv":
        for note in turned.notes:
            click.echo(f"gputally {command}: note: {printable(note)}", err=True)
    sys.stdout.flush()
