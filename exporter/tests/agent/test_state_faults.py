"""Counters survive: kills at any point, and disks that are full, read-only or gone."""

from __future__ import annotations

import errno
import os
import random
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.agent import running as harness
from tests.agent.metering import add_idle, assert_exact, counted_mj, is_up, load, true_mj, uuid_of
from tests.agent.preload import Preload, preload, preload_library
from tests.agent.statefiles import NAMES, Memory, assert_whole
from tests.fakenvml import Constant, Square

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.agent.running import RunningAgent
    from tests.fakenvml import FakeGpu, FakeNvml

__all__ = ["preload", "preload_library"]

KILLS = 20  # each of two agents


def kill_at_random(running: RunningAgent, cards: Iterable[FakeGpu], seed: int) -> int:
    """Start and kill again and again, scraping in between. Gives the number of scrapes.

    The cards are busy before each kill and idle after it: what was published and not kept cannot be made up
    for by what comes then.
    """
    dice = random.Random(seed)  # noqa: S311 - no secret
    memory = Memory()
    scrapes = 0
    for round_ in range(KILLS):
        running.start(serving=round_ % 4 != 0)
        until = time.monotonic() + dice.uniform(0.0, 0.3)
        while time.monotonic() < until or not scrapes:
            try:
                memory.check(running.scrape())
            except OSError:  # not up yet
                time.sleep(0.01)
            else:
                scrapes += 1
                for card in cards:
                    card.set(gpu_percent=100)
        running.kill()
        for card in cards:
            card.set(gpu_percent=0)
    running.start()
    memory.check(running.wait_until(lambda s: s.series("gpu_energy_joules_total")))
    assert len(memory) > 20
    return scrapes


@pytest.mark.fault("agent-killed")
def test_kills_at_random_points_take_nothing_back_and_lose_no_energy(
    new_agent: Callable[..., RunningAgent], fake_nvml: FakeNvml
) -> None:
    """F29: 40 kills of two agents on one driver, under load, at 250 ms."""
    gpus = add_idle(fake_nvml, "full", "h100")
    gpus[0].set(pcie_replays=7, event_reasons=0x24)
    # One that has no counter of its own: integrated power must not fall either.
    cards = [*gpus, fake_nvml.add_gpu("p100", power=Square(20, 300, 0.4))]
    agents = [new_agent(), new_agent()]
    for running in agents:
        running.start()
        load(running, gpus, Constant(0))  # nothing yet: both agree on where they begin
        running.kill()
    for gpu in gpus:
        gpu.power = Square(120, 620, 0.7)
    with ThreadPoolExecutor(2) as pool:
        scrapes = sum(pool.map(kill_at_random, agents, (cards, cards), (1, 2)))
    assert scrapes > KILLS
    for running in agents:
        assert_exact(running, gpus)
        assert running.value("gputally_state_recovered") == 0
        assert not running.lines("state not usable")


@pytest.mark.fault("agent-down")
def test_energy_used_while_the_exporter_was_down_is_booked_when_it_is_back(
    agent: Callable[..., RunningAgent], fake_nvml: FakeNvml
) -> None:
    """F37, after an orderly end and after a kill."""
    (gpu,) = add_idle(fake_nvml, "full")
    running = agent()
    load(running, [gpu], Constant(500))
    for end in (running.terminate, running.kill):
        running.wait_until(lambda s: is_up(s, gpu) and (counted_mj(s, gpu) or 0) > 100_000)
        end()
        before_mj = true_mj(gpu)
        time.sleep(0.6)
        running.start()
        first = running.wait_until(lambda s: is_up(s, gpu))
        assert (counted_mj(first, gpu) or 0) >= before_mj + 300_000
    assert_exact(running, [gpu])


FAULTS: dict[str, Callable[[Preload], None]] = {
    "full at once": lambda disk: disk.fill_disk(0),
    "full after a part of the file": lambda disk: disk.fill_disk(700),
    "read-only": lambda disk: disk.refuse_writing(errno.EROFS),
    "damaged": lambda disk: disk.refuse_writing(errno.EIO),
}


@pytest.mark.fault("state-disk")
def test_a_disk_that_cannot_be_written_stops_no_metering_and_heals_by_itself(
    agent: Callable[..., RunningAgent], fake_nvml: FakeNvml, preload: Preload
) -> None:
    """F30: from the start, in between, at the end; said once when it begins and once when it is over."""
    (gpu,) = add_idle(fake_nvml, "full")
    preload.fill_disk(0)
    running = agent(env=preload.env)
    load(running, [gpu], Constant(400))
    running.wait_until(lambda s: (counted_mj(s, gpu) or 0) > 150_000)
    assert running.value("gputally_state_write_success") == 0
    preload.heal_disk()
    running.until(lambda: all((running.state_dir / name).exists() for name in NAMES), what="all files")
    with running.watch() as watch:
        for number, (name, begin) in enumerate(FAULTS.items(), start=2):
            running.wait_until(
                lambda s: s.value("gputally_state_write_success") == 1, what=f"good before {name}"
            )
            begin(preload)
            failed = running.wait_until(lambda s: s.value("gputally_state_write_success") == 0, what=name)
            assert failed.value("gputally_collector_success", collector="state") == 0
            frozen_mj = counted_mj(failed, gpu) or 0
            running.wait_until(lambda s, mj=frozen_mj: (counted_mj(s, gpu) or 0) > mj + 100_000, what=name)
            for file in NAMES:
                assert_whole(running.state_dir / file)
            assert not list(running.state_dir.glob("*.tmp"))
            preload.heal_disk()
            running.wait_until(
                lambda s: s.value("gputally_state_write_success") == 1, what=f"good after {name}"
            )
            assert len(running.lines("state not written, counters go on in memory")) == number, name
            assert len(running.lines("state is written again")) == number, name
    watch.assert_served()
    watch.assert_no_decrease()
    assert_exact(running, [gpu])
    preload.fill_disk(0)
    status, seconds = running.terminate()
    assert (status, seconds < 2.0) == (0, True)
    preload.heal_disk()
    running.start()
    assert counted_mj(running.wait_until(lambda s: is_up(s, gpu)), gpu) == true_mj(gpu)


