"""`gputally reservations`: the file of bookings checked, listed, searched for free GPUs, and changed."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gputally.cli.shapeflags import SHAPE, given, limit_of
from gputally.cli.values import At, Duration, GivenPath, Moment
from gputally.model.clock import NS_PER_HOUR, NS_PER_SECOND, system_clock
from gputally.model.reservation import STATES

if TYPE_CHECKING:  # nothing of it is needed to print --help
    from datetime import tzinfo

    from gputally.model.reservation import Book
    from gputally.site.reservations.changes import Changed
    from gputally.tables.listed import Listed

_LONGEST = Duration(NS_PER_SECOND, 3660 * 24 * NS_PER_HOUR)
FILE = click.option(
    "--file",
    "file",
    help="The file of reservations.",
    type=GivenPath(dir_okay=False),
    default="reservations.yml",
    envvar="GPUTALLY_RESERVATIONS_FILE",
    show_default=True,
    show_envvar=True,
)
HOSTS = click.option("--host", "hosts", help="On this host; several times: on any of them.", multiple=True)
ZONE = click.option(
    "--timezone",
    help="Time zone of the times that are shown.",
    envvar="GPUTALLY_TIMEZONE",
    default="UTC",
    show_default=True,
    show_envvar=True,
)


@click.group(no_args_is_help=False)
def reservations() -> None:
    """Book GPUs: in a YAML file, which `gputally site` shows to Prometheus.

    Nothing is enforced: who books what, who uses it and who does not is told. Exit status: 0 done,
    1 refused or not possible, 2 wrong usage or a file that is not right.
    """


@reservations.command()
@click.argument("path", metavar="[FILE]", type=GivenPath(dir_okay=False), required=False)
@FILE
def check(path: Path | None, file: Path) -> int:
    """Check a FILE: its form, times, limits, and that nothing is booked twice."""
    from gputally.cli.bookwords import checked  # noqa: PLC0415 - not before the flags are right

    status, lines = checked(path or file, system_clock().wall_ns)
    for line in lines:
        click.echo(line, err=status != 0)
    return status


@reservations.command("list")
@given(
    FILE,
    click.option("--state", "states", help="pending, active, completed or cancelled; several times: any of "
                 "them. Pending and active ones if none is given.", multiple=True,
                 type=click.Choice([*STATES, "all"])),
    click.option("--team", "teams", help="Of this team; several times: of any of them.", multiple=True),
    HOSTS,
    ZONE,
    *SHAPE,
)  # fmt: skip
def list_(**flags: Any) -> None:  # noqa: ANN401 - click's own
    """List what is booked, by the time at which it begins."""
    from gputally.cli.bookwords import booked  # noqa: PLC0415 - as above

    _show(flags, booked)


@reservations.command()
@given(
    FILE,
    click.option("--gpus", help="How many GPUs of one host.", type=click.IntRange(1, 64), default=1,
                 show_default=True),
    click.option("--for", "for_ns", help="For how long, such as 8h.", type=_LONGEST, required=True),
    HOSTS,
    ZONE,
    *SHAPE,
)  # fmt: skip
def free(**flags: Any) -> None:  # noqa: ANN401 - click's own
    """Say when so many GPUs of one host are free for so long, earliest first."""
    from gputally.cli.bookwords import free_slots  # noqa: PLC0415 - as above

    _show(flags, free_slots)


@reservations.command()
@given(
    click.argument("name", metavar="ID"),
    FILE,
    click.option("--team", help="Whose it is.", required=True),
    click.option("--user", "users", help="Who may run there, beside the team's members; several times.",
                 multiple=True),
    click.option("--host", help="The host, as in the label instance, without its port.", required=True),
    click.option("--gpus", help="Which GPUs, by index or UUID, with commas between them."),
    click.option("--count", help="How many GPUs, whichever.", type=click.IntRange(1, 64)),
    click.option("--start", help="When it begins, such as 2026-11-20T09:00+01:00; or now.",
                 type=Moment(), required=True),
    click.option("--end", help="When it ends.", type=Moment()),
    click.option("--for", "for_ns", help="How long it is, such as 8h, in place of --end.", type=_LONGEST),
    click.option("--note", help="What it is for."),
    click.option("--price-per-gpu-hour", "price", help="What a GPU hour costs; else the file's price."),
)  # fmt: skip
def add(file: Path, name: str, **flags: Any) -> None:  # noqa: ANN401 - click's own
    """Book GPUs under an ID."""
    from gputally.cli.bookwords import row_of  # noqa: PLC0415 - as above
    from gputally.site.reservations import changes  # noqa: PLC0415 - as above

    if (flags["end"] is None) == (flags["for_ns"] is None):
        raise click.UsageError("expected either --end or --for")
    if (flags["gpus"] is None) == (flags["count"] is None):
        raise click.UsageError("expected either --gpus or --count")
    row = row_of(name, flags)
    _change(file, lambda data, now_ns: changes.add(data, str(file), row, now_ns), "booked")


@reservations.command()
@given(
    click.argument("name", metavar="ID"),
    FILE,
    click.option("--until", help="When it ends from now on.", type=Moment()),
    click.option("--by", "by_ns", help="By how much, such as 2h, in place of --until.", type=_LONGEST),
)
def extend(file: Path, name: str, until: At | None, by_ns: int | None) -> None:
    """Let the booking with this ID end later."""
    from gputally.site.reservations import changes  # noqa: PLC0415 - as above

    if (until is None) == (by_ns is None):
        raise click.UsageError("expected either --until or --by")

    def later_ns(end_ns: int) -> int:
        return until.ns if until is not None else end_ns + (by_ns or 0)

    _change(file, lambda data, now_ns: changes.extend(data, str(file), name, later_ns, now_ns), "extended")


@reservations.command()
@given(click.argument("name", metavar="ID"), FILE)
def cancel(file: Path, name: str) -> None:
    """Give the booking with this ID back from now on. It stays in the file, for what it held until now."""
    from gputally.site.reservations import changes  # noqa: PLC0415 - as above

    _change(file, lambda data, now_ns: changes.cancel(data, str(file), name, now_ns), "cancelled")


def _read(file: Path) -> "Book":
    from gputally.config.reservations import read_reservations  # noqa: PLC0415 - as above
    from gputally.config.strict import ConfigError  # noqa: PLC0415 - as above

    try:
        return read_reservations(file)
    except ConfigError as error:
        raise click.UsageError(str(error)) from None


def _show(flags: Mapping[str, Any], rows: "Callable[[Book, Mapping[str, Any], int, tzinfo], Listed]") -> None:
    from gputally.cli.bookwords import zone_of  # noqa: PLC0415 - as above
    from gputally.cli.printing import write  # noqa: PLC0415 - as above

    zone = zone_of(flags["timezone"])
    listed = rows(_read(flags["file"]), flags, system_clock().wall_ns, zone)
    write("reservations", listed, flags["form"], flags["page"], limit_of(flags))


def _change(file: Path, make: "Callable[[bytes, int], Changed]", done: str) -> None:
    from gputally.cli.bookedit import change  # noqa: PLC0415 - as above
    from gputally.cli.bookwords import sentence  # noqa: PLC0415 - as above
    from gputally.config.strict import ConfigError  # noqa: PLC0415 - as above
    from gputally.site.reservations.changes import RefusedError  # noqa: PLC0415 - as above

    made: list[Changed] = []

    def edit(data: bytes) -> bytes:
        made.append(make(data, system_clock().wall_ns))
        return made[-1].data

    try:
        note = change(file, edit)
    except ConfigError as error:
        raise click.UsageError(str(error)) from None
    except RefusedError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{done} {sentence(made[-1].reservation)}")
    if note:
        click.echo(f"gputally reservations: note: {note}", err=True)
