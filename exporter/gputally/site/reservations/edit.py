"""Changes of the text of a file of reservations: what is not meant stays as it is, byte for byte. Pure.

A place is looked up in what the YAML parser saw, and text is put in there. Whether the result says what was
meant, and nothing else, is found out by reading it again, which is the caller's part.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence

import yaml

Row = Mapping[str, str | Sequence[str]]  # key -> text, or a list of texts, in the order of writing
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+-]*", re.ASCII)
_KEY = "reservations"


class LayoutError(Exception):
    """The file is written in a way that cannot be changed here; one line."""


def with_row(text: str, row: Row) -> str:
    """Put a booking behind the others. Raises LayoutError."""
    root, newline = _root(text), _newline(text)
    listed = _value(root, _KEY)
    if listed is None:
        return _with_list(text, root, row, newline)
    if not isinstance(listed, yaml.SequenceNode):
        raise LayoutError(f"{_KEY} is no list")
    start, end = listed.start_mark.index, listed.end_mark.index
    if not listed.value:
        if root.flow_style or text[end:].split("\n", 1)[0].strip():
            return text[:start] + f"[{_flow(row)}]" + text[end:]
        return text[:start].rstrip(" ") + newline + _block(row, 0, newline) + text[end:]
    last = _end(text, listed)
    if listed.flow_style:
        return f"{text[:last]}, {_flow(row)}{text[last:]}"
    return _with_lines(text, last, newline, _block(row, listed.start_mark.column, newline))


def with_value(text: str, name: str, key: str, value: str) -> str:
    """Give a booking, which is there, another value of a key, or the key. Raises LayoutError."""
    item = _item(_root(text), name)
    node = _value(item, key)
    if isinstance(node, yaml.ScalarNode):
        start, end = node.start_mark.index, node.end_mark.index
        quote = node.style or ""
        if quote not in ("", "'", '"'):
            raise LayoutError(f"{key} of {name} is a block of text")
        return f"{text[:start]}{quote}{value}{quote}{text[end:]}"
    last = _end(text, item)
    if item.flow_style:
        return f"{text[:last]}, {key}: {_scalar(value)}{text[last:]}"
    indent = " " * item.value[0][0].start_mark.column
    return _with_lines(text, last, _newline(text), f"{indent}{key}: {_scalar(value)}")


def _root(text: str) -> yaml.MappingNode:
    # The parser in Python: its marks are the same on every machine.
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode):
        raise LayoutError("the file is no mapping")
    return root


def _value(mapping: yaml.MappingNode, key: str) -> yaml.Node | None:
    return next((value for name, value in mapping.value if name.value == key), None)


def _item(root: yaml.MappingNode, name: str) -> yaml.MappingNode:
    listed = _value(root, _KEY)
    for item in listed.value if isinstance(listed, yaml.SequenceNode) else ():
        if isinstance(item, yaml.MappingNode):
            found = _value(item, "id")
            if found is not None and found.value == name:
                return item
    raise LayoutError(f"no reservation is called {name}")


def _with_list(text: str, root: yaml.MappingNode, row: Row, newline: str) -> str:
    """The first booking of a file that has no list of them."""
    start, end = root.start_mark.index, root.end_mark.index
    if not root.value:
        return f"{text[:start]}{_KEY}:{newline}{_block(row, 0, newline)}{text[end:]}"
    if root.flow_style:
        last = _end(text, root)
        return f"{text[:last]}, {_KEY}: [{_flow(row)}]{text[last:]}"
    head = text if text.endswith("\n") else text + newline
    return f"{head}{_KEY}:{newline}{_block(row, 0, newline)}{newline}"


def _with_lines(text: str, last: int, newline: str, lines: str) -> str:
    """Put lines below the one in which something ends, and what else stands in that one."""
    at = text.find("\n", last)
    if at < 0:
        return text + newline + lines
    return f"{text[: at + 1]}{lines}{newline}{text[at + 1 :]}"


def _end(text: str, node: yaml.Node) -> int:
    """Where the last value ends: a block's own end lies behind comments and blank lines."""
    if isinstance(node, yaml.ScalarNode):
        start, end = int(node.start_mark.index), int(node.end_mark.index)
        return start + len(text[start:end].rstrip()) if node.style in ("|", ">") else end
    return max((_own_end(text, child) for child in _children(node)), default=int(node.end_mark.index))


def _own_end(text: str, node: yaml.Node) -> int:
    if isinstance(node, yaml.CollectionNode) and node.flow_style:
        return int(node.end_mark.index)
    return _end(text, node)


def _children(node: yaml.Node) -> Iterator[yaml.Node]:
    for child in node.value:
        if isinstance(child, tuple):
            yield child[1]
        else:
            yield child


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _block(row: Row, column: int, newline: str) -> str:
    indent = " " * column
    lines = [f"{key}: {_written(value)}" for key, value in row.items()]
    return newline.join(f"{indent}{'  ' if at else '- '}{line}" for at, line in enumerate(lines))


def _flow(row: Row) -> str:
    return "{" + ", ".join(f"{key}: {_written(value)}" for key, value in row.items()) + "}"


def _written(value: str | Sequence[str]) -> str:
    if isinstance(value, str):
        return _scalar(value)
    return "[" + ", ".join(map(_scalar, value)) + "]"


def _scalar(text: str) -> str:
    """Plain where every reader takes it for text, an index or a time; else in quotes."""
    if _PLAIN.fullmatch(text) and (_is_text(text) or text[0].isdigit()) and not text.endswith(":"):
        return text
    return json.dumps(text, ensure_ascii=False)


def _is_text(text: str) -> bool:
    resolvers = yaml.SafeLoader.yaml_implicit_resolvers.get(text[:1], [])
    return not any(pattern.match(text) for _tag, pattern in resolvers)
