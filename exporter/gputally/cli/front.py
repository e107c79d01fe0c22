"""What the web front would refuse, found before anything is started, locked or written."""

import time

import click

from gputally.config.settings import NodeSettings, SiteSettings
from gputally.config.strict import ConfigError
from gputally.web.reload import WebConfig


def check_front(settings: NodeSettings | SiteSettings) -> str:
    """A sentence about how the metrics are served; what is worth a warning is said by who serves.

    Raises:
        click.UsageError: a bad `--web.config.file`.
    """
    config = WebConfig(settings.web_config_file, time.monotonic)
    try:
        config.start(quiet=True)
    except ConfigError as error:
        raise click.UsageError(str(error)) from error
    secured = [word for word, on in (("TLS", config.identity), ("passwords", config.settings.users)) if on]
    return f"{', '.join(settings.web_listen_address)}: {' and '.join(secured) or 'plain HTTP, no password'}"
