"""Blocks of samples -> the bytes of a scrape, as Prometheus text 0.0.4 or OpenMetrics 1.0.

Written here and not by prometheus_client because one render has to cost well under 4 ms a thousand series;
the tests parse every byte with that library's strict parsers and compare with its own writer.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from functools import lru_cache

from gputally.catalogue import Family

Sample = tuple[str, float]  # (labels as rendered between the braces, value)
FamilySamples = tuple[Family, Callable[[], Sequence[Sample]]]  # a family and how to get its samples
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


class Format(StrEnum):
    """The two formats that Prometheus asks for; the words are those by which the web front asks."""

    TEXT = "text-0.0.4"
    OPENMETRICS = "openmetrics-1.0.0"


@lru_cache(maxsize=4096)
def escape(value: str) -> str:
    """A label value as it stands between the quotes."""
    return value.translate(_ESCAPES)


def label_pairs(names: Iterable[str], values: Iterable[str]) -> str:
    """Render `a="1",b="2"`. Raises ValueError if names and values are not equally many."""
    return ",".join([f'{n}="{escape(v)}"' for n, v in zip(names, values, strict=True)])


def number(value: float) -> str:
    """A value as Go would parse it back exactly. Raises ValueError for what is not a number."""
    value = float(value)  # a bool becomes 1.0 or 0.0
    if math.isnan(value) or math.isinf(value):
        raise ValueError("not a number")  # absent is not zero, and not NaN either
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


@lru_cache(maxsize=512)
def _header(family: Family, fmt: Format) -> str:
    if fmt is Format.TEXT:
        text = family.help.replace("\\", "\\\\").replace("\n", "\\n")
        return f"# HELP {family.name} {text}\n# TYPE {family.name} {family.type}\n"
    name = family.base_name
    text = family.help.translate(_ESCAPES)
    unit = f"# UNIT {name} {family.unit}\n" if family.unit and name.endswith(f"_{family.unit}") else ""
    return f"# HELP {name} {text}\n# TYPE {name} {family.type}\n{unit}"


def body(family: Family, samples: Iterable[Sample]) -> str:
    """The sample lines of a family; the same in both formats. Raises ValueError as `number` does."""
    name = family.name
    return "".join(
        [
            f"{name}{{{labels}}} {number(value)}\n" if labels else f"{name} {number(value)}\n"
            for labels, value in samples
        ],
    )


def render(bodies: Iterable[tuple[Family, str]], fmt: Format) -> bytes:
    """Put headers before the bodies and, in OpenMetrics, the end mark by which a cut scrape is recognised."""
    parts = [_header(family, fmt) + text for family, text in bodies]
    if fmt is Format.OPENMETRICS:
        parts.append("# EOF\n")
    return "".join(parts).encode("utf-8", "replace")
