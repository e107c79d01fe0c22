"""A page of a list on standard output; what has to be known beside CSV goes to standard error."""

import sys
from collections.abc import Sequence
from typing import TypeVar

import click

from gputally.tables.listed import FORMS, Listed
from gputally.tables.paged import Paged
from gputally.tables.text import printable

P = TypeVar("P", bound=Paged)


def write(command: str, listed: Listed, form: str, page: int, limit: int) -> None:
    """Print a page. Raises click.UsageError where there is none."""
    turned = turn(listed, page, limit)
    tell(command, FORMS[form](turned), form, turned.notes)


def turn(rows: P, page: int, limit: int) -> P:
    """One page of them. Raises click.UsageError where there is none."""
    try:
        return rows.turned(page, limit)
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def tell(command: str, text: str, form: str, notes: Sequence[str]) -> None:
    """Print the text of a page; only CSV has no room for its notes."""
    click.echo(text)
    if form == "csv":
        for note in notes:
            click.echo(f"gputally {command}: note: {printable(note)}", err=True)
    sys.stdout.flush()
