"""A list of parts that lacks one, or has one that is too old, is told from one that has all."""

from __future__ import annotations

import json
import sysconfig
import tomllib
from importlib.metadata import distributions
from pathlib import Path

import pytest
from scripts import audit

from tests.release.built import REPOSITORY

PYPROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
HERE = Path(sysconfig.get_path("purelib"))


@pytest.fixture
def there() -> dict[str, str]:
    """What this environment has."""
    return audit.installed(HERE)


def complaints(parts: dict[str, str], there: dict[str, str]) -> list[str]:
    return list(audit.complaints(parts, PYPROJECT, there))


def test_what_is_installed_here_is_no_older_than_what_is_required(there):
    """A lowest version that tests do not run with is a guess; this says at least that ours is above it."""
    assert complaints(there, there) == []
    assert {"tornado", "requests", "bcrypt", "gpuhunt", "grpcio"} <= set(there)


def test_every_requirement_has_a_lowest_version():
    names = [requirement.name for requirement, _ in audit.required(PYPROJECT)]
    assert len(names) == len(set(names)) >= 11
    loose = PYPROJECT | {"project": PYPROJECT["project"] | {"dependencies": ["click"]}}
    assert list(audit.complaints({"click": "8"}, loose, {}))[:1] == [
        "click: without a lowest version, anything would do"
    ]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"tornado": None}, "nothing of it"),
        ({"tornado": "6.4.2"}, "required, and the list has 6.4.2"),
        ({"urllib3": "1.0"}, "is installed, and the list has 1.0"),
        ({"urllib3": None}, "is installed, and the list has nothing of it"),
    ],
)
def test_a_part_that_is_missing_or_old_is_said(change, words, there):
    parts = {name: version for name, version in (there | change).items() if version is not None}
    found = complaints(parts, there)
    assert found
    assert any(words in one for one in found)
    assert all(next(iter(change)) in one for one in found)


def test_an_extra_that_is_not_installed_need_not_be_listed(there):
    without = {name: version for name, version in there.items() if name not in ("gpuhunt", "grpcio")}
    assert complaints(without, without) == []


def test_it_reads_the_list_as_it_is_written(tmp_path, capsys):
    parts = [
        {"name": one.metadata["Name"], "version": one.version} for one in distributions(path=[str(HERE)])
    ]
    (tmp_path / "good.json").write_text(json.dumps({"bomFormat": "CycloneDX", "components": parts}))
    (tmp_path / "bad.json").write_text(json.dumps({"bomFormat": "CycloneDX", "components": parts[1:]}))
    rest = [str(REPOSITORY / "pyproject.toml"), str(HERE)]
    assert audit.main([str(tmp_path / "good.json"), *rest]) == 0
    assert "all of them listed" in capsys.readouterr().out
    assert audit.main([str(tmp_path / "bad.json"), *rest]) == 1
    assert "is installed, and the list has nothing of it" in capsys.readouterr().err


def test_a_release_and_the_audit_check_their_lists():
    for name in ("dist.sh", "audit.sh"):
        text = (REPOSITORY / "scripts" / name).read_text()
        assert text.index("cyclonedx-py environment") < text.index("-m scripts.audit ")
    assert "--strict" in (REPOSITORY / "scripts" / "audit.sh").read_text()
