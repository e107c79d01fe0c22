"""The flags of `gputally jobs`, and what the configuration says of the ledger, teams, cards and zones."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from gputally.cli.ledgerflags import WHERE, told
from gputally.cli.options import combine
from gputally.cli.reportflags import since
from gputally.cli.shapeflags import form, only
from gputally.cli.values import GivenPath
from gputally.config.settings import NodeSettings
from gputally.config.strict import parse
from gputally.config.teams import TeamRule
from gputally.model import UNASSIGNED
from gputally.model.elsewhere import STATUSES
from gputally.node.identity.teams import Belonging, decide
from gputally.report.failures import WrongQuestion
from gputally.report.site import zone_named
from gputally.site.ledger.jobfiles import FORMS
from gputally.site.ledger.jobsacct import Terms
from gputally.site.market.cards import Catalogue, load

_ZONE = click.option(
    "--timezone",
    help="Whose clocks times without an offset are of; the site's if none is given.",
    envvar="GPUTALLY_TIMEZONE",
    show_envvar=True,
)
_DAY_S = 86_400  # by which the clock of whoever wrote a table may be ahead
LEDGER = (*WHERE, _ZONE)
IMPORTED = (
    click.argument(
        "files", nargs=-1, required=True, metavar="FILE...", type=GivenPath(dir_okay=False, allow_dash=True)
    ),
    click.option("--of", help="What the files are; by their first line.", type=click.Choice(FORMS)),
    click.option("--provider", help="Cluster or provider of all rows, whatever they say.", default=""),
    click.option("--gpu", help="Card of rows that name none, such as h100-sxm5-80gb.", default=""),
    click.option(
        "--columns",
        help="Columns of sacct output that has no header; those of the manual's command if none are given.",
        callback=lambda _context, _parameter, text: tuple(filter(None, map(str.strip, text.split(",")))),
        default="",
    ),
    form(forms=("table", "json")),
)
MATCHED = ("provider", "team", "user", "model", "status")
ONLY = (
    only("provider", "Only of this cluster or provider."),
    only("team", "Only of this team."),
    only("user", "Only of this user."),
    only("model", "Only of this model."),
    only("status", "Only what is or ended like this.", type=click.Choice(STATUSES)),
)
SPAN = (
    since("30d"),
    click.option("--to", "to_text", help="Until when; now if nothing is said.", default=""),
)


@dataclass(frozen=True, slots=True)
class Ways:
    """What is known before a file is opened."""

    ledger: Path
    timezone: str  # "" where nobody has said one
    provider: str
    gpu_type: str
    teams: tuple[TeamRule, ...]
    aliases: Mapping[str, str]

    def terms(self, seen_s: int, now_s: int) -> Terms:
        """What rows of a table of that time are read by. Raises click.UsageError for an unknown time zone."""
        try:
            zone = zone_named(self.timezone) if self.timezone else None
        except WrongQuestion as error:
            raise click.UsageError(str(error)) from None
        catalogue = load(self.aliases)
        return Terms(
            seen_s,
            now_s + _DAY_S,
            zone,
            self.provider,
            self.gpu_type,
            lambda label: _card(catalogue, label),
            lambda account, user: _team(self.teams, account, user),
        )


def ways(flags: Mapping[str, Any]) -> Ways:
    """What flags and the configuration say. Raises click.UsageError where there is no ledger."""
    config_file = flags["config_file"]
    found = told(flags["ledger_file"], config_file)
    timezone = flags["timezone"] or _declared_zone(found.site.config_text, config_file)
    return Ways(
        found.path,
        timezone,
        flags.get("provider", ""),
        flags.get("gpu", ""),
        combine(config_file, {}, NodeSettings).teams,
        found.site.market.aliases if found.site.market is not None else {},
    )


def _declared_zone(config_text: bytes, config_file: Path | None) -> str:
    """That of the site, if somebody has said one: the default is nobody's clock."""
    if config_file is None:
        return ""
    zone = parse(config_text, str(config_file)).mapping("site").get("timezone")
    return "" if zone is None else zone.string()


def _card(catalogue: Catalogue, label: str) -> str:
    """The card that is meant; what nobody knows as it is, in small letters."""
    return catalogue.card_of(label) or label.strip().lower()


def _team(rules: tuple[TeamRule, ...], account: str, user: str) -> str:
    """By the rules of the configuration, as of measured jobs; else the account."""
    decided, _ = decide(rules, Belonging(account=account, user=user))
    return decided or account or UNASSIGNED
