"""The files that come beside the program: rules, dashboards, units and all else that others read.

In the repository each has its place in a folder of its own; setup.py, which runs this file by itself and
before anything is installed, puts them into wheel and sdist by the same list. Standard library only.
"""

from collections.abc import Iterator
from pathlib import Path

# Top folders and files of the repository. What is not there is left out: the image of the agent carries none.
ROOTS = (
    "alertmanager",
    "central",
    "docker-compose.yml",
    "grafana",
    "k8s",
    "prometheus",
    "proxy",
    "scripts/make-secrets.sh",  # of docker-compose.yml
    "systemd",
)
INSIDE = "share"  # where an installed package has them, below gputally/
_NO_FOLDERS = {"tests", "__pycache__"}
_NO_SUFFIXES = {".py", ".pyc"}  # what generates and tests them stays with the sources
_MADE_ON_SITE = {"prometheus/alerts/user.yml", "proxy/enabled", "proxy/passwords"}  # in .gitignore, too


def shipped_paths(tree: Path) -> list[str]:
    """Every shipped file of a tree as a path below it, sorted."""
    return sorted({path for root in ROOTS for path in _below(tree, tree / root)})


def shipped_tree() -> Path | None:
    """The folder that holds them, inside the installed package or the checkout; None where neither does."""
    package = Path(__file__).parent
    checkout = package.parents[1]
    if (package / INSIDE).is_dir():
        return package / INSIDE
    return (
        checkout if (checkout / "pyproject.toml").is_file() and (checkout / "prometheus").is_dir() else None
    )


def _below(tree: Path, path: Path) -> Iterator[str]:
    name = path.relative_to(tree).as_posix()
    if name in _MADE_ON_SITE:
        return
    if path.is_dir():
        for entry in path.iterdir():
            if entry.name not in _NO_FOLDERS and not entry.name.startswith("."):
                yield from _below(tree, entry)
    elif path.is_file() and path.suffix not in _NO_SUFFIXES:
        yield name
