"""How the text of a flag or a variable becomes a value; what cannot be used is refused before all else."""

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import click

from gputally.config.durations import format_ns, parse_ns
from gputally.config.instants import offset_of, parse_instant_ns
from gputally.config.yamltree import quote
from gputally.model.clock import NS_PER_SECOND, system_clock


class Duration(click.ParamType):  # type: ignore[type-arg]  # generic in newer releases only
    """`250ms`, `1s`, `1m30s`: nanoseconds within bounds."""

    name = "duration"

    def __init__(self, minimum_ns: int, maximum_ns: int) -> None:
        self._minimum_ns, self._maximum_ns = minimum_ns, maximum_ns

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:  # noqa: ANN401 - click's signature
        """Read the text; refuse what is out of bounds."""
        if isinstance(value, int):
            return value
        try:
            duration_ns = parse_ns(value)
        except ValueError as error:
            self.fail(f"{value!r}: {error}", param, ctx)
        if not self._minimum_ns <= duration_ns <= self._maximum_ns:
            low, high = format_ns(self._minimum_ns), format_ns(self._maximum_ns)
            self.fail(f"{value} is not between {low} and {high}", param, ctx)
        return duration_ns


class At(NamedTuple):
    """An instant, and the offset from UTC in which somebody wrote it."""

    ns: int
    offset: timedelta


class Moment(click.ParamType):  # type: ignore[type-arg]  # as Duration
    """`2026-11-20T09:00+01:00` or `now`, in whole seconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> At:  # noqa: ANN401 - click's signature
        """Read the text; refuse what has no offset."""
        if isinstance(value, At):
            return value
        if value == "now":
            now_ns = system_clock().wall_ns
            return At(now_ns - now_ns % NS_PER_SECOND, timedelta(0))
        try:
            return At(parse_instant_ns(value), offset_of(value))
        except ValueError as error:
            self.fail(f"{value!r}: {error}", param, ctx)


class GivenPath(click.Path):
    """A path that is not empty: `--state.dir=$UNSET` must not mean the folder that we happen to be in.

    Whether it may be read is found out by who reads it: for a state folder that is no reason not to start.
    """

    def __init__(self, **more: Any) -> None:  # noqa: ANN401 - click's own keywords
        super().__init__(readable=False, path_type=Path, **more)

    def convert(
        self,
        value: "str | os.PathLike[str]",
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:  # noqa: ANN401 - click's signature
        """Refuse the empty path and what is there as something else."""
        if not os.fspath(value):
            self.fail("the path is empty", param, ctx)
        return super().convert(value, param, ctx)


class Checked(click.ParamType):  # type: ignore[type-arg]  # as Duration
    """Text as it was given, if whoever is to use it can; `check` raises ValueError with one line."""

    def __init__(self, name: str, check: Callable[[str], None]) -> None:
        self.name, self._check = name, check

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ANN401 - click's signature
        """Refuse what cannot be used."""
        try:
            self._check(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        return str(value)


def check_address(text: str) -> None:
    """Raise ValueError, with one line, for what is no address to listen on."""
    from gputally.web.listen import parse_address  # noqa: PLC0415 - as below

    parse_address(text)


def check_telemetry_path(text: str) -> None:
    """Raise ValueError, with one line, for what is no path of its own."""
    from gputally.web import handlers  # noqa: PLC0415 - the web server is not loaded to say --version

    if text == handlers.LANDING_PATH:
        raise ValueError("/: this path is taken by the landing page")
    handlers.check_telemetry_path(text)


def check_card(slug: str) -> None:
    """Raise ValueError, with one line, for what is no card of the catalogue."""
    import difflib  # noqa: PLC0415 - as below

    from gputally.site.market import cards  # noqa: PLC0415 - only whoever has a market loads the catalogue

    known = cards.load().cards
    if slug not in known:
        near = difflib.get_close_matches(slug, known, n=1, cutoff=0.0)
        raise ValueError(f"no card is called {quote(slug)}; the nearest name is {near[0]}")
