"""`gputally report`: what was used, what it cost and what was wasted, asked of Prometheus. Writes nothing."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from gputally.cli.reportflags import (
    CLUSTER,
    CONFIG,
    PASSWORD,
    PERIOD,
    PRICE,
    RANGE,
    REACH,
    TOLD,
    WHO,
    by,
)
from gputally.cli.shapeflags import SHAPE, form, given, limit_of
from gputally.model.clock import NS_PER_SECOND, system_clock

if TYPE_CHECKING:  # nothing of it is needed to print --help
    from gputally.cli.accounts import Books
    from gputally.report.access import Access
    from gputally.report.asking import Inquiry
    from gputally.report.sheet import Sheet
    from gputally.tariff.schedule import Schedule

_WORTH_A_BAR = 12  # questions: fewer are over before anybody looks
Flags = Mapping[str, Any]
T = TypeVar("T")
# A report: of an inquiry, by what, and of whom only.
Make = Callable[["Inquiry", tuple[str, ...], Mapping[str, Sequence[str]]], "Sheet"]


@click.group(no_args_is_help=False)
def report() -> None:
    """Say what was used, what it cost and what was wasted, asked of Prometheus.

    Exit status: 0 a report, 1 none can be had, 2 wrong usage.
    """


@report.command()
@given(
    *RANGE,
    by("", "cluster", "team", "user", "model", "scheduler", "state", "day"),
    *WHO,
    CLUSTER,
    *TOLD,
    *SHAPE,
    *REACH,
)
def jobs(**flags: Any) -> None:  # noqa: ANN401 - click's own
    """Jobs that ran: each with all that it used by its end, or until now; of a ledger, those elsewhere."""
    from gputally.cli.reportledger import runs_of  # noqa: PLC0415 - not before the flags are right
    from gputally.report import jobs as jobs_report  # noqa: PLC0415 - as above

    _write(
        flags,
        lambda inquiry, columns, only: jobs_report.jobs(
            inquiry, columns, only, runs_of(flags, inquiry.range)
        ),
    )


def _team_command(name: str, text: str) -> None:
    @report.command(name=name, help=text)
    @given(*RANGE, by(name.removesuffix("s"), *_TEAM_KEYS), *WHO, CLUSTER, PRICE, *SHAPE, *REACH)
    def command(**flags: Any) -> None:  # noqa: ANN401 - as above
        from gputally.report.anew import by_team_anew  # noqa: PLC0415 - as above
        from gputally.report.usage import by_team  # noqa: PLC0415

        file = flags["price_file"]
        schedule = _schedule(file)
        if schedule is None:
            _write(flags, lambda inquiry, columns, only: by_team(inquiry, name, columns, only))
        else:
            _write(
                flags,
                lambda inquiry, columns, only: by_team_anew(inquiry, name, columns, only, file, schedule),
            )


_TEAM_KEYS = ("cluster", "team", "user", "model", "day")
_team_command("teams", "Teams: energy, cost, hours, what was unused, jobs.")
_team_command("users", "The same by user.")
_team_command("models", "The same by model.")


@report.command()
@given(*RANGE, by("gpu", "gpu", "name", "instance", "cluster", "day"), CLUSTER, PRICE, *SHAPE, *REACH)
def gpus(**flags: Any) -> None:  # noqa: ANN401 - as above
    """GPUs: energy, cost, hours up and busy; jobs or none."""
    from gputally.report.anew import by_gpu_anew  # noqa: PLC0415 - as above
    from gputally.report.usage import by_gpu  # noqa: PLC0415

    file = flags["price_file"]
    schedule = _schedule(file)
    if schedule is None:
        _write(flags, by_gpu)
    else:
        _write(flags, lambda inquiry, columns, only: by_gpu_anew(inquiry, columns, only, file, schedule))


@report.command()
@given(by("gpu", "gpu", "name", "instance", "cluster"), CLUSTER, *SHAPE, *REACH)
def today(**flags: Any) -> None:  # noqa: ANN401 - as above
    """What today has cost so far, and yesterday, by the site's calendar."""
    from gputally.report import today as today_report  # noqa: PLC0415 - as above
    from gputally.report.questions import matching  # noqa: PLC0415

    _write(
        {**flags, "from_text": "yesterday", "to_text": "today"},
        lambda inquiry, columns, only: today_report.today(inquiry, columns, matching(only)),
    )


@report.command()
@given(*RANGE, by("team,user", *_TEAM_KEYS), *WHO, CLUSTER, *SHAPE, *REACH)
def waste(**flags: Any) -> None:  # noqa: ANN401 - as above
    """What was held and not used, and what nobody held: energy, cost, hours; dearest first."""
    from gputally.report import waste as waste_report  # noqa: PLC0415 - as above

    _write(flags, waste_report.waste)


