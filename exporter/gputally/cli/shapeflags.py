"""How options are given to a command, and those of a list: which page of it, in which form, of what only."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])
TABLE_ROWS = 50
_SEVERAL = "May be given several times."


def given(*options: Callable[[F], F]) -> Callable[[F], F]:
    """Give a command options, in this order."""

    def decorate(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def several(*flags: str, text: str, **more: Any) -> Callable[[F], F]:  # noqa: ANN401 - click's own
    """An option of which each value counts."""
    return click.option(*flags, help=f"{text} {_SEVERAL}", multiple=True, **more)


def only(name: str, text: str, **more: Any) -> Callable[[F], F]:  # noqa: ANN401 - click's own
    """`--NAME`: rows of these values, and no others."""
    return several(f"--{name}", f"only_{name}", text=text, **more)


def form(
    text: str = "For people or for programs.", forms: Sequence[str] = ("table", "csv", "json")
) -> Callable[[F], F]:
    """`--format`."""
    return click.option(
        "--format", "form", help=text, default="table", show_default=True, type=click.Choice(forms)
    )


PAGE = (
    click.option(
        "--limit",
        help=f"Rows of a page; 0: all. A table has {TABLE_ROWS} if nothing is said, CSV and JSON have all.",
        type=click.IntRange(0, 1_000_000),
    ),
    click.option(
        "--page", help="Which page.", type=click.IntRange(1, 1_000_000), default=1, show_default=True
    ),
)
SHAPE = (*PAGE, form())


def limit_of(flags: Mapping[str, Any]) -> int:
    """How many rows a page has; 0: all."""
    limit: int | None = flags["limit"]
    return limit if limit is not None else TABLE_ROWS if flags["form"] == "table" else 0
