"""What a GPU draws in a story: stretches of power in closed form, and the exact energy of any time."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.fakenvml import energy_mj

if TYPE_CHECKING:
    from tests.fakenvml import Waveform


@dataclass
class Course:
    """Stretches in the order of time, each until the next; seconds since the beginning of the story."""

    starts_s: list[float] = field(default_factory=list)
    waves: list[Waveform] = field(default_factory=list)
    _before_mj: list[float] = field(default_factory=list)

    def then(self, start_s: float, wave: Waveform) -> None:
        """Draw otherwise from a time on."""
        before_mj = 0.0
        if self.starts_s:
            passed_s = start_s - self.starts_s[-1]
            assert passed_s > 0, "stretches come in the order of time"
            before_mj = self._before_mj[-1] + energy_mj(self.waves[-1], 0.0, passed_s)
        self.starts_s.append(start_s)
        self.waves.append(wave)
        self._before_mj.append(before_mj)

    def mj(self, from_s: float, until_s: float) -> float:
        """Energy between two times."""
        return self._since_begin_mj(until_s) - self._since_begin_mj(from_s)

    def _since_begin_mj(self, at_s: float) -> float:
        where = bisect_right(self.starts_s, at_s) - 1
        return self._before_mj[where] + energy_mj(self.waves[where], 0.0, at_s - self.starts_s[where])
