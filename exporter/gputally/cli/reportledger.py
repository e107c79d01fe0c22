"""What the ledger has of a report's time, where one is given or configured."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # nothing of it is needed to print --help
    from gputally.model.elsewhere import Run
    from gputally.report.ranges import Range


def runs_of(flags: Mapping[str, Any], span: "Range") -> "list[Run] | None":
    """Runs of jobs; None where there is no ledger.

    Raises click.UsageError for what is none, click.ClickException where it cannot be read.
    """
    file, config_file = flags["ledger_file"], flags["config_file"]
    if file is None and config_file is not None:
        from gputally.cli.options import combine  # noqa: PLC0415 - most reports have none
        from gputally.config.settings import SiteSettings  # noqa: PLC0415 - as above

        file = combine(config_file, {}, SiteSettings).ledger_file
    if file is None:
        return None
    from gputally.cli.ledgerread import runs_between  # noqa: PLC0415 - as above

    return runs_between(file, span.from_s, span.until_s)
