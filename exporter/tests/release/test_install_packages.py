"""scripts/install-packages.sh, as far as it can be told without installing anything."""

import shutil
import subprocess
from pathlib import Path

from tests.release.built import REPOSITORY

SCRIPT = REPOSITORY / "scripts" / "install-packages.sh"


def asked(folder: Path, *needs: str) -> str:
    """What the script says to somebody who is not root and has no sudo."""
    for name, does in {"apt-get": "exit 1", "id": "echo 1000"}.items():
        (folder / name).write_text(f"#!/bin/sh\n{does}\n")
        (folder / name).chmod(0o755)
    bash = shutil.which("bash")
    assert bash
    done = subprocess.run(
        [bash, str(SCRIPT), *needs], env={"PATH": str(folder)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == (1 if done.stderr else 0)
    return done.stderr


def test_a_package_that_brings_several_programs_is_asked_for_once(tmp_path):
    said = asked(tmp_path, "one=first", "two=first,second", "three|four=second", "five=second-more")
    assert said.endswith("as root, run: apt-get install first second second-more\n")


def test_nothing_is_asked_for_where_every_program_is_there(tmp_path):
    assert asked(tmp_path, "apt-get=apt", "none|id=coreutils") == ""
