"""What text may be configuration at all: its size, encoding, nesting and grammar, as nodes with positions.

Refuses duplicate keys, keys that are no strings, anchors, aliases, merges, tags and a second document. It
does not know what a value means: a scalar stays the text it was, and `strict` types it.
"""

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

MAX_BYTES = 256 * 1024  # the pure-Python scanner takes a second for this much
MAX_DEPTH = 32
_TOO_DEEP = f"expected at most {MAX_DEPTH} levels of nesting"

# libyaml where PyYAML was built with it: 17 times faster, the same events.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NOT_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
NULLS = ("", "~", "null", "Null", "NULL")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_LONGEST_QUOTE = 40


class ConfigError(Exception):
    """Configuration that cannot be used. `str()` is one line: `FILE:LINE:COL key.path: what is wrong`."""

    def __init__(self, file: str, message: str, line: int = 0, column: int = 0, key: str = "") -> None:
        self.file, self.message, self.line, self.column, self.key = file, message, line, column, key
        place = f"{file}:{line}:{column}" if line else file
        super().__init__(_one_line(f"{place} {key}: {message}" if key else f"{place}: {message}"))


def _one_line(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)


def quote(text: str) -> str:
    """Show foreign text in a message: quoted, on one line, and never longer than a glance."""
    shown = text if len(text) <= _LONGEST_QUOTE else text[:_LONGEST_QUOTE] + "..."
    return f'"{_one_line(shown)}"'


def join(path: str, key: str) -> str:
    """Extend a key path; a key that is not a bare word stands in quotes."""
    name = key if _BARE_KEY.fullmatch(key) and len(key) <= _LONGEST_QUOTE else quote(key)
    return f"{path}.{name}" if path else name


@dataclass(frozen=True, slots=True)
class Node:
    """One value as it stands in the file; exactly one of `text`, `items` and `entries` is not None."""

    line: int
    column: int
    text: str | None = None
    plain: bool = False  # a scalar without quotes
    items: "tuple[Node, ...] | None" = None
    entries: "dict[str, tuple[Node, Node]] | None" = None  # key -> (where the key stands, its value)


def read_regular_file(path: Path, max_bytes: int = MAX_BYTES) -> bytes:
    """Read a whole, small, regular file; a FIFO or a device is refused instead of waited for.

    Raises:
        ConfigError: it is missing, unreadable, not a regular file or larger than `max_bytes`.
    """
    name = str(path)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise ConfigError(name, f"cannot be read: {getattr(error, 'strerror', None) or error}") from None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ConfigError(name, "expected a regular file, found a directory, pipe or device")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            data = file.read(max_bytes + 1)
    except OSError as error:
        raise ConfigError(name, f"cannot be read: {error.strerror}") from None
    finally:
        os.close(descriptor)
    if len(data) > max_bytes:
        raise ConfigError(name, f"too large: expected at most {max_bytes // 1024} KiB")
    return data


def fingerprint(path: Path) -> tuple[int, ...] | None:
    """What changes when a file is written, replaced, or made readable; None where there is none.

    To be taken before the file is read: what changes meanwhile has another one at the next look.
    """
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def parse(data: bytes, name: str) -> Node:
    """Read one YAML document whose top level is a mapping; a byte order mark is skipped.

    `name` stands for the file in messages.

    Raises:
        ConfigError: the bytes are not strict YAML.
    """
    if len(data) > MAX_BYTES:
        raise ConfigError(name, f"too large: expected at most {MAX_BYTES // 1024} KiB")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - (data.rfind(b"\n", 0, error.start) + 1) + 1
        raise ConfigError(
            name, f"expected UTF-8, found byte 0x{data[error.start]:02x}", line, column
        ) from None
    if match := _NOT_TEXT.search(text):
        line = text.count("\n", 0, match.start()) + 1
        column = match.start() - (text.rfind("\n", 0, match.start()) + 1) + 1
        raise ConfigError(name, f"expected text, found character U+{ord(match[0]):04X}", line, column)
    return _Tree(name, text).document()


def _place(event: yaml.Event) -> tuple[int, int]:
    mark = event.start_mark
    return (1, 1) if mark is None else (mark.line + 1, mark.column + 1)


