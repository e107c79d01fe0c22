"""`gputally jobs list`: runs of jobs that were imported, one by one."""

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import click

from gputally.cli.jobflags import LEDGER, MATCHED, ONLY, SPAN, ways
from gputally.cli.jobwords import LISTED
from gputally.cli.ledgerread import runs_between
from gputally.cli.printing import write
from gputally.cli.shapeflags import SHAPE, given, limit_of
from gputally.model.clock import NS_PER_SECOND, system_clock
from gputally.model.elsewhere import Run
from gputally.report.failures import WrongQuestion
from gputally.report.ranges import Range, read_range
from gputally.report.site import zone_named
from gputally.tables.columns import Row
from gputally.tables.listed import Listed


@click.command("list")
@given(*SPAN, *ONLY, *SHAPE, *LEDGER)
def list_(**flags: Any) -> None:  # noqa: ANN401 - click's own
    """List runs of jobs that were imported, the latest first.

    Exit status: 0 a list, 1 the ledger cannot be read, 2 wrong usage.
    """
    write("jobs list", _listed(flags), flags["form"], flags["page"], limit_of(flags))


def _listed(flags: Mapping[str, Any]) -> Listed:
    known = ways(flags)
    span = _span(flags, known.timezone)
    only = [(name, flags[f"only_{name}"]) for name in MATCHED]
    rows = [_row(run, span.moment) for run in runs_between(known.ledger, span.from_s, span.until_s, only)]
    start, end = span.moment(span.from_s), span.moment(span.until_s)
    minute = "%Y-%m-%d %H:%M"
    return Listed(
        "jobs",
        f"jobs: {start:{minute}} to {end:{minute}} {span.zone}, {len(rows)} runs in the ledger",
        LISTED,
        rows,
        facts={"from": start.isoformat(), "to": end.isoformat(), "timezone": str(span.zone)},
        not_in_table=("scheduler", "name"),
    )


def _span(flags: Mapping[str, Any], timezone: str) -> Range:
    now_s = system_clock().wall_ns // NS_PER_SECOND
    try:
        return read_range(flags["from_text"], flags["to_text"], now_s, zone_named(timezone or "UTC"))
    except (WrongQuestion, ValueError) as error:
        raise click.UsageError(str(error)) from None


def _row(run: Run, moment: Callable[[int], datetime]) -> Row:
    job = run.job
    return {
        "provider": job.provider,
        "job_id": job.job_id,
        "shown_id": job.shown_id or job.job_id,
        "run": Decimal(run.earlier),
        "name": job.name,
        "team": job.team,
        "user": job.user,
        "model": job.model,
        "scheduler": job.scheduler,
        "gpu_type": job.gpu_type,
        "gpus": Decimal(job.gpus),
        "state": job.status,
        "exit_code": None if job.exit_code is None else Decimal(job.exit_code),
        "start": moment(job.start_s),
        "end": None if job.end_s is None else moment(job.end_s),
        "gpu_hours": Decimal(job.gpu_seconds) / 3600,
    }
