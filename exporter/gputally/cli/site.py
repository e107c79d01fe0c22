"""`gputally site`: serves what is declared of the site, its prices and its calendar, to Prometheus."""

from typing import Any

import click

from gputally.cli.options import settle, site_flags
from gputally.config.settings import SiteSettings


@click.command()
@site_flags
@click.pass_context
def site(context: click.Context, /, **_flags: Any) -> None:  # noqa: ANN401 - read from the context, with their origin
    """Serve the site's prices, calendar and costs of its own GPUs to Prometheus."""
    settings, config_file, told = settle(context, SiteSettings)
    # Imported late, so that --help and a wrong flag answer at once.
    from gputally.cli.agent import run_agent  # noqa: PLC0415
    from gputally.cli.front import check_front  # noqa: PLC0415
    from gputally.cli.logs import start_logging  # noqa: PLC0415
    from gputally.cli.siteagent import SiteAgent  # noqa: PLC0415

    check_front(settings)
    start_logging(settings.log_level, settings.log_format)
    run_agent(lambda: SiteAgent(settings, config_file, told))
