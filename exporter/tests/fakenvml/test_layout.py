"""The control file means the same in C and in Python."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from tests.fakenvml.layout import FUNCTIONS, SOURCES, STRUCTURES, layout_checks, read_layout


def test_the_layout_reader_refuses_what_it_does_not_know() -> None:
    """A bit field or a pointer in layout.h must not be skipped in silence."""
    for line in ("    uint32_t bits : 3;", "    char *text;", "    long number;"):
        with pytest.raises(ValueError, match="cannot read"):
            read_layout(f"struct x {{\n{line}\n}};")


def compiles(source: str) -> bool:
    compiler = shutil.which("cc") or "gcc"
    done = subprocess.run(
        [compiler, "-fsyntax-only", f"-I{SOURCES}", "-x", "c", "-"],
        input=source,
        text=True,
        capture_output=True,
        check=False,
    )
    return done.returncode == 0


def test_the_compiler_confirms_every_offset() -> None:
    """Each member is checked, and one byte of difference stops the build."""
    checks = layout_checks()
    members = sum(len(structure._fields_) for structure in STRUCTURES.values())
    assert checks.count("offsetof(") == members
    assert compiles(checks)
    for line in (
        "sizeof(struct control) == ",
        "offsetof(struct gpu, processes) == ",
        "offsetof(struct process, name) == ",
    ):
        assert not compiles(checks.replace(line, f"{line}1 + "))


def test_a_function_keeps_its_number() -> None:
    """The tables are indexed by position, so the list has no name twice and fits in."""
    text = (SOURCES / "functions.h").read_text()
    assert text.count("(nvml") == len(FUNCTIONS) <= 256
