"""`gputally alerts`: rules of one's own as a file for Prometheus, and what alerts compare with."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from gputally.alerts.rulefile import render as rule_file
from gputally.alerts.thresholds import THRESHOLDS
from gputally.cli.options import combine
from gputally.cli.placing import replace_file
from gputally.cli.values import GivenPath
from gputally.config.alerts import Alerts, read_alerts
from gputally.config.settings import SiteSettings
from gputally.config.strict import parse

F = TypeVar("F", bound=Callable[..., Any])


@click.group(no_args_is_help=False)
def alerts() -> None:
    """Rules of one's own, and what alerts compare with.

    Exit status: 0 done, 1 the file cannot be written, 2 the configuration is wrong.
    """


def _config_file(**more: Any) -> Callable[[F], F]:  # noqa: ANN401 - click's own keywords
    return click.option(
        "--config.file",
        "config_file",
        help="Configuration of the agents, YAML.",
        envvar="GPUTALLY_CONFIG_FILE",
        show_envvar=True,
        type=GivenPath(dir_okay=False),
        **more,
    )


@alerts.command()
@_config_file(required=True)
@click.option(
    "--output",
    help="File to write, such as prometheus/alerts/user.yml, at once or not at all; none: standard output.",
    type=GivenPath(dir_okay=False),
)
def render(config_file: Path, output: Path | None) -> None:
    """Write alerts.rules as a file for Prometheus."""
    text = rule_file(declared(config_file).rules)
    if output is None:
        click.echo(text, nl=False)
        return
    if output.exists() and output.samefile(config_file):
        raise click.BadParameter("this is the configuration itself", param_hint="--output")
    try:
        replace_file(Path(os.path.realpath(output)), text.encode())
    except OSError as error:
        raise click.ClickException(f"{output}: cannot be written: {error.strerror}") from None


@alerts.command()
@_config_file()
def thresholds(config_file: Path | None) -> None:
    """Say what each alert compares with."""
    values = declared(config_file).thresholds  # without a file, the defaults
    for row in THRESHOLDS.values():
        value = values[row.alert]
        origin = "default" if value == row.default else f"default {row.default:.16g}"
        click.echo(f"{row.alert:<29}{value:>12.16g} {row.unit:<8} {origin:<14} {row.meaning}")


def declared(config_file: Path | None) -> Alerts:
    """What the file says of alerts; all of the file is checked. Raises click.UsageError."""
    settings = combine(config_file, {}, SiteSettings)
    return read_alerts(parse(settings.config_text, str(config_file))) if config_file is not None else Alerts()
