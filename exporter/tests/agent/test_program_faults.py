"""A running agent whose figures come from `nvidia-smi`, and that program hangs or says nonsense."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.sources.standins.standin import CAPTURES, HERE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.agent.running import RunningAgent

WATTS = "gpu_power_watts"
ENERGY = "gpu_energy_joules_total"


class Smi:
    """A program of that name; what it does can change at any time."""

    def __init__(self, folder: Path) -> None:
        (folder / "bin").mkdir()
        self._behaviour = folder / "behaviour"
        self.behave("")
        program = folder / "bin" / "nvidia-smi"
        told = f'export STANDIN_BEHAVIOUR="$(cat {self._behaviour})"'
        program.write_text(f'#!/bin/sh\n{told}\nexec {sys.executable} -IS {HERE / "nvidia-smi"} "$@"\n')
        program.chmod(0o755)
        capture = str(CAPTURES / "nvidia-smi" / "418-v100")
        self.env = {"PATH": f"{folder / 'bin'}:/usr/bin:/bin", "STANDIN_CAPTURE": capture}

    def behave(self, words: str) -> None:
        new = self._behaviour.with_suffix(".new")
        new.write_text(words)
        new.replace(self._behaviour)


@pytest.mark.fault("smi-hangs", "smi-garbage")
def test_whatever_nvidia_smi_does_scrapes_are_answered_and_figures_come_back_with_it(
    agent: Callable[..., RunningAgent], tmp_path: Path
) -> None:
    smi = Smi(tmp_path)
    running = agent("--source=nvidia-smi", "--sample.interval=1s", env=smi.env)
    good = running.wait_until(lambda s: len(s.series(WATTS)) == 2 and s.series(ENERGY))
    with running.watch() as watch:
        for words in ("hang", "garbage"):
            smi.behave(words)
            down = running.wait_until(lambda s: not s.series(WATTS), 15, words)
            assert down.series(ENERGY).keys() == good.series(ENERGY).keys()
            smi.behave("")
            running.wait_until(lambda s: len(s.series(WATTS)) == 2, 30, f"as before, after {words}")
    watch.assert_served()
    watch.assert_no_decrease()
    assert running.terminate()[0] == 0
