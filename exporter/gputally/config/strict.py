"""YAML without surprises: one file in, typed values out, and one line that says what is wrong where.

Every value is typed here from its plain text, so that `no` is a word, `010` is refused and `1:30` is not 90.
This file refuses to know any key: a reader asks a `Section` for the keys it knows, and `finish()` complains
about all others.

    root = strict.load(Path("gputally.yml"))
    interval_ns = root.duration_ns("interval", 1_000_000_000, minimum=250_000_000)
    for team in root.list("teams"):
        row = team.mapping()
        name = row.string("name")
    root.finish()
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import TypeVar

from gputally.config import durations, yamltree
from gputally.config.yamltree import ConfigError, Node

__all__ = ["REQUIRED", "ConfigError", "Section", "Value", "load", "parse"]

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,18})?")
_MOST_OPTIONS_SHOWN = 8

D = TypeVar("D")
T = TypeVar("T")
N = TypeVar("N", int, float, Decimal)


class _Required(Enum):
    REQUIRED = 0


REQUIRED = _Required.REQUIRED  # the default of a key that must be there


def load(path: Path) -> "Section":
    """Read one YAML file whose top level is a mapping.

    Raises:
        ConfigError: the file cannot be read or is not strict YAML.
    """
    return parse(yamltree.read_regular_file(path), str(path))


def parse(data: bytes, name: str) -> "Section":
    """Read YAML from memory; `name` stands for the file in messages.

    Raises:
        ConfigError: the bytes are not strict YAML.
    """
    return Section(Value(name, "", yamltree.parse(data, name)))


@dataclass(frozen=True, slots=True)
class Value:
    """One value and its place. Every method reads it as one type or raises `ConfigError`."""

    file: str
    path: str
    node: Node
    secret: bool = False  # messages must not show it

    def error(self, message: str) -> ConfigError:
        """Make the error that points here, for checks only the reader can do."""
        return ConfigError(self.file, message, self.node.line, self.node.column, self.path)

    def expected(self, what: str) -> ConfigError:
        """Make the error `expected ..., found ...`."""
        hidden = self.secret and bool(self.node.text)
        shown = "a value that is not shown" if hidden else yamltree.found(self.node)
        return self.error(f"expected {what}, found {shown}")

    def string(self, what: str = "a string") -> str:
        """Read text, quoted or plain; empty and null are refused."""
        if not self.node.text or self.is_null():
            raise self.expected(what)
        return self.node.text

    def choice(self, options: Sequence[str]) -> str:
        """Read one of a few words, as written in `options`."""
        what = "one of " + ", ".join(options)
        if len(options) > _MOST_OPTIONS_SHOWN:
            near = _near(self.node.text or "", options, cutoff=0.0)
            what = f"one of {len(options)} names, such as {(near or options)[0]}"
        if (text := self.string(what)) not in options:
            raise self.expected(what)
        return text

    def boolean(self) -> bool:
        """Read `true` or `false`, and no other spelling."""
        if not self.node.plain or self.node.text not in ("true", "false"):
            raise self.expected("true or false")
        return self.node.text == "true"

    def integer(self, minimum: int | None = None, maximum: int | None = None) -> int:
        """Read a whole number in decimal, without leading zeros, `_` or exponent."""
        what = f"a whole number{_range(minimum, maximum)}"
        return self._within(int(self._plain(_INTEGER, what)), what, minimum, maximum)

    def decimal(self, minimum: Decimal | None = None, maximum: Decimal | None = None) -> Decimal:
        """Read a finite number exactly as written, for amounts of money."""
        what = f"a decimal number{_range(minimum, maximum)}"
        return self._within(Decimal(self._plain(_NUMBER, what)), what, minimum, maximum)

    def number(self, minimum: float | None = None, maximum: float | None = None) -> float:
        """Read a finite number."""
        what = f"a decimal number{_range(minimum, maximum)}"
        return self._within(float(self._plain(_NUMBER, what)), what, minimum, maximum)

    def duration_ns(self, minimum: int | None = None, maximum: int | None = None) -> int:
        """Read a duration such as `1m30s` as nanoseconds; the bounds are nanoseconds too."""
        shown = [None if bound is None else durations.format_ns(bound) for bound in (minimum, maximum)]
        what = f"a duration{_range(*shown)}, such as 1m30s" if any(shown) else durations.DESCRIPTION
        try:
            duration_ns = durations.parse_ns(self.string(what))
        except ValueError:
            raise self.expected(what) from None
        return self._within(duration_ns, what, minimum, maximum)

    def mapping(self) -> "Section":
        """Read a mapping."""
        if self.node.entries is None:
            raise self.expected("a mapping")
        return Section(self)

    def list(self) -> "tuple[Value, ...]":
        """Read a list; every item keeps its place."""
        if self.node.items is None:
            raise self.expected("a list")
        return tuple(
            Value(self.file, f"{self.path}[{index}]", item, self.secret)
            for index, item in enumerate(self.node.items)
        )

    def is_null(self) -> bool:
        """Whether the key stands there without a value."""
        return self.node.plain and self.node.text in yamltree.NULLS

    def _plain(self, pattern: re.Pattern[str], what: str) -> str:
        text = self.node.text
        if text is None or not self.node.plain or not pattern.fullmatch(text):
            raise self.expected(what)
        return text

    def _within(self, number: N, what: str, minimum: N | None, maximum: N | None) -> N:
        if (minimum is not None and number < minimum) or (maximum is not None and number > maximum):
            raise self.expected(what)
        return number


def _near(word: str, options: Iterable[str], cutoff: float = 0.6) -> list[str]:
    """The option that was probably meant, if any."""
    import difflib  # noqa: PLC0415 - a quarter of a MiB for who makes no mistake

    return difflib.get_close_matches(word, list(options), n=1, cutoff=cutoff)


def _range(minimum: object, maximum: object) -> str:
    if minimum is None:
        return "" if maximum is None else f" of at most {maximum}"
    return f" of at least {minimum}" if maximum is None else f" from {minimum} to {maximum}"


class Section:
    """A mapping whose keys are taken one by one; a key that is not there gives the default.

    A mapping that is not in the file reads as an empty section with `present` False, so that the defaults of
    its keys stand in one place.
    """

    def __init__(self, value: Value, present: bool = True) -> None:
        self.value, self.present = value, present
        self._entries = value.node.entries or {}
        self._known: dict[str, None] = {}  # in the order of asking
        self._children: list[Section] = []

    def get(self, key: str, *, secret: bool = False) -> Value | None:
        """Take a value of any type, or None."""
        self._known[key] = None
        entry = self._entries.get(key)
        if entry is None:
            return None
        path = yamltree.join(self.value.path, key)
        return Value(self.value.file, path, entry[1], secret or self.value.secret)

    def items(self) -> Iterator[tuple[str, Value]]:
        """Take every key, for mappings whose keys are names that people choose."""
        for key in self._entries:
            if (value := self.get(key)) is not None:
                yield key, value

    def _read(
        self, key: str, default: D | _Required, read: Callable[[Value], T], secret: bool = False
    ) -> T | D:
        value = self.get(key, secret=secret)
        if value is not None:
            return read(value)
        if isinstance(default, _Required):
            raise self.value.error(f"missing key {key}")
        return default

    def string(self, key: str, default: D | _Required = REQUIRED, *, secret: bool = False) -> str | D:
        """Take text."""
        return self._read(key, default, Value.string, secret)

    def choice(self, key: str, options: Sequence[str], default: D | _Required = REQUIRED) -> str | D:
        """Take one of a few words."""
        return self._read(key, default, lambda value: value.choice(options))

    def boolean(self, key: str, default: D | _Required = REQUIRED) -> bool | D:
        """Take `true` or `false`."""
        return self._read(key, default, Value.boolean)

    def integer(
        self,
        key: str,
        default: D | _Required = REQUIRED,
        *,
        minimum: int | None = None,
        maximum: int | None = None,
    ) -> int | D:
        """Take a whole number."""
        return self._read(key, default, lambda value: value.integer(minimum, maximum))

    def number(
        self,
        key: str,
        default: D | _Required = REQUIRED,
        *,
        minimum: float | None = None,
        maximum: float | None = None,
    ) -> float | D:
        """Take a finite number."""
        return self._read(key, default, lambda value: value.number(minimum, maximum))

    def decimal(
        self,
        key: str,
        default: D | _Required = REQUIRED,
        *,
        minimum: Decimal | None = None,
        maximum: Decimal | None = None,
    ) -> Decimal | D:
        """Take a finite number exactly as written."""
        return self._read(key, default, lambda value: value.decimal(minimum, maximum))

    def duration_ns(
        self,
        key: str,
        default: D | _Required = REQUIRED,
        *,
        minimum: int | None = None,
        maximum: int | None = None,
    ) -> int | D:
        """Take a duration, in nanoseconds."""
        return self._read(key, default, lambda value: value.duration_ns(minimum, maximum))

    def list(self, key: str) -> tuple[Value, ...]:
        """Take a list; a missing one is empty."""
        return self._read(key, (), Value.list)

    def mapping(self, key: str, *, secret: bool = False) -> "Section":
        """Take a mapping; a missing one is an empty section that is not `present`."""
        value = self.get(key, secret=secret)
        if value is None:
            nowhere = Node(self.value.node.line, self.value.node.column, entries={})
            value = Value(self.value.file, yamltree.join(self.value.path, key), nowhere, secret)
            return Section(value, present=False)
        section = value.mapping()
        self._children.append(section)
        return section

    def error(self, key: str, message: str) -> ConfigError:
        """Make the error that points at a key, or at the section when the key is not there."""
        value = self.get(key)
        return value.error(message) if value else self.value.error(f"{key}: {message}")

    def finish(self) -> None:
        """Complain about the first key nobody asked for, here and in the mappings taken from here.

        Raises:
            ConfigError: a key is unknown; a near name is suggested.
        """
        for key, (where, _value) in self._entries.items():
            if key not in self._known:
                near = _near(key, self._known)
                hint = f"did you mean {near[0]}?" if near else "expected one of " + ", ".join(self._known)
                path = yamltree.join(self.value.path, key)
                raise ConfigError(self.value.file, f"unknown key, {hint}", where.line, where.column, path)
        for child in self._children:
            child.finish()
