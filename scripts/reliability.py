"""`python -m scripts.reliability [--check]`: docs/reliability.md, from the catalogue of faults and the tests.

The catalogue says what is done, expected and lost; a test says by `@pytest.mark.fault("id", ...)` what it
puts to the proof. Markers are read, not run: that takes a second and finds them in every folder of tests.
"""

import ast
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).parents[1]
CATALOGUE = REPOSITORY / "exporter" / "tests" / "faults" / "faults.yml"
PAGE = REPOSITORY / "docs" / "reliability.md"
NOTHING = "nothing"
_KEYS = {"id", "fault", "done", "expected", "lost"}
_MARKER = ("pytest", "mark", "fault")

_INTRO = """# Reliability

Written by `make docs` from the catalogue of faults and the tests that put them to the proof; do not edit.

{count} faults are tried at every run of `make test`, by {tests} tests, on running agents with a fake driver
and on the real daemons. Unless a row says otherwise, scrapes are answered in time, no counter falls, and all
heals without a restart. {whole} of the faults cost nothing.

## What is lost

| when | what |
|---|---|
"""
_HEAD = """
## {title}

| fault | what is done | what is expected | lost | survived by |
|---|---|---|---|---|
"""
_UNTRIED = """
## What was not tried

| fault | what stands for it |
|---|---|
"""
Tests = Mapping[str, Sequence["Proof"]]


class CatalogueError(Exception):
    """The catalogue, or a marker, is wrong; one line."""


@dataclass(frozen=True)
class Fault:
    """One row."""

    id: str
    fault: str
    done: str
    expected: str
    lost: str


@dataclass(frozen=True)
class Catalogue:
    """All of it."""

    groups: Mapping[str, Sequence[Fault]]
    untried: Mapping[str, str]  # fault -> what stands for it

    @property
    def faults(self) -> list[Fault]:
        """Of all groups, in order."""
        return [row for rows in self.groups.values() for row in rows]


@dataclass(frozen=True, order=True)
class Proof:
    """A test that names a fault."""

    file: str  # from the repository's root
    name: str

    @property
    def words(self) -> str:
        """What it shows, as a sentence."""
        return self.name.removeprefix("test_").replace("_", " ")


def catalogue(text: str | None = None) -> Catalogue:
    """Faults by group. Raises CatalogueError."""
    read = yaml.safe_load(CATALOGUE.read_text() if text is None else text)
    groups: dict[str, list[Fault]] = {}
    seen: set[str] = set()
    for group in read["groups"]:
        rows = groups[group["group"]] = []
        for row in group["faults"]:
            if set(row) != _KEYS or not all(isinstance(value, str) and value for value in row.values()):
                raise CatalogueError(f"{row.get('id')}: expected text for each of {', '.join(sorted(_KEYS))}")
            if row["id"] in seen:
                raise CatalogueError(f"{row['id']}: stands twice")
            seen.add(row["id"])
            rows.append(Fault(**row))
    return Catalogue(groups, {row["fault"]: row["instead"] for row in read["untried"]})


def proofs(root: Path = REPOSITORY) -> dict[str, list[Proof]]:
    """Tests by the faults that they name, in every folder that pytest collects. Raises CatalogueError."""
    options = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    found: dict[str, list[Proof]] = defaultdict(list)
    for folder in options["testpaths"]:
        for path in sorted((root / folder).rglob("*.py")):
            for fault, proof in _marked(path, path.relative_to(root).as_posix()):
                found[fault].append(proof)
    return {fault: sorted(tests) for fault, tests in found.items()}


def _marked(path: Path, name: str) -> Iterator[tuple[str, Proof]]:
    source = path.read_text()
    if ".mark.fault(" not in source:
        return
    tree = ast.parse(source)
    marks = {node for node in ast.walk(tree) if isinstance(node, ast.Call) and _dotted(node.func) == _MARKER}
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for mark in marks & set(function.decorator_list):
            marks.discard(mark)
            proof = Proof(name, function.name)
            if not (path.name.startswith("test_") and function.name.startswith("test_")):
                raise CatalogueError(f"{name}:{mark.lineno}: pytest does not collect this")
            yield from ((fault, proof) for fault in _faults(mark, name))
    for mark in marks:
        raise CatalogueError(f"{name}:{mark.lineno}: a fault is named where no test begins")


def _faults(mark: ast.Call, name: str) -> list[str]:
    faults = [one.value for one in mark.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
    if not faults or len(faults) != len(mark.args) or mark.keywords:
        raise CatalogueError(f"{name}:{mark.lineno}: expected names of faults")
    return faults


def _dotted(node: ast.expr) -> tuple[str, ...]:
    if isinstance(node, ast.Name):
        return (node.id,)
    return (*_dotted(node.value), node.attr) if isinstance(node, ast.Attribute) else ()


def page(known: Catalogue, tests: Tests) -> str:
    """The page as Markdown. Raises CatalogueError if faults and tests do not fit together."""
    faults = known.faults
    if missing := [row.id for row in faults if row.id not in tests]:
        raise CatalogueError(f"no test names {', '.join(missing)}")
    if unknown := sorted(set(tests) - {row.id for row in faults}):
        raise CatalogueError(f"tests name {', '.join(unknown)}, which {CATALOGUE.name} does not have")
    lossy = [row for row in faults if row.lost != NOTHING]
    count = len({proof for found in tests.values() for proof in found})
    parts = [_INTRO.format(count=len(faults), tests=count, whole=len(faults) - len(lossy))]
    losses = {row.lost: [one.fault for one in lossy if one.lost == row.lost] for row in lossy}
    parts += [f"| {'<br>'.join(faults)} | {lost} |\n" for lost, faults in losses.items()]
    for title, rows in known.groups.items():
        parts.append(_HEAD.format(title=title))
        parts += [_line(row, tests[row.id]) for row in rows]
    return "".join([*parts, _UNTRIED, *(f"| {fault} | {how} |\n" for fault, how in known.untried.items())])


def _line(row: Fault, tests: Sequence[Proof]) -> str:
    links = "<br>".join(f"[{proof.words}](../{proof.file})" for proof in tests)
    return f"| {row.fault} | {row.done} | {row.expected} | {row.lost} | {links} |\n"


def main(arguments: Sequence[str]) -> int:
    """Write the page, or with --check compare it. Returns the exit status."""
    if list(arguments) not in ([], ["--check"]):
        sys.stderr.write("usage: python -m scripts.reliability [--check]\n")
        return 2
    try:
        text = page(catalogue(), proofs())
    except CatalogueError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if not arguments:
        PAGE.write_text(text)
    elif not PAGE.exists() or PAGE.read_text() != text:
        sys.stderr.write(f"{PAGE.relative_to(REPOSITORY)} is out of date: run `make docs`\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
