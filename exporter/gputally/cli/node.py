"""`gputally node`: measures this machine's GPUs and serves them to Prometheus."""

from typing import Any

import click

from gputally.cli.options import node_flags, settle
from gputally.config.settings import NodeSettings


@click.command()
@node_flags
@click.pass_context
def node(context: click.Context, /, **_flags: Any) -> None:  # noqa: ANN401 - read from the context, with their origin
    """Measure the GPUs of this machine and serve them to Prometheus."""
    settings, config_file, told = settle(context, NodeSettings)
    # Imported late, so that --help and a wrong flag answer at once.
    from gputally.cli.agent import run_agent  # noqa: PLC0415
    from gputally.cli.front import check_front  # noqa: PLC0415
    from gputally.cli.logs import start_logging  # noqa: PLC0415
    from gputally.cli.nodeagent import NodeAgent  # noqa: PLC0415

    check_front(settings)
    start_logging(settings.log_level, settings.log_format)
    run_agent(lambda: NodeAgent(settings, config_file, told))
