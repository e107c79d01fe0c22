"""Power over time in closed form, and its exact integral: the truth that meters are held against.

power.c evaluates the same expressions in the same order.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Constant:
    """The same power for ever."""

    watts: float

    kind = 0

    def parameters(self) -> tuple[float, float, float, float]:
        """The numbers of the segment in the control file."""
        return (self.watts, 0.0, 1.0, 0.0)

    def at_w(self, _seconds: float) -> float:
        """Power, that many seconds after the waveform's start."""
        return self.watts

    def integral_mj(self, seconds: float) -> float:
        """Energy from the waveform's start."""
        return 1000 * (self.watts * seconds)


@dataclass(frozen=True)
class Square:
    """`high_w` for the first `duty` of each period, then `low_w`."""

    low_w: float
    high_w: float
    period_s: float
    duty: float = 0.5

    kind = 1

    def parameters(self) -> tuple[float, float, float, float]:
        """The numbers of the segment in the control file."""
        return (self.low_w, self.high_w, self.period_s, self.duty)

    def at_w(self, seconds: float) -> float:
        """Power, that many seconds after the waveform's start."""
        phase = seconds - math.floor(seconds / self.period_s) * self.period_s
        return self.high_w if phase < self.duty * self.period_s else self.low_w

    def integral_mj(self, seconds: float) -> float:
        """Energy from the waveform's start."""
        high_s = self.duty * self.period_s
        cycles = float(math.floor(seconds / self.period_s))
        phase = seconds - cycles * self.period_s
        whole = cycles * (self.high_w * high_s + self.low_w * (self.period_s - high_s))
        return 1000 * (whole + self.high_w * min(phase, high_s) + self.low_w * max(phase - high_s, 0.0))


@dataclass(frozen=True)
class Sine:
    """`mean_w` plus `amplitude_w` times the sine of one turn a period."""

    mean_w: float
    amplitude_w: float
    period_s: float

    kind = 2

    def parameters(self) -> tuple[float, float, float, float]:
        """The numbers of the segment in the control file."""
        return (self.mean_w, self.amplitude_w, self.period_s, 0.0)

    def at_w(self, seconds: float) -> float:
        """Power, that many seconds after the waveform's start."""
        return self.mean_w + self.amplitude_w * math.sin(2 * math.pi * seconds / self.period_s)

    def integral_mj(self, seconds: float) -> float:
        """Energy from the waveform's start."""
        turn = 2 * math.pi * seconds / self.period_s
        swing = self.amplitude_w * self.period_s / (2 * math.pi) * (1 - math.cos(turn))
        return 1000 * (self.mean_w * seconds + swing)


Waveform = Constant | Square | Sine


def energy_mj(waveform: Waveform, from_s: float, to_s: float) -> float:
    """Energy between two times, in seconds from the waveform's start."""
    return waveform.integral_mj(to_s) - waveform.integral_mj(from_s)


def from_parameters(kind: int, first: float, second: float, period_s: float, duty: float) -> Waveform:
    """The waveform that a segment of the control file stands for."""
    if kind == Square.kind:
        return Square(first, second, period_s, duty)
    if kind == Sine.kind:
        return Sine(first, second, period_s)
    return Constant(first)