@report.command()
@given(
    click.option("--team", "team", help="Whose.", required=True),
    *PERIOD,
    CONFIG,
    form("For people, for programs, or a page to be printed.", ("table", "csv", "json", "html")),
    *REACH[:-1],
)
def statement(**flags: Any) -> None:  # noqa: ANN401 - as above
    """One team's transactions of a period: what there was to spend, what it went for, and the balance."""
    from gputally.cli.statement import print_statement  # noqa: PLC0415 - as above

    _told(lambda: print_statement(_books(flags), flags))


@report.command()
@given(*PERIOD, CONFIG, *SHAPE, *REACH[:-1])
def budgets(**flags: Any) -> None:  # noqa: ANN401 - as above
    """All teams of a period: credit, what was spent on what, and the balance."""
    from gputally.cli.printing import write  # noqa: PLC0415 - as above
    from gputally.cli.statement import list_budgets  # noqa: PLC0415

    listed = _told(lambda: list_budgets(_books(flags), flags))
    write("report", listed, flags["form"], flags["page"], limit_of(flags))


def _books(flags: Flags) -> "Books":
    from gputally.cli.accounts import Books, open_settings  # noqa: PLC0415 - as above
    from gputally.report.prometheus import Prometheus  # noqa: PLC0415

    if flags["month"] and flags["period"]:
        raise click.UsageError("either --month or --period")
    settings = open_settings(flags["config_file"])
    now_s = system_clock().wall_ns // NS_PER_SECOND
    return Books(settings, Prometheus(_access(flags)), now_s, _bar)


def _write(flags: Flags, make: Make) -> None:
    """Ask, lay out, print one page."""
    from gputally.cli.printing import tell, turn  # noqa: PLC0415 - as above
    from gputally.report.shown import FORMS  # noqa: PLC0415

    sheet = turn(_told(lambda: _sheet(flags, make)), flags["page"], limit_of(flags))
    tell("report", FORMS[flags["form"]](sheet), flags["form"], sheet.notes)


def _sheet(flags: Flags, make: Make) -> "Sheet":
    from gputally.report.asking import Inquiry  # noqa: PLC0415 - as above
    from gputally.report.prometheus import Prometheus  # noqa: PLC0415
    from gputally.report.site import find_range  # noqa: PLC0415

    server = Prometheus(_access(flags))
    now_s = system_clock().wall_ns // NS_PER_SECOND
    texts = (flags["from_text"], flags["to_text"])
    whole, note = find_range(server, texts, flags["timezone"], now_s)
    inquiry = Inquiry(server, whole, now_s, _bar)
    if note is not None:
        inquiry.note(note)
    only = {name.removeprefix("only_"): values for name, values in flags.items() if name.startswith("only_")}
    sheet = make(inquiry, flags["by"], only)
    for warning in server.warnings:
        sheet = sheet.noted(f"Prometheus warns: {warning}")
    return sheet


def _access(flags: Flags) -> "Access":
    from gputally.report.access import Access, read_password  # noqa: PLC0415 - as above

    file = flags["password_file"]
    password = os.environ.get(PASSWORD, "")
    if file is not None and password:
        raise click.UsageError(f"either --prometheus.password-file or {PASSWORD}")
    return Access(
        flags["url"],
        flags["user"],
        password if file is None else read_password(file),
        flags["tenant"],
        flags["ca_file"],
        flags["cert_file"],
        flags["key_file"],
        insecure=flags["insecure"],
        timeout_s=flags["timeout_ns"] / NS_PER_SECOND,
    )


def _schedule(file: Path | None) -> "Schedule | None":
    from gputally.report.reprice import read_schedule  # noqa: PLC0415 - as above

    return _told(lambda: read_schedule(file)) if file is not None else None


def _told(ask: Callable[[], T]) -> T:
    """What went wrong, as the command line says it."""
    from gputally.report.failures import ReportError, WrongQuestion  # noqa: PLC0415 - as above

    try:
        return ask()
    except WrongQuestion as error:
        raise click.UsageError(str(error)) from None
    except ReportError as error:
        raise click.ClickException(str(error)) from None


@contextmanager
def _bar(questions: int) -> Iterator[Callable[[], object]]:
    """A progress bar, for who looks and would wait."""
    if questions < _WORTH_A_BAR or not sys.stderr.isatty():
        yield lambda: None
        return
    with click.progressbar(length=questions, label="asking Prometheus", file=sys.stderr) as bar:
        yield lambda: bar.update(1)
