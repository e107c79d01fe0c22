"""Restarts and what was published: all that was saved counts, however long nobody was there; and no more.

What is read with increase() goes on from the file of a process that was killed, unless that process had
published more than it could save.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from gputally.model import Instant
from gputally.node.gpustate import FLUSH_NS
from gputally.node.persistence import Persistence
from tests.node.card import BOOT_NS, SECOND, WALL_NS

if TYPE_CHECKING:
    from pathlib import Path

HOUR_S = 3600


class Life:
    """One process and its state folder."""

    def __init__(self, folder: Path, boot_id: str = "boot", at_s: float = 0) -> None:
        self.persistence = Persistence(folder, boot_id)
        self.at_s = at_s

    def tick(self, seconds: float = 1.0, times: int = 1, *, final: bool = False) -> bool:
        """Save; whether what is published after it may be more than what was published before."""
        for _ in range(times):
            self.at_s += seconds
            ns = round(self.at_s * SECOND)
            self.persistence.save({}, {}, Instant(BOOT_NS + ns, WALL_NS + ns), final=final)
        return self.persistence.in_step

    def kill(self) -> None:
        assert self.persistence._file is not None
        self.persistence._file.close()


def refuse(folder: Path, *, yes: bool) -> None:
    """Let every write of a state fail, or succeed again."""
    for name in ("counters.json.tmp", "counters.json.synced.tmp"):
        (folder / name).mkdir() if yes else (folder / name).rmdir()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.mark.parametrize("down_s", [0, 5, 11, 30, HOUR_S, 400 * HOUR_S])
def test_what_a_killed_process_saved_is_the_latest_however_long_it_was_down(
    folder: Path, down_s: float
) -> None:
    life = Life(folder)
    life.tick(times=3)
    life.kill()
    again = Life(folder, at_s=life.at_s + down_s)
    assert again.persistence.is_latest
    again.kill()
    assert not Life(folder, "another boot").persistence.is_latest


def test_nothing_new_is_shown_while_a_restart_would_not_know_of_it(folder: Path) -> None:
    life = Life(folder)
    assert life.tick()
    refuse(folder, yes=True)
    shown = [life.tick() for _ in range(14)]
    flush = FLUSH_NS // SECOND
    assert shown == [False] * (flush + 1) + [True] * (13 - flush)
    refuse(folder, yes=False)
    assert life.tick()
    refuse(folder, yes=True)
    assert not life.tick()


@pytest.mark.parametrize(("failing", "latest"), [(5, True), (11, True), (12, False), (100, False)])
def test_a_restart_knows_that_more_was_shown_than_is_saved(folder: Path, failing: int, latest: bool) -> None:
    life = Life(folder)
    life.tick(times=3)
    refuse(folder, yes=True)
    in_step = life.tick(times=failing)
    assert in_step is not latest
    life.kill()
    refuse(folder, yes=False)
    for _ in range(2):  # who is killed before his first tick changes nothing
        again = Life(folder, at_s=life.at_s + 2)
        assert again.persistence.is_latest is latest
        again.kill()
    again = Life(folder, at_s=life.at_s + 2)
    again.tick()
    again.kill()
    assert Life(folder, at_s=again.at_s).persistence.is_latest


@pytest.mark.fault("state-disk")
def test_seconds_of_one_process_after_another_are_no_longer_few(folder: Path) -> None:
    life = Life(folder)
    life.tick(times=3)
    life.kill()
    refuse(folder, yes=True)
    for latest in (True, True, False):
        life = Life(folder, at_s=life.at_s)
        assert life.persistence.is_latest is latest
        life.tick(times=3)
        life.kill()
    refuse(folder, yes=False)


def test_long_ticks_are_held_to_the_same(folder: Path) -> None:
    life = Life(folder)
    life.tick(60)
    refuse(folder, yes=True)
    assert [life.tick(60), life.tick(60)] == [False, True]
    life.kill()
    refuse(folder, yes=False)
    assert not Life(folder, at_s=life.at_s).persistence.is_latest


def test_a_goodbye_counts_after_a_boot_too(folder: Path) -> None:
    life = Life(folder)
    life.tick(times=2)
    life.tick(final=True)
    assert Life(folder, "another boot").persistence.is_latest


def test_an_older_file_is_not_the_latest(folder: Path) -> None:
    life = Life(folder)
    life.tick(times=3)
    life.kill()
    (folder / "counters.json").write_bytes(b"torn")
    assert not Life(folder).persistence.is_latest


def test_without_a_folder_there_is_nothing_to_wait_for() -> None:
    persistence = Persistence(None, "boot")
    persistence.save({}, {}, Instant(BOOT_NS, WALL_NS))
    assert persistence.in_step
    assert not persistence.is_latest


def test_a_folder_that_cannot_be_locked_is_not_trusted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a disk that has become read-only: what happened on it cannot be known."""
    life = Life(folder)
    life.tick(times=3)
    life.kill()
    real = os.open

    def refused(path: object, flags: int, *more: int) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR):
            raise OSError(30, "Read-only file system")
        return real(path, flags, *more)  # type: ignore[call-overload]

    monkeypatch.setattr(os, "open", refused)
    assert not Life(folder).persistence.is_latest


@pytest.mark.fault("state-older")
def test_the_file_of_an_earlier_version_is_gone_on_from(folder: Path) -> None:
    """Its lock tells a process id and nothing else."""
    life = Life(folder)
    life.tick(times=3)
    life.kill()
    (folder / "lock").write_bytes(b"4711\n")
    assert Life(folder).persistence.is_latest
