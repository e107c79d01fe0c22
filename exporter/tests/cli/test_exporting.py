"""Shipped files in a folder of the site's: written, renewed, removed; what was changed is never lost."""

from __future__ import annotations

import os
import subprocess

import pytest

from gputally import __version__
from gputally.cli.exporting import RECORD, Action, carry_out, plan, read_record
from gputally.shipped import shipped_paths, shipped_tree
from tests.cli.command import assert_refused, gputally

FIRST = {"rules/a.yml": b"a: 1\n", "rules/b.yml": b"b: 1\n", "run.sh": b"#!/bin/sh\n"}


def export(folder, shipped, *, force=False):
    """One export; what was done with each file."""
    steps = plan(folder, shipped, force=force)
    carry_out(folder, shipped, steps)
    return {step.path: step.action.value for step in steps}


def content(folder):
    """Path -> content of all files but the record."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != RECORD)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_a_folder_that_is_not_there_is_made_and_filled(tmp_path):
    assert set(export(tmp_path / "new" / "one", FIRST).values()) == {"write"}
    assert content(tmp_path / "new" / "one") == FIRST
    assert os.access(tmp_path / "new" / "one" / "run.sh", os.X_OK)
    assert not os.access(tmp_path / "new" / "one" / "rules" / "a.yml", os.X_OK)


def test_the_record_is_one_that_sha256sum_understands(tmp_path):
    export(tmp_path, FIRST)
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", RECORD], cwd=tmp_path, check=True)


def test_again_nothing_is_written(tmp_path):
    export(tmp_path, FIRST)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.yml")}
    assert set(export(tmp_path, FIRST).values()) == {"same"}
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.yml")} == before


def test_an_upgrade_renews_what_was_not_changed_and_offers_the_rest(tmp_path):
    export(tmp_path, FIRST)
    (tmp_path / "rules/a.yml").write_bytes(b"mine\n")
    second = FIRST | {"rules/a.yml": b"a: 2\n", "rules/b.yml": b"b: 2\n"}
    assert export(tmp_path, second) == {"rules/a.yml": "offer", "rules/b.yml": "write", "run.sh": "same"}
    assert content(tmp_path) == second | {"rules/a.yml": b"mine\n", "rules/a.yml.new": b"a: 2\n"}
    (tmp_path / "rules/a.yml.new").unlink()
    assert export(tmp_path, second)["rules/a.yml"] == "keep"  # what was refused once is not offered again
    assert "rules/a.yml.new" not in content(tmp_path)


def test_what_was_there_before_the_first_export_is_kept(tmp_path):
    (tmp_path / "run.sh").write_bytes(b"mine\n")
    assert export(tmp_path, FIRST)["run.sh"] == "offer"
    assert content(tmp_path)["run.sh"] == b"mine\n"


def test_force_overwrites_and_clears_away_what_was_offered(tmp_path):
    (tmp_path / "run.sh").write_bytes(b"mine\n")
    export(tmp_path, FIRST)
    assert export(tmp_path, FIRST, force=True)["run.sh"] == "write"
    assert content(tmp_path) == FIRST


def test_what_is_shipped_no_longer_goes_unless_it_was_changed(tmp_path):
    export(tmp_path, FIRST)
    (tmp_path / "rules/b.yml").write_bytes(b"mine\n")
    assert export(tmp_path, {"run.sh": FIRST["run.sh"]}) == {
        "run.sh": "same",
        "rules/a.yml": "remove",
        "rules/b.yml": "leave",
    }
    assert set(content(tmp_path)) == {"run.sh", "rules/b.yml"}
    # And is nobody's business then.
    assert export(tmp_path, {"run.sh": FIRST["run.sh"]}) == {"run.sh": "same"}


def test_a_link_is_neither_followed_nor_replaced(tmp_path):
    (tmp_path / "elsewhere").write_bytes(FIRST["run.sh"])
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/run.sh").symlink_to(tmp_path / "elsewhere")
    assert export(tmp_path / "etc", FIRST)["run.sh"] == "offer"
    assert (tmp_path / "etc/run.sh").is_symlink()
    assert export(tmp_path / "etc", FIRST, force=True)["run.sh"] == "write"
    assert not (tmp_path / "etc/run.sh").is_symlink()
    assert (tmp_path / "elsewhere").read_bytes() == FIRST["run.sh"]


@pytest.mark.parametrize("path", ["../outside", "/etc/outside", "a/../../outside", ""])
def test_a_record_leads_nowhere_else(path, tmp_path):
    (tmp_path / RECORD).write_text(f"{'0' * 64}  {path}\nnonsense\n{'1' * 64}  inside\n")
    assert read_record(tmp_path) == {"inside": "1" * 64}


def test_what_is_made_on_a_site_is_never_shipped(tmp_path):
    """A wheel built in a checkout in use must not carry its passwords."""
    ignored = (shipped_tree() / ".gitignore").read_text().splitlines()
    for line in (line for line in ignored if line.startswith("/")):
        path = tmp_path / line.strip("/")
        path = path / "file" if line.endswith("/") else path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    (tmp_path / "proxy" / "ours.conf").write_text("")
    assert shipped_paths(tmp_path) == ["proxy/ours.conf"]


def test_the_command_writes_all_that_it_lists_and_says_how_much(tmp_path):
    listed = gputally("export-config", "--list", folder=tmp_path).out.splitlines()
    assert listed == shipped_paths(shipped_tree())
    answer = gputally("export-config", "etc", folder=tmp_path)
    assert (answer.status, answer.err) == (0, "")
    assert (
        answer.out == f"gputally {__version__}: {len(listed)} files written to etc, 0 as they were, 0 kept\n"
    )
    assert sorted(content(tmp_path / "etc")) == sorted(listed)
    targets = tmp_path / "etc/prometheus/targets/node.yml"
    targets.write_text("[]\n")
    assert (
        "targets/node.yml: kept, as changed here\n" in gputally("export-config", "etc", folder=tmp_path).out
    )
    assert targets.read_text() == "[]\n"
    assert gputally("export-config", "--force", "etc", folder=tmp_path).out.endswith("0 kept\n")
    assert targets.read_text() != "[]\n"


def test_what_cannot_be_done_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/prometheus").write_text("")
    for arguments, said in (
        ([], "Missing argument 'DIR'."),
        (["file"], "'file' is a file"),
        (["file/below"], "file/below"),
        (["full"], "cannot be used: Not a directory"),
        (["--nonsense"], "No such option"),
    ):
        assert said in assert_refused(
            gputally("export-config", *arguments, folder=tmp_path), tmp_path, {"file", "full"}
        )


def test_actions_that_need_somebodys_eye_are_said():
    from gputally.cli.export_config import _SAID  # noqa: PLC0415 - one table, of this test alone

    assert set(Action) - set(_SAID) == {Action.SAME, Action.WRITE}