BUSY = "gpu_busy_seconds_total"


@pytest.mark.fault("state-disk")
def test_killed_after_it_could_not_save_for_long_no_counter_begins_again_where_it_has_been(
    agent: Callable[..., RunningAgent], fake_nvml: FakeNvml, preload: Preload
) -> None:
    """What the card counts goes on, once it can be read; what was integrated begins at zero.

    A counter that went back a little would be added once more by increase(), with all that it shows.
    """
    metered, bare = add_idle(fake_nvml, "full", "p100")
    metered.set(gpu_percent=100)
    bare.set(gpu_percent=100)
    running = agent(env=preload.env)
    load(running, [metered, bare], Constant(400))
    running.wait_until(lambda s: (counted_mj(s, bare) or 0) > 400_000)
    preload.fill_disk(0)
    running.until(lambda: b"unsaved" in (running.state_dir / "lock").read_bytes(), 20, "the folder says so")
    before = running.wait_until(lambda s: (counted_mj(s, bare) or 0) > 2_000_000)
    running.kill()
    preload.heal_disk()
    fake_nvml.fault("*", code=999)
    running.start()
    blind = running.wait_until(lambda s: s.value("gputally_state_write_success") == 1)
    assert not blind.series("gpu_energy_joules_total") | blind.series(BUSY)
    running.kill()  # what was saved meanwhile is no more than what was there before
    running.start()
    assert not running.scrape().series("gpu_energy_joules_total")
    fake_nvml.clear("*")
    after = running.wait_until(lambda s: is_up(s, metered) and is_up(s, bare), 20)
    assert (counted_mj(after, metered) or 0) >= (counted_mj(before, metered) or 0)
    assert (counted_mj(after, bare) or 0) < 400_000
    assert all(seconds < 5 < before.series(BUSY)[gpu] for gpu, seconds in after.series(BUSY).items())
    assert_exact(running, [metered])


@pytest.fixture
def without_privileges(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Start the program so that permission bits hold for it, even when root runs the tests."""
    if os.geteuid() != 0:
        return
    program = tmp_path / "unprivileged"
    keep = "--bounding-set=-dac_override,-dac_read_search"
    program.write_text(f'#!/bin/sh\nexec setpriv {keep} "{harness.PROGRAM}" "$@"\n')
    program.chmod(0o755)
    monkeypatch.setattr(harness, "PROGRAM", program)


@pytest.mark.fault("state-forbidden")
@pytest.mark.usefixtures("without_privileges")
def test_a_folder_without_permission_stops_no_metering_and_is_used_once_it_is_opened(
    agent: Callable[..., RunningAgent], fake_nvml: FakeNvml, tmp_path: Path
) -> None:
    """F30: closed from the start, or made read-only later."""
    (gpu,) = add_idle(fake_nvml, "full")
    folder = tmp_path / "agent-0" / "state"
    folder.mkdir(parents=True)
    folder.chmod(0o000)
    running = agent()
    load(running, [gpu], Constant(400))
    for number, mode in enumerate((0o000, 0o500), start=1):
        folder.chmod(mode)
        try:
            running.wait_until(lambda s: s.value("gputally_state_write_success") == 0)
            assert len(running.lines("state not written", "Permission denied")) == number
        finally:
            folder.chmod(0o700)
        running.wait_until(lambda s: s.value("gputally_state_write_success") == 1)
    running.restart()
    assert_exact(running, [gpu])


@pytest.mark.fault("state-forbidden")
def test_a_missing_folder_is_made_for_this_user_alone(
    agent: Callable[..., RunningAgent], fake_nvml: FakeNvml, tmp_path: Path
) -> None:
    fake_nvml.add_gpu()
    folder = tmp_path / "not" / "there" / "yet"
    running = agent(f"--state.dir={folder}")
    running.wait_until(lambda s: s.value("gputally_state_write_success") == 1)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE((folder / name).stat().st_mode) for name in NAMES if (folder / name).exists()} == {
        0o600
    }


@pytest.mark.fault("state-forbidden")
def test_a_folder_that_vanishes_is_made_again(
    agent: Callable[..., RunningAgent], fake_nvml: FakeNvml, tmp_path: Path
) -> None:
    (gpu,) = add_idle(fake_nvml, "full")
    running = agent()
    load(running, [gpu], Constant(400))
    running.wait_until(lambda s: (counted_mj(s, gpu) or 0) > 50_000)
    with running.watch() as watch:
        running.state_dir.rename(tmp_path / "gone")
        running.until((running.state_dir / NAMES[0]).exists, what="the state is there again")
        running.wait_until(lambda s: s.value("gputally_state_write_success") == 1)
    watch.assert_no_decrease()
    assert len(running.lines("state not written")) <= 1
    running.restart()
    assert_exact(running, [gpu])


def test_without_a_folder_nothing_is_written_and_nothing_is_said_about_it(
    agent: Callable[..., RunningAgent], fake_nvml: FakeNvml
) -> None:
    gpu = fake_nvml.add_gpu()
    running = agent("--state.dir=")
    scrape = running.wait_until(lambda s: is_up(s, gpu))
    assert scrape.value("gputally_state_write_success") is None
    assert scrape.value("gputally_collector_success", collector="state") is None
    assert [path.name for path in running.folder.iterdir()] == ["agent.log"]
    assert uuid_of(gpu) in scrape.body
