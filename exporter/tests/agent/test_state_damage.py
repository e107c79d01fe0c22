"""State files that lie, are damaged, or belong to somebody else: nothing falls, nothing is overwritten."""

from __future__ import annotations

import json
import os
import random
import shutil
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.agent.metering import add_idle, assert_exact, counted_mj, is_up, load, true_mj, uuid_of
from tests.agent.statefiles import NAMES, Memory, assert_whole
from tests.fakenvml import Constant

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.agent.running import RunningAgent
    from tests.fakenvml import FakeGpu, FakeNvml


def rewrite(file: Path, **changes: object) -> None:
    """A state file that says something else, with a right checksum."""
    body = json.dumps({**assert_whole(file), **changes}).encode()
    file.write_bytes(b"%08x\n" % zlib.crc32(body) + body)


def flip(file: Path) -> None:
    """Change one bit in the middle."""
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 4
    file.write_bytes(data)


# What is done to the newest file alone, and to all: (damage, the word by which files are put aside)
DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "cut in the middle": (lambda file: os.truncate(file, file.stat().st_size // 2), "corrupt"),
    "empty": (lambda file: os.truncate(file, 0), "corrupt"),
    "one bit": (flip, "corrupt"),
    "random bytes": (lambda file: file.write_bytes(random.Random(1).randbytes(5000)), "corrupt"),  # noqa: S311 - no secret
    "another format": (lambda file: rewrite(file, gpus=[1, 2]), "invalid"),
}


@pytest.fixture
def stopped(
    new_agent: Callable[..., RunningAgent], fake_nvml: FakeNvml
) -> tuple[RunningAgent, FakeGpu, Memory]:
    """An agent that has metered for a moment and was stopped, and what it said last."""
    (gpu,) = add_idle(fake_nvml, "full")
    gpu.set(gpu_percent=50)
    running = new_agent().start()
    load(running, [gpu], Constant(400))
    memory = Memory()
    running.wait_until(lambda s: (counted_mj(s, gpu) or 0) > 150_000)
    memory.check(running.scrape())
    running.terminate()
    return running, gpu, memory


def start_on_copy(
    new_agent: Callable[..., RunningAgent], first: RunningAgent, damage: Callable[[Path], object]
) -> RunningAgent:
    """Another agent on a copy of a state folder that was damaged meanwhile."""
    running = new_agent()
    shutil.copytree(first.state_dir, running.state_dir)
    damage(running.state_dir)
    return running.start()


# Of a rate that may have changed: begins at zero, and has often caught up when it is seen (gpustate.held).
USD_PER_KWH = 0.12  # the default
MONEY = ("gpu_energy_cost_", "gpu_energy_credit_", "gpu_energy_by_tariff_", "gpu_emissions_")


@pytest.mark.fault("state-damaged")
def test_a_damaged_newest_file_is_replaced_by_the_one_before_and_nothing_falls(
    stopped: tuple[RunningAgent, FakeGpu, Memory], new_agent: Callable[..., RunningAgent]
) -> None:
    first, gpu, memory = stopped
    for name, (damage, word) in DAMAGE.items():
        running = start_on_copy(new_agent, first, lambda folder, damage=damage: damage(folder / NAMES[0]))
        scrape = running.wait_until(lambda s: is_up(s, gpu), what=name)
        memory.check(scrape, begins_anew=("gpu_team_", "gpu_unattributed_", *MONEY))
        # What began anew is the joules of now at their price, and no cent is invented.
        joules = scrape.value("gpu_energy_by_tariff_joules_total", uuid=uuid_of(gpu)) or 0.0
        cost = scrape.value("gpu_energy_cost_total", uuid=uuid_of(gpu))
        assert cost == pytest.approx(joules * USD_PER_KWH / 3.6e6, rel=1e-9), name
        assert joules <= (scrape.value("gpu_energy_joules_total", uuid=uuid_of(gpu)) or 0.0), name
        assert scrape.value("gputally_state_recovered") == 1, name
        assert len(running.lines("state recovered")) == 1, name
        assert (running.state_dir / f"{NAMES[0]}.{word}").exists(), name
        running.wait_until(lambda s: (counted_mj(s, gpu) or 0) >= true_mj(gpu) - 400_000, what=name)
        running.stop()


@pytest.mark.fault("state-foreign")
def test_when_no_file_is_left_metering_begins_anew_and_what_was_there_is_kept_aside(
    stopped: tuple[RunningAgent, FakeGpu, Memory], new_agent: Callable[..., RunningAgent]
) -> None:
    """F30: garbage, another machine's files, a newer version's files: one warning, and never overwritten."""
    first, gpu, _memory = stopped
    for name, damage, word in (
        ("random bytes", DAMAGE["random bytes"][0], "corrupt"),
        ("another machine", lambda file: rewrite(file, host="0123456789abcdef"), "other_host"),
        ("a newer version", lambda file: rewrite(file, schema=99), "future_schema"),
    ):

        def damage_all(folder: Path, damage: Callable[[Path], object] = damage) -> None:
            for file in NAMES:
                damage(folder / file)

        running = start_on_copy(new_agent, first, damage_all)
        scrape = running.wait_until(lambda s: is_up(s, gpu), what=name)
        if word == "other_host" and not Path("/etc/machine-id").exists():
            assert (counted_mj(scrape, gpu) or 0) > 150_000  # a machine without identity knows no other
        else:
            assert (counted_mj(scrape, gpu) or 0) < 150_000, name
            assert len(running.lines("state not usable", NAMES[0])) == 1, name
            assert (running.state_dir / f"{NAMES[0]}.{word}").exists(), name
        assert scrape.value("gputally_state_recovered") == 0, name
        running.wait_until(lambda s: s.value("gputally_state_write_success") == 1, what=name)
        running.stop()


@pytest.mark.fault("agent-twice")
def test_a_second_agent_on_the_same_folder_ends_with_one_line_and_harms_nothing(
    agent: Callable[..., RunningAgent], new_agent: Callable[..., RunningAgent], fake_nvml: FakeNvml
) -> None:
    (gpu,) = add_idle(fake_nvml, "full")
    first = agent()
    load(first, [gpu], Constant(400))
    second = new_agent(f"--state.dir={first.state_dir}").start(serving=False)
    assert second.wait() == 1
    assert second.log[-1] == (
        f"gputally: error: {first.state_dir}: in use by another gputally (process {first.pid})"
    )
    assert not second.lines("Traceback")
    assert_exact(first, [gpu])
    first.terminate()
    third = agent(f"--state.dir={first.state_dir}")
    assert (counted_mj(third.wait_until(lambda s: is_up(s, gpu)), gpu) or 0) >= true_mj(gpu)
