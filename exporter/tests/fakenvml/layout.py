"""The control file's layout, read from the C headers, so that C and Python cannot disagree by hand.

It knows the few forms that layout.h allows itself and refuses everything else.
"""

from __future__ import annotations

import ctypes
import re
from pathlib import Path
from typing import Any

SOURCES = Path(__file__).parent / "src"

_TYPES: dict[str, Any] = {
    "char": ctypes.c_char,
    "uint32_t": ctypes.c_uint32,
    "int32_t": ctypes.c_int32,
    "uint64_t": ctypes.c_uint64,
    "int64_t": ctypes.c_int64,
    "double": ctypes.c_double,
}
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_DEFINE = re.compile(r"#define (\w+) (0x[0-9a-f]+|\d+)$")
_STRUCT = re.compile(r"struct (\w+) \{$")
_FIELD = re.compile(r"(?:struct )?(\w+) (\w+)(?:\[(\w+)\])?;$")
_IGNORED = re.compile(r"#(ifndef|endif|include|define \w+$)")


def _member(line: str, types: dict[str, Any], constants: dict[str, int]) -> tuple[str, Any]:
    match = _FIELD.match(line)
    if match is None or match[1] not in types:
        raise ValueError(f"layout.h: cannot read {line!r}")
    base, name, count = types[match[1]], match[2], match[3]
    if count is None:
        return name, base
    return name, base * (constants[count] if count in constants else int(count))


def read_layout(text: str) -> tuple[dict[str, int], dict[str, type[ctypes.Structure]]]:
    """Returns the constants and the structures of layout.h."""
    constants: dict[str, int] = {}
    types = dict(_TYPES)
    structures: dict[str, type[ctypes.Structure]] = {}
    members: list[tuple[str, Any]] | None = None
    name = ""
    for line in map(str.strip, _COMMENT.sub("", text).splitlines()):
        if members is not None and line == "};":
            structures[name] = types[name] = type(name, (ctypes.Structure,), {"_fields_": members})
            members = None
        elif members is not None and line:
            members.append(_member(line, types, constants))
        elif (define := _DEFINE.match(line)) is not None:
            constants[define[1]] = int(define[2], 0)
        elif (struct := _STRUCT.match(line)) is not None:
            name, members = struct[1], []
        elif line and not _IGNORED.match(line):
            raise ValueError(f"layout.h: cannot read {line!r}")
    return constants, structures


def read_functions(text: str) -> tuple[dict[str, int], frozenset[str]]:
    """Returns the number of each function of functions.h, and the names that are counted per GPU."""
    rows = re.findall(r"^(SYSTEM|DEVICE)\((\w+)\)$", text, re.MULTILINE)
    numbers = {name: number for number, (_, name) in enumerate(rows)}
    return numbers, frozenset(name for kind, name in rows if kind == "DEVICE")


CONSTANTS, STRUCTURES = read_layout((SOURCES / "layout.h").read_text())
FUNCTIONS, DEVICE_FUNCTIONS = read_functions((SOURCES / "functions.h").read_text())
Control = STRUCTURES["control"]


def layout_checks() -> str:
    """Returns C source that fails to compile unless every offset and size is what ctypes made of it."""
    lines = ["#include <stddef.h>", '#include "layout.h"']
    for struct, structure in STRUCTURES.items():
        size = ctypes.sizeof(structure)
        lines.append(f'_Static_assert(sizeof(struct {struct}) == {size}, "{struct}");')
        for field in structure._fields_:
            offset = getattr(structure, field[0]).offset
            check = f"offsetof(struct {struct}, {field[0]}) == {offset}"
            lines.append(f'_Static_assert({check}, "{struct}.{field[0]}");')
    return "\n".join(lines) + "\n"
