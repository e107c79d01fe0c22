"""`gputally bills export`: days of bills as OpenMetrics, of which promtool makes blocks of a Prometheus."""

import sys
import tempfile
from datetime import date
from pathlib import Path
from typing import IO, Any

import click

from gputally.cli.ledgerflags import FROM, WHERE, Day, reading, today, told
from gputally.cli.shapeflags import given
from gputally.cli.values import GivenPath
from gputally.model.clock import system_clock
from gputally.site.ledger.history import MOST_REVISIONS, TooManyRevisions, openmetrics
from gputally.site.ledger.store import Ledger


@click.command()
@given(
    *WHERE,
    FROM,
    click.option(
        "--to", "end", help="Last day, of UTC, or a month; yesterday is the last.", type=Day(ends=True)
    ),
    click.option("--output", help="File to write; none: standard output.", type=GivenPath(dir_okay=False)),
    click.option(
        "--first-revision",
        help="Where seconds begin to count, for a Prometheus that has days of a ledger that is lost.",
        type=click.IntRange(0, MOST_REVISIONS),
        default=0,
        show_default=True,
    ),
)
def export(**flags: Any) -> None:  # noqa: ANN401 - click's own
    """Write a sample for each day, provider, GPU, team and currency: at noon, a second later for each change.

    For promtool tsdb create-blocks-from openmetrics. Days and noon are those of UTC. Safe to be
    imported again and again: read it with last_over_time(gpu_cloud_cost_per_day[1d]).
    """
    found = told(flags["ledger_file"], flags["config_file"])
    now = today(system_clock().wall_ns)  # its noon may be to come, and Prometheus refuses what is so new
    days, output = (flags["first"], min(flags["end"] or now, now)), flags["output"]
    with reading(found.path) as ledger:
        try:
            if output is None:
                _write(ledger, days, flags["first_revision"], sys.stdout)
            else:
                _place(ledger, days, flags["first_revision"], output)
        except TooManyRevisions as day:
            raise click.UsageError(
                f"{day} was told anew too often: delete its series, then start over"
            ) from None
        except BrokenPipeError:  # nobody reads on
            raise
        except OSError as error:
            raise click.ClickException(f"{error.filename or output or 'output'}: {error.strerror}") from None


def _write(ledger: Ledger, days: tuple[date, date], first_revision: int, to: IO[str]) -> None:
    for line in openmetrics(ledger, *days, first_revision):
        to.write(line)
    to.flush()


def _place(ledger: Ledger, days: tuple[date, date], first_revision: int, output: Path) -> None:
    """Whole, or as it was."""
    with tempfile.NamedTemporaryFile(
        "w", dir=output.parent, prefix=f".{output.name}.", suffix=".new", delete=False
    ) as file:
        new = Path(file.name)
        try:
            _write(ledger, days, first_revision, file)
            new.chmod(0o644)
            new.replace(output)
        except BaseException:
            new.unlink(missing_ok=True)
            raise
