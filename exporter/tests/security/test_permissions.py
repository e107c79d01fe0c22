"""What is written belongs to whoever wrote it, whatever the umask: 000 gives all away, 077 keeps all."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cli.command import PROGRAM, gputally
from tests.cli.command import Answer as Said
from tests.report.answering import Answer, speaking

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.agent.running import RunningAgent

TOP = Path(__file__).parents[3]
UMASKS = ("000", "022", "077")
HOLDERS = "store: http://127.0.0.1:8428\nnodes: {gpu-node-1: {}}\nteams: {nlp: {}}\n"


@pytest.fixture(params=UMASKS)
def umask(request: pytest.FixtureRequest) -> str:
    """A umask in octal digits."""
    return str(request.param)


def mode(path: Path) -> str:
    return oct(stat.S_IMODE(path.lstat().st_mode))


def modes(folder: Path) -> set[str]:
    return {mode(path) for path in folder.iterdir()}


def under(umask: str, *arguments: str, folder: Path) -> Said:
    """The program as a shell with this umask starts it."""
    shell = ("sh", "-c", f'umask {umask}; exec "$@"', "sh", PROGRAM)
    done = gputally(*arguments, folder=folder, program=shell)
    assert done.status == 0, done.err
    return done


def test_the_state_is_the_agents_alone_and_nobody_can_put_another_in_its_place(
    heard: Callable[..., RunningAgent], umask: str, tmp_path: Path
) -> None:
    """Folders that it had to make above its own, too: whoever may write there may rename what is in them."""
    folder = tmp_path / "made" / "for" / "state"
    env = {"TEST_UMASK": umask}
    running = heard("node", "--source=simulated", "--simulated.gpus=1", f"--state.dir={folder}", env=env)
    running.until((folder / "counters.json.synced").exists, 10, "a state")
    running.terminate()
    assert modes(folder) == {"0o600"}
    assert {path.name for path in folder.iterdir()} >= {"lock", "counters.json", "counters.json.synced"}
    assert mode(folder) == "0o700"
    for above in (folder.parent, folder.parent.parent):
        assert not above.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH), mode(above)


def test_tokens_are_their_owners_alone(umask: str, tmp_path: Path) -> None:
    (tmp_path / "holders.yml").write_text(HOLDERS)
    (tmp_path / "new").mkdir()
    files = ("--holders.file=holders.yml", "--auth.file=vmauth.yml")
    for command in (
        ("apply", "--output=new"),
        ("rotate", "team:nlp", "--output=new"),
        ("retire", "team:nlp"),
    ):
        under(umask, "tokens", *command, *files, folder=tmp_path)
        assert modes(tmp_path / "new") == {"0o600"}
        assert mode(tmp_path / "vmauth.yml") == mode(tmp_path / ".vmauth.yml.lock") == "0o600"
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        "node-gpu-node-1.token",
        "team-nlp.token",
    ]


def test_a_token_is_not_written_into_a_file_that_somebody_laid_there(tmp_path: Path) -> None:
    """Who made it keeps reading it, whatever becomes of its name; a link would be worse still."""
    (tmp_path / "holders.yml").write_text(HOLDERS)
    (tmp_path / "new").mkdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.touch()
    (tmp_path / "new" / ".team-nlp.token.new").symlink_to(elsewhere)
    laid = tmp_path / "new" / ".node-gpu-node-1.token.new"
    laid.touch()
    laid.chmod(0o666)
    with laid.open() as kept:
        under(
            "022",
            *("tokens", "apply", "--output=new", "--holders.file=holders.yml", "--auth.file=vmauth.yml"),
            folder=tmp_path,
        )
        assert kept.read() == ""
    assert elsewhere.read_text() == ""
    assert modes(tmp_path / "new") == {"0o600"}


def test_what_is_exported_can_be_changed_by_its_owner_alone(umask: str, tmp_path: Path) -> None:
    """Slurm runs some of it as root."""
    under(umask, "export-config", "out/of/here", folder=tmp_path)
    found = list((tmp_path / "out").rglob("*"))
    assert len(found) > 50
    open_to_others = [path for path in (tmp_path / "out", *found) if path.lstat().st_mode & 0o022]
    assert open_to_others == []


@pytest.mark.parametrize("is_there", [False, True], ids=["new", "made before, open to all"])
def test_secrets_of_the_stack_stand_in_a_folder_that_is_its_owners_alone(
    umask: str, is_there: bool, tmp_path: Path
) -> None:
    """The files in it are 0644: containers read them as users of their own, which nobody outside can."""
    folder, passing = tmp_path / "run" / "secrets", tmp_path / "tmp"
    passing.mkdir()
    if is_there:
        folder.mkdir(parents=True)
        folder.chmod(0o777)
    script = f'umask {umask}; exec "$@"'
    done = subprocess.run(
        ["sh", "-c", script, "sh", TOP / "scripts" / "make-secrets.sh", folder],
        env={**os.environ, "TMPDIR": str(passing)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert mode(folder) == "0o700"
    assert modes(folder) == {"0o644"}
    assert not any(path.read_text().strip() in done.stdout for path in folder.iterdir())
    if not is_there:
        assert not folder.parent.stat().st_mode & 0o022
    assert list(passing.iterdir()) == []  # the private key was there for a moment


def test_the_private_key_is_never_where_others_can_read_it(tmp_path: Path) -> None:
    """An openssl that looks at what it is told to write, as another user could while it does."""
    real = "/usr/bin/openssl" if Path("/usr/bin/openssl").exists() else "openssl"
    seen = tmp_path / "seen"
    spy = tmp_path / "bin" / "openssl"
    spy.parent.mkdir()
    spy.write_text(
        f'#!/bin/sh\n{real} "$@"; status=$?\n'
        'while [ $# -gt 0 ]; do [ "$1" = -keyout ] && stat -c %a "$(dirname "$2")" >>'
        f" {seen}; shift; done\nexit $status\n"
    )
    spy.chmod(0o755)
    env = {**os.environ, "PATH": f"{spy.parent}:{os.environ['PATH']}"}
    subprocess.run(
        [TOP / "scripts" / "make-secrets.sh", tmp_path / "secrets"], env=env, check=True, capture_output=True
    )
    assert seen.read_text().split() == ["700"]


def test_the_record_of_a_run_can_be_read_by_the_agent_and_changed_by_nobody(
    umask: str, tmp_path: Path
) -> None:
    """And holds no argument of the command, which may be a password."""
    runs = tmp_path / "runs"
    runs.mkdir()
    command = [sys.executable, "-c", "pass", "--password=canary-4711"]
    under(umask, "run", "--job=a", f"--runs.dir={runs}", "--", *command, folder=tmp_path)
    (record,) = runs.iterdir()
    assert mode(record) == "0o644"
    assert "canary" not in record.read_text()


@pytest.mark.parametrize(("mode", "is_said"), [(0o644, True), (0o640, False), (0o600, False)])
def test_a_file_with_secrets_that_everyone_may_read_is_said_once(
    mode: int, is_said: bool, heard: Callable[..., RunningAgent], key_file: Path, tmp_path: Path
) -> None:
    """The hashes of the web configuration and a provider's key; the agent works with them all the same."""
    web, file = tmp_path / "web.yml", tmp_path / "gputally.yml"
    web.write_text(f"basic_auth_users: {{me: $2y$10${'a' * 53}}}\n")
    for one in (web, key_file):
        one.chmod(mode)
    with speaking(lambda _: Answer(401)) as provider:
        vast = f"{{base_url: '{provider.url}', api_key_file: {key_file}}}"
        file.write_text(f"market: {{providers: {{vast: {vast}}}}}\n")
        running = heard("site", f"--config.file={file}", f"--web.config.file={web}", serving=False)
        running.until(lambda: bool(running.lines("market: vast: no prices")), 20, "the provider to be asked")
    said = running.lines("everyone may read")
    assert len(said) == (2 if is_said else 0)
    assert all("expected mode 0640 or stricter" in line for line in said)
