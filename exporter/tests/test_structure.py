"""Rules of the tree that no linter knows: sizes, clocks, environment, names, and what may stand in a file."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from functools import cache
from pathlib import Path

import gputally
from tests.release.built import committed

PACKAGE = Path(gputally.__file__).parent
REPOSITORY = PACKAGE.parents[1]
MOST_FILE_LINES = 310
MOST_FUNCTION_LINES = 40

# Whoever reads the machine's wall clock cannot be tested on another one; all others are handed a clock.
WALL_CLOCK = {
    "cli/agent.py": "when the configuration was last loaded, which a metric says",
    "cli/renewal.py": "when this process was last renewed, over an exec",
    "cli/runrecord.py": "when a wrapped command began and ended, for its record",
    "model/clock.py": "the clock that is handed to everybody else",
    "web/handlers.py": "the Date header",
    "web/reload.py": "when the web configuration was last loaded, which a metric says",
    "web/tls.py": "whether a certificate has ended",
}
# Whoever reads the environment is configured behind the back of flags and file.
ENVIRONMENT = {
    "cli/__init__.py": "unknown GPUTALLY_ variables are an error",
    "cli/notify.py": "the service manager's socket and watchdog",
    "cli/renewal.py": "when this process was last renewed, over an exec",
    "cli/report.py": "the password of Prometheus, which must not stand on a command line",
    "cli/run.py": "the environment that the wrapped command inherits",
    "node/sources/program.py": "PATH and environment of nvidia-smi and nvtop",
}
WALL_CLOCK_CALLS = {"time.time", "time.time_ns", "time.localtime", "time.gmtime", "time.ctime"} | {
    f"{module}.{name}" for module in ("datetime", "date") for name in ("now", "utcnow", "today")
}
VAGUE_NAMES = {"util", "utils", "manager", "managers", "helper", "helpers", "common", "misc", "tools", "base"}

# Written apart, so that this file does not find itself.
NOT_IN_FILES = {
    "a folder of the machine it was written on": r"(?<![\w.])/(?:work|root|home|tmp)/[a-z0-9]{3}",
    "a reminder instead of the work": "|".join(
        rf"\b{word}\b" for word in ("TO" + "DO", "FIX" + "ME", "XX" + "X")
    ),
    "the host of a package registry": r"(?i)pypi\." + "org|files\\.pythonho" + "sted|registry\\.npm" + "js",
    "the marks of a merge": "^(?:<{7}|>{7}) ",
}
BINARY = {".png", ".gz", ".ico", ".woff2"}


@cache
def modules() -> dict[str, ast.Module]:
    """Every file of the package."""
    return {
        path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text())
        for path in sorted(PACKAGE.rglob("*.py"))
    }


@cache
def tracked() -> tuple[Path, ...]:
    """Every file that is or would be committed."""
    return tuple(REPOSITORY / name for name in committed())


def dotted(node: ast.AST) -> str:
    """`time.time` for the attribute of a name, and of an attribute the last two parts; else nothing."""
    if not isinstance(node, ast.Attribute):
        return ""
    inner = node.value
    return f"{inner.id if isinstance(inner, ast.Name) else getattr(inner, 'attr', '')}.{node.attr}"


def users(names: set[str]) -> set[str]:
    """Files of the package that use one of these attributes."""
    return {name for name, tree in modules().items() if any(dotted(node) in names for node in ast.walk(tree))}


def test_no_file_of_the_package_is_too_long_to_be_read_at_once():
    lines = {path: len(path.read_text().splitlines()) for path in PACKAGE.rglob("*.py")}
    too_long = {
        path.name: n for path, n in lines.items() if n > MOST_FILE_LINES and path.parent.name != "catalogue"
    }
    assert not too_long
    assert len(lines) > 100


def test_no_function_is_longer_than_a_screen():
    too_long = [
        (name, node.name, length)
        for name, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or 0) - node.lineno + 1) > MOST_FUNCTION_LINES
    ]
    assert not too_long


def test_the_wall_clock_is_read_in_few_places_and_each_has_its_reason():
    assert users(WALL_CLOCK_CALLS) == set(WALL_CLOCK)


def test_the_environment_is_read_in_few_places_and_each_has_its_reason():
    assert users({"os.environ", "os.environb", "os.getenv"}) == set(ENVIRONMENT)


def test_neither_is_imported_under_another_name():
    imported = {
        (name, f"{node.module}.{alias.name}")
        for name, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if node.module in ("time", "os")
    }
    assert imported == set()


def test_no_module_is_named_for_what_was_left_over():
    names = {part for name in modules() for part in Path(name).with_suffix("").parts}
    assert not names & VAGUE_NAMES


def test_no_test_is_imported_by_another():
    """What two of them need stands beside them, under a name of its own."""
    imports = re.compile(r"^ *(?:from|import) [\w.]*\btest_\w+", re.MULTILINE)
    found = {
        path.relative_to(REPOSITORY).as_posix(): match[0]
        for path in tracked()
        if path.suffix == ".py"
        for match in imports.finditer(path.read_text())
    }
    assert found == {}


def test_files_say_nothing_of_the_machine_or_the_making():
    found = defaultdict(list)
    for path in tracked():
        if path.suffix not in BINARY and path != Path(__file__):
            text = path.read_text(errors="replace")
            for what, pattern in NOT_IN_FILES.items():
                found[what] += [
                    f"{path.relative_to(REPOSITORY)}: {match[0]}"
                    for match in re.finditer(pattern, text, re.MULTILINE)
                ]
    assert {what: places for what, places in found.items() if places} == {}
    assert len(tracked()) > 200


def test_every_text_file_ends_with_a_newline_and_none_is_large():
    for path in tracked():
        assert path.stat().st_size < 1 << 20, path
        if (
            path.suffix in {".py", ".md", ".yml", ".yaml", ".toml", ".sh", ".c", ".h", ".json"}
            and path.stat().st_size
        ):
            assert "webconfig/bad" in path.as_posix() or path.read_bytes().endswith(b"\n"), path
