"""Runs of jobs from a ledger, with what may be wrong with it said as the command line says it."""

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from gputally.cli.ledgerflags import reading
from gputally.model.elsewhere import Run
from gputally.site.ledger.jobs import between


def runs_between(
    file: Path, from_s: int, until_s: int, only: Iterable[tuple[str, Sequence[str]]] = ()
) -> list[Run]:
    """Runs that were there in a time. Raises click.UsageError for what is no ledger, else ClickException."""
    with reading(file) as ledger:
        try:
            return list(between(ledger, from_s, until_s, only))
        except sqlite3.Error as error:
            raise click.ClickException(f"{file}: {error}") from None
