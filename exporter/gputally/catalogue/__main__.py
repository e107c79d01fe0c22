"""`python -m gputally.catalogue [--check] FILE`: the metrics page of the manual, written from the rows."""

import sys
from itertools import groupby
from pathlib import Path

from gputally.catalogue import FAMILIES, Family

_INTRO = """# Metrics

Written from the catalogue by `make docs`; do not edit. {count} families.

Base units everywhere (watts, joules, seconds, bytes, degrees Celsius, hertz, ratios from 0 to 1). A value that a
card or driver does not offer has no series: absent is not zero. Counters go on over a restart of the exporter, a
reload of the driver and a reboot of the machine, if `--state.dir` is given.

`gpu` is the driver's index and may move when GPUs come and go; `uuid` is the driver's UUID, verbatim. To add a
name to a series, join `gpu_info`:

```promql
gpu_power_watts * on (instance, uuid) group_left (name) max by (instance, uuid, name) (gpu_info)
```
"""


def manual() -> str:
    """The page as Markdown."""
    parts = [_INTRO.format(count=len(FAMILIES))]
    for section, rows in groupby(FAMILIES, key=lambda row: row.section):
        parts.append(
            f"\n## {section}\n\n| family | type | labels | what it says | source |\n|---|---|---|---|---|\n"
        )
        parts.extend(map(_line, rows))
    return "".join(parts)


def _line(row: Family) -> str:
    labels = ", ".join(f"`{label}`" for label in row.labels) or "-"
    return f"| `{row.name}` | {row.type} | {labels} | {row.help} | {row.source} |\n"


def main(arguments: list[str]) -> int:
    """Write the page, or with --check compare it. Returns the exit status."""
    check = "--check" in arguments
    names = [argument for argument in arguments if argument != "--check"]
    if len(names) != 1:
        sys.stderr.write("usage: python -m gputally.catalogue [--check] FILE\n")
        return 2
    path = Path(names[0])
    if not check:
        path.write_text(manual())
        return 0
    if not path.exists() or path.read_text() != manual():
        sys.stderr.write(f"{path} is out of date: run `make docs`\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
