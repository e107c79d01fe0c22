"""`gputally bills import`: files into the ledger, all of them or none."""

import sqlite3
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gputally.cli.billswords import listed
from gputally.cli.ledgerflags import WHERE, Told, one_line, told
from gputally.cli.printing import write
from gputally.cli.shapeflags import form, given, several
from gputally.cli.values import GivenPath
from gputally.config.bills import BillSettings
from gputally.model.clock import system_clock
from gputally.site.ledger.asked import Ask, RowsRejected
from gputally.site.ledger.focus import BASES, CATEGORIES, Knowledge, Wanted
from gputally.site.ledger.reading import BadFile, FaultyFile, Progress, size_of
from gputally.site.ledger.store import Ledger, LedgerUsage, is_there

if TYPE_CHECKING:
    from gputally.site.ledger.asked import Imported
    from gputally.site.ledger.tally import Tally

_USAGE = 2


@click.command("import")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=GivenPath())
@given(
    *WHERE,
    click.option(
        "--cost",
        "basis",
        help="By which cost of FOCUS: effective spreads what was paid ahead, billed is the invoice.",
        type=click.Choice([*BASES]),
        default="effective",
        show_default=True,
    ),
    several(
        "--category",
        "categories",
        text="Rows of this ChargeCategory of FOCUS.",
        type=click.Choice(CATEGORIES),
        default=["usage"],
        show_default=True,
    ),
    click.option("--others", help="Rows of FOCUS that are of no GPU, too, as GPU type other.", is_flag=True),
    click.option("--currency", help="Of plain rows that name none.", default="USD", show_default=True),
    click.option("--parts", help="The files are the parts of one bill.", is_flag=True),
    click.option("--partial", help="Take a bill without the rows that cannot be taken.", is_flag=True),
    click.option("--again", help="Take a file that was imported before what is there now.", is_flag=True),
    click.option("--shorter", help="Take a bill that ends before the one that is there.", is_flag=True),
    click.option("--dry-run", help="Say what would become of it, and change nothing.", is_flag=True),
    form("What became of it for people or for programs."),
)
def import_(**flags: Any) -> None:  # noqa: ANN401 - click's own
    """Import bills: CSV by FOCUS 1.0 to 1.4, or plain rows `date,provider,gpu_type,cost[,team]`, CSV or JSON.

    Which of them a file is, its header says; any may be packed by gzip. A bill replaces what the ledger has
    for its provider, account and period; a plain row what it has for its day, provider, GPU and team. All
    files become the ledger's at once, or none does. Exit status: 0 done, 1 a fault, 2 a file or a row that
    cannot be used.
    """
    currency = flags["currency"]
    if not (len(currency) == 3 and currency.isascii() and currency.isupper()):
        raise click.UsageError(f"--currency {currency}: expected three capital letters, such as EUR")
    found = told(flags["ledger_file"], flags["config_file"])
    files: Sequence[Path] = flags["files"]
    groups = [files] if flags["parts"] else [[file] for file in files]
    with _ledger(found.path, dry_run=flags["dry_run"]) as ledger, _bar(files) as progress:
        imported = _imported(ledger, groups, _ask(flags, found, progress))
    write("bills import", listed(imported, dry_run=flags["dry_run"]), flags["form"], 1, 0)
    for one in imported:
        _say_rejected(one.tally)
    if any(one.tally.rejections for one in imported):
        raise click.exceptions.Exit(_USAGE)


def _imported(ledger: Ledger, groups: Sequence[Sequence[Path]], ask: Ask) -> "list[Imported]":
    from gputally.site.ledger.importing import import_bills  # noqa: PLC0415 - not before the flags are right

    try:
        return import_bills(ledger, groups, ask)
    except FaultyFile as error:
        raise click.ClickException(str(error)) from None
    except RowsRejected as error:
        _say_rejected(error.tally)
        raise click.UsageError(str(error)) from None
    except BadFile as error:
        raise click.UsageError(str(error)) from None


def _ask(flags: Mapping[str, Any], found: Told, progress: Progress) -> Ask:
    from gputally.site.ledger import machines  # noqa: PLC0415 - as above
    from gputally.site.ledger.naming import Naming  # noqa: PLC0415
    from gputally.site.market import cards  # noqa: PLC0415

    settings = found.site.bills or BillSettings()
    aliases = found.site.market.aliases if found.site.market else {}
    return Ask(
        Knowledge(machines.load(settings.instances), cards.load(aliases), Naming(settings, found.teams)),
        Wanted(flags["basis"], frozenset(flags["categories"]), flags["others"]),
        system_clock().wall_ns,
        flags["currency"],
        flags["partial"],
        flags["again"],
        flags["shorter"],
        progress,
    )


@contextmanager
def _ledger(path: Path, *, dry_run: bool) -> Iterator[Ledger]:
    """The ledger; for a dry run a copy of it, so that nothing of it is even opened to be written."""
    with one_line():
        if not dry_run:
            with Ledger.open(path, write=True) as ledger:
                yield ledger
            return
        with tempfile.TemporaryDirectory(prefix="gputally-") as folder:
            copy = Path(folder) / path.name
            if is_there(path):
                _copy(path, copy)
            with Ledger.open(copy, write=True) as ledger:
                yield ledger


def _copy(path: Path, copy: Path) -> None:
    try:
        source = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        target = sqlite3.connect(copy)
        try:
            source.backup(target)
        finally:
            source.close()
            target.close()
    except sqlite3.Error as error:
        raise LedgerUsage(f"{path}: cannot be read: {error}") from None


@contextmanager
def _bar(files: Sequence[Path]) -> Iterator[Progress]:
    """How far it is, for who sits before it."""
    if not sys.stderr.isatty():
        yield int
        return
    with click.progressbar(length=sum(map(size_of, files)), label="reading", file=sys.stderr) as bar:
        yield bar.update


def _say_rejected(tally: "Tally") -> None:
    for row in tally.shown:
        click.echo(f"gputally bills import: rejected: {row}", err=True)
    more = tally.rejections - len(tally.shown)
    if more > 0:
        click.echo(f"gputally bills import: rejected: and {more} more", err=True)