class _Tree:
    """Builds nodes from the parser's events, which come before any alias is expanded or tag obeyed."""

    def __init__(self, name: str, text: str) -> None:
        self._name = name
        self._lines = text.splitlines()
        self._events = yaml.parse(text, Loader=_LOADER)

    def document(self) -> Node:
        self._next()  # the stream begins
        event = self._next()
        if isinstance(event, yaml.StreamEndEvent):
            raise self._error(event, "", "expected a mapping, found an empty file; write {} to set nothing")
        root = self._node(self._next(), "", 0)
        self._next()  # the document ends
        if not isinstance(event := self._next(), yaml.StreamEndEvent):
            raise self._error(event, "", "expected one document, found a second one")
        if root.entries is None:
            raise ConfigError(self._name, f"expected a mapping, found {found(root)}", root.line, root.column)
        return root

    def _next(self) -> yaml.Event:
        try:
            return next(self._events)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line, column = (mark.line, mark.column) if mark else (0, 0)
            message = f"not YAML: {error.problem or error.context}"
            if line < len(self._lines) and self._lines[line][column : column + 1] == "\t":
                message = "expected spaces, found a tab"
            elif "nesting depth" in (error.problem or ""):  # PyYAML 6.0.4 has a limit and looks ahead
                message = _TOO_DEEP
            raise ConfigError(self._name, message, line + 1, column + 1) from None
        except (yaml.YAMLError, ValueError) as error:  # without a mark; ValueError: an escape past U+10FFFF
            raise ConfigError(self._name, f"not YAML: {error}") from None

    def _error(self, event: yaml.Event, path: str, message: str) -> ConfigError:
        return ConfigError(self._name, message, *_place(event), path)

    def _node(self, event: yaml.Event, path: str, depth: int) -> Node:
        line, column = _place(event)
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise self._error(event, path, "anchors and aliases are not supported: write the value out")
        if getattr(event, "tag", None) is not None:
            raise self._error(event, path, "tags (!) are not supported: put the text in quotes")
        if depth > MAX_DEPTH:
            raise self._error(event, "", _TOO_DEEP)
        if isinstance(event, yaml.MappingStartEvent):
            return Node(line, column, entries=self._entries(path, depth))
        if isinstance(event, yaml.SequenceStartEvent):
            return Node(line, column, items=tuple(self._items(path, depth)))
        if not isinstance(event, yaml.ScalarEvent):
            raise self._error(event, path, "expected a value")
        if _NOT_TEXT.search(event.value):  # written as an escape in double quotes
            raise self._error(event, path, "expected text, found an escaped control character")
        return Node(line, column, text=event.value, plain=event.implicit[0])

    def _items(self, path: str, depth: int) -> Iterator[Node]:
        index = 0
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            yield self._node(event, f"{path}[{index}]", depth + 1)
            index += 1

    def _entries(self, path: str, depth: int) -> dict[str, tuple[Node, Node]]:
        entries: dict[str, tuple[Node, Node]] = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            key = self._node(event, path, depth + 1)
            if key.text is None or (key.plain and _reads_as_other_than_string(key.text)):
                raise self._error(
                    event, path, f"expected a string as key, found {found(key)}: put it in quotes"
                )
            if key.text in entries:
                first = entries[key.text][0].line
                raise self._error(event, join(path, key.text), f"duplicate key, first at line {first}")
            entries[key.text] = key, self._node(self._next(), join(path, key.text), depth + 1)
        return entries


def _reads_as_other_than_string(text: str) -> bool:
    """Whether some YAML reader would make a number, a date, a boolean, null or a merge of this plain key."""
    resolvers = yaml.SafeLoader.yaml_implicit_resolvers.get(text[:1], [])
    return any(pattern.match(text) for _tag, pattern in resolvers)


def found(node: Node) -> str:
    """Say in a message what stands there."""
    if node.text is None:
        return "a list" if node.entries is None else "a mapping"
    if node.plain:
        return "nothing" if node.text in NULLS else quote(node.text)
    return f"the quoted string {quote(node.text)}"
