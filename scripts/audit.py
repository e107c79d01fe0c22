"""Whether a list of parts (CycloneDX) has everything: `python -m scripts.audit SBOM PYPROJECT FOLDER`.

FOLDER is the site-packages that the list was made of. Everything that is installed there must stand in the
list with its version, and everything that PYPROJECT requires (its extras, too, where they are installed) with
no version below what is required.
"""

import json
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

EXTRAS = ("kubernetes", "clouds")  # what somebody may install beside the program


def installed(folder: Path) -> dict[str, str]:
    """Name -> version of what lies in a site-packages."""
    return {
        canonicalize_name(found.metadata["Name"]): found.version
        for found in distributions(path=[str(folder)])
    }


def listed(sbom: Mapping[str, Any]) -> dict[str, str]:
    """Name -> version of the parts in a list."""
    return {
        canonicalize_name(part["name"]): str(part.get("version", "")) for part in sbom.get("components", ())
    }


def required(pyproject: Mapping[str, Any]) -> Iterator[tuple[Requirement, bool]]:
    """Requirements of the program, and whether it cannot do without."""
    project = pyproject["project"]
    for text in project["dependencies"]:
        yield Requirement(text), True
    for extra in EXTRAS:
        for text in project["optional-dependencies"][extra]:
            yield Requirement(text), False


def complaints(
    parts: Mapping[str, str], pyproject: Mapping[str, Any], there: Mapping[str, str]
) -> Iterator[str]:
    """What is missing or too old, a sentence each."""
    for name, version in sorted(there.items()):
        if parts.get(name) != version:
            yield f"{name} {version} is installed, and the list has {parts.get(name, 'nothing of it')}"
    for requirement, is_needed in required(pyproject):
        name = canonicalize_name(requirement.name)
        if not any(sign in str(requirement.specifier) for sign in (">=", "==")):
            yield f"{requirement}: without a lowest version, anything would do"
        if name not in parts:
            if is_needed or name in there:
                yield f"{requirement} is required, and the list has nothing of it"
        elif not requirement.specifier.contains(parts[name], prereleases=True):
            yield f"{requirement} is required, and the list has {parts[name]}"


def main(arguments: Sequence[str]) -> int:
    """Print what is wrong, or how many parts are right; the exit status."""
    sbom, pyproject, folder = (Path(text) for text in arguments)
    parts = listed(json.loads(sbom.read_text()))
    wrong = list(complaints(parts, tomllib.loads(pyproject.read_text()), installed(folder)))
    for complaint in wrong:
        print(f"audit: {complaint}", file=sys.stderr)  # noqa: T201 - the program's result
    if not wrong:
        print(f"audit: {len(parts)} parts, all of them listed with their versions")  # noqa: T201 - likewise
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
