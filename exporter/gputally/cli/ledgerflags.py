"""The flags of everything that reads or writes the ledger, and what its faults become."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from gputally.cli.options import combine
from gputally.cli.values import GivenPath
from gputally.config.settings import NodeSettings, SiteSettings
from gputally.model.clock import NS_PER_SECOND
from gputally.site.ledger.store import Ledger, LedgerError, LedgerUsage

_FILE = GivenPath(dir_okay=False)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}(?:-[0-9]{2})?", re.ASCII)

WHERE = (
    click.option("--ledger", "ledger_file", help="The ledger, a file of SQLite.", type=_FILE),
    click.option(
        "--config.file",
        "config_file",
        help="Configuration of the agents, YAML: ledger.file, bills, teams, market.rates.",
        type=_FILE,
        envvar="GPUTALLY_CONFIG_FILE",
        show_envvar=True,
    ),
)


@dataclass(frozen=True, slots=True)
class Told:
    """What flags and file say of the ledger."""

    path: Path
    site: SiteSettings
    teams: tuple[str, ...]  # names


def told(ledger_file: Path | None, config_file: Path | None) -> Told:
    """Find the ledger. Raises click.UsageError where there is none, or the file is wrong."""
    site = combine(config_file, {}, SiteSettings)
    path = ledger_file or site.ledger_file
    if path is None:
        lacks = f"{config_file} has no ledger.file" if config_file else "give --ledger, or --config.file"
        raise click.UsageError(f"which ledger? {lacks}")
    teams = combine(config_file, {}, NodeSettings).teams
    return Told(path, site, tuple(team.name for team in teams))


@contextmanager
def reading(path: Path) -> Iterator[Ledger]:
    """One state of the ledger, whatever is written meanwhile."""
    with one_line(), Ledger.open(path) as ledger, ledger.snapshot():
        yield ledger


@contextmanager
def one_line() -> Iterator[None]:
    """Faults of the ledger as errors of a command."""
    try:
        yield
    except LedgerUsage as error:
        raise click.UsageError(str(error)) from None
    except LedgerError as error:
        raise click.ClickException(str(error)) from None


class Day(click.ParamType):  # type: ignore[type-arg]  # generic in newer releases only
    """`2026-11-29` or `2026-11`: a day; of a month the first one, or the one after its last."""

    name = "day"

    def __init__(self, *, ends: bool = False) -> None:
        self._ends = ends

    def convert(
        self,
        value: Any,  # noqa: ANN401 - click's signature
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> date:
        """Read the text; an end is the day after it."""
        if isinstance(value, date):
            return value
        text = value if len(value) > 7 else f"{value}-01"
        try:
            first = date.fromisoformat(text) if _DAY.fullmatch(value) else None
        except ValueError:
            first = None
        if first is None or not 2000 <= first.year <= 2100:
            self.fail(f"{value!r}: expected a day such as 2026-11-29, or a month", param, ctx)
        if not self._ends:
            return first
        return first + timedelta(days=1) if len(value) > 7 else (first + timedelta(days=31)).replace(day=1)


FROM = click.option(
    "--from", "first", help="First day, of UTC; or a month.", type=Day(), default="2000-01", show_default=True
)
TO = click.option("--to", "end", help="Last day, of UTC; or a month.", type=Day(ends=True), default="2100-12")


def today(wall_ns: int) -> date:
    """The day of UTC."""
    return datetime.fromtimestamp(wall_ns // NS_PER_SECOND, UTC).date()
