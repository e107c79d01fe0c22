"""Notes of a release out of CHANGELOG.md, if the tag fits: `python -m scripts.changelog [TAG]`."""

import re
import sys
from pathlib import Path

from gputally import __version__

CHANGELOG = Path(__file__).parents[1] / "CHANGELOG.md"
HEADING = re.compile(r"^## (\d+\.\d+\.\d+) - (unreleased|\d{4}-\d\d-\d\d)$", re.MULTILINE)


class NotReady(Exception):
    """Why this cannot be released, as one sentence."""


def sections(text: str) -> dict[str, tuple[str, str]]:
    """Version -> when it was released, and its entries; as they stand in the file."""
    parts = HEADING.split(text)[1:]
    return {
        version: (when, body.strip())
        for version, when, body in zip(parts[::3], parts[1::3], parts[2::3], strict=True)
    }


def notes(text: str, version: str, tag: str = "") -> str:
    """Entries of a version. Raises NotReady if there are none or, with a tag, if the two do not fit."""
    when, body = sections(text).get(version, ("", ""))
    if not body:
        raise NotReady(f"CHANGELOG.md says nothing of {version}")
    if tag and tag != f"v{version}":
        raise NotReady(f"the tag is {tag}, and gputally.__version__ is {version}")
    if tag and when == "unreleased":
        raise NotReady(f"CHANGELOG.md has {version} as unreleased")
    return body


def main() -> int:
    """Print the notes. Exit status 1 when something does not fit."""
    try:
        sys.stdout.write(notes(CHANGELOG.read_text(), __version__, *sys.argv[1:2]) + "\n")
    except NotReady as error:
        sys.stderr.write(f"changelog: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
