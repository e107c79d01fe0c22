"""The changelog: a form that people and the release can read, and the version that the program has."""

from __future__ import annotations

import re

import pytest
from scripts.changelog import CHANGELOG, HEADING, NotReady, notes, sections

from gputally import __version__

KINDS = ("CHANGE", "FEATURE", "ENHANCEMENT", "BUGFIX", "SECURITY")  # CHANGE: somebody has to do something
ENTRY = re.compile(rf"- \[({'|'.join(KINDS)})\] [a-z-]+: \S")
TEXT = CHANGELOG.read_text()
EXAMPLE = """\
# Changelog

## 0.2.0 - unreleased

- [FEATURE] node: new.

## 0.1.0 - 2026-01-31

- [CHANGE] rules: first,
  on two lines.
"""


def test_a_version_has_its_date_and_its_entries():
    assert sections(EXAMPLE)["0.1.0"] == ("2026-01-31", "- [CHANGE] rules: first,\n  on two lines.")
    assert notes(EXAMPLE, "0.1.0", "v0.1.0").startswith("- [CHANGE] rules: first")
    assert notes(EXAMPLE, "0.2.0") == "- [FEATURE] node: new."


@pytest.mark.parametrize(
    ("version", "tag", "why"),
    [
        ("0.3.0", "", "says nothing of 0.3.0"),
        ("0.1.0", "v0.2.0", "the tag is v0.2.0"),
        ("0.2.0", "v0.2.0", "as unreleased"),
    ],
)
def test_what_does_not_fit_is_not_released(version, tag, why):
    with pytest.raises(NotReady, match=re.escape(why)):
        notes(EXAMPLE, version, tag)


def test_every_heading_is_a_version_newest_first_and_the_first_is_ours():
    versions = [tuple(map(int, version.split("."))) for version in sections(TEXT)]
    assert len(re.findall(r"^## ", TEXT, re.MULTILINE)) == len(HEADING.findall(TEXT)) == len(versions)
    assert versions == sorted(versions, reverse=True)
    assert next(iter(sections(TEXT))) == __version__


def test_every_entry_says_of_what_kind_it_is_and_what_it_is_about():
    for version, (_, body) in sections(TEXT).items():
        entries = [line for line in body.splitlines() if line.startswith("-")]
        others = [line for line in body.splitlines() if not line.startswith(("- ", "  "))]
        assert entries
        assert not others, version
        assert [line for line in entries if not ENTRY.match(line)] == [], version
