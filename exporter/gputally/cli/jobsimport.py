"""`gputally jobs import`: tables of jobs into the ledger, each file whole or not at all."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from gputally.cli.jobflags import IMPORTED, LEDGER, Ways, ways
from gputally.cli.jobwords import FORMS
from gputally.cli.ledgerflags import one_line
from gputally.cli.shapeflags import given
from gputally.model.clock import NS_PER_SECOND, system_clock
from gputally.site.ledger.jobfiles import HalfFile, JobFile, opened
from gputally.site.ledger.jobs import Imported, Origin, put
from gputally.site.ledger.jobwords import BadTable
from gputally.site.ledger.store import Ledger

_REFUSED = 2
_WORTH_A_BAR = 4 << 20  # bytes: less is over before anybody looks
_EVERY = 1000  # rows


@click.command("import")
@given(*IMPORTED, *LEDGER)
def import_(**flags: Any) -> int:  # noqa: ANN401 - click's own
    """Import tables of jobs: what `sacct -P` wrote, CSV or JSON; again as often as you like.

    A row stands for one run: provider, job and start. FILE `-` is standard input.

    Exit status: 0 all rows are in, 1 a fault, 2 wrong usage, or rows that were refused.
    """
    known = ways(flags)
    refused = 0
    for path in flags["files"]:
        imported = _imported(path, flags, known)
        refused += imported.total("rejected")
        click.echo(FORMS[flags["form"]](str(path), imported))
    sys.stdout.flush()
    return _REFUSED if refused else 0


def _imported(path: Path, flags: Mapping[str, Any], known: Ways) -> Imported:
    now_ns = system_clock().wall_ns
    now_s = now_ns // NS_PER_SECOND
    try:
        with one_line(), opened(path, sys.stdin.buffer) as file:
            form = flags["of"] or file.form()
            kind = form if form == "sacct" else f"jobs_{form}"
            # A table tells of the time at which it was made: what runs in it may have ended since.
            seen_s = now_s if file.at_s is None else min(now_s, file.at_s)
            rows = file.rows(form, known.terms(seen_s, now_s), flags["columns"])
            origin = Origin(kind, path.name, file.sha256, now_ns)
            with Ledger.open(known.ledger, write=True) as ledger, _bar(file) as step:
                return put(ledger, rows, origin, step)
    except (BadTable, HalfFile) as error:
        raise click.UsageError(f"{path}: {error}; nothing of it was imported") from None
    except OSError as error:
        raise click.UsageError(f"{path}: {error.strerror or error}") from None


@contextmanager
def _bar(file: JobFile) -> Iterator[Callable[[], object]]:
    """How far it is, for who looks and would wait: what is called after each row."""
    if file.size < _WORTH_A_BAR or not sys.stderr.isatty():
        yield lambda: None
        return
    rows = 0
    with click.progressbar(length=file.size, label="importing", file=sys.stderr) as bar:

        def step() -> None:
            nonlocal rows
            rows += 1
            if rows % _EVERY == 0:
                bar.update(file.place() - bar.pos)

        yield step
