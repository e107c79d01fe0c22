"""`gputally bills imports` and `forget`: which files were imported, and how one of them is taken back."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import click

from gputally.cli.billswords import COLUMNS as BILL_COLUMNS
from gputally.cli.billswords import posted_rows
from gputally.cli.ledgerflags import WHERE, one_line, reading, told
from gputally.cli.printing import write
from gputally.cli.shapeflags import SHAPE, given, limit_of
from gputally.model.clock import NS_PER_SECOND, system_clock
from gputally.site.ledger.forgetting import NothingToForget, PastImport
from gputally.site.ledger.forgetting import forget as forget_import
from gputally.site.ledger.forgetting import imports as past_imports
from gputally.site.ledger.posting import RESULTS
from gputally.site.ledger.store import Ledger
from gputally.tables.columns import Column, Row
from gputally.tables.listed import Listed

_RESULTS = (*RESULTS, "rejected")
COLUMNS = (
    Column("import", "IMPORT"),
    Column("at", "AT", "time"),
    Column("kind", "KIND"),
    Column("file", "FILE"),
    *(Column(result, result.upper(), "count") for result in _RESULTS),
    Column("sha256", "SHA256"),
)


@click.command()
@given(*WHERE, *SHAPE)
def imports(**flags: Any) -> None:  # noqa: ANN401 - click's own
    """List which files were imported, the newest first. Times are those of UTC."""
    found = told(flags["ledger_file"], flags["config_file"])
    with reading(found.path) as ledger, ledger.faults():
        rows = [_row(one) for one in past_imports(ledger)]
    listed = Listed("bills imports", f"imports: {len(rows)}", COLUMNS, rows, (), {}, ("sha256",))
    write("bills imports", listed, flags["form"], flags["page"], limit_of(flags))


def _row(one: PastImport) -> Row:
    return {
        "import": str(one.number),
        "at": datetime.fromtimestamp(one.at_ns // NS_PER_SECOND, UTC),
        "kind": one.kind,
        "file": one.file,
        "sha256": one.sha256,
        **{result: Decimal(rows) for result, rows in one.counts.items()},
    }


@click.command()
@click.argument("number", metavar="IMPORT", type=click.IntRange(1))
@given(*WHERE)
def forget(number: int, **flags: Any) -> None:  # noqa: ANN401 - click's own
    """Take back what an IMPORT has written, by its number in `gputally bills imports`.

    Bills and rows that it was the last to write vanish from the ledger. What stood there before does not come
    back: import that file again.
    """
    found = told(flags["ledger_file"], flags["config_file"])
    with reading(found.path):
        pass  # to write would make one
    with one_line(), Ledger.open(found.path, write=True) as ledger:
        try:
            posted = forget_import(ledger, number, system_clock().wall_ns)
        except NothingToForget as error:
            raise click.UsageError(str(error)) from None
    rows = [row for one in posted for row in posted_rows("", one)]
    listed = Listed("bills forget", f"import {number}: taken back", BILL_COLUMNS[1:], rows)
    write("bills forget", listed, "table", 1, 0)
