"""Curves whose area is known in closed form, so that simulated energy is exactly the integral of power."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import cos, pi, sin


@dataclass(frozen=True, slots=True)
class Bumps:
    """A row of equal bumps with smooth edges; negative height makes dips. All lengths in seconds."""

    height: float
    width: float  # foot to foot
    edge: float  # of each flank, above 0 and at most half the width
    first: float = 0.0  # where the first one starts
    period: float = 1.0  # start to start, at least the width where there are several
    count: int = 1

    def at(self, second: float) -> float:
        """Height at this second."""
        passed = second - self.first
        if passed <= 0 or self.count <= 0:
            return 0.0
        within = passed - min(int(passed // self.period), self.count - 1) * self.period
        if within >= self.width:
            return 0.0
        foot = min(within, self.width - within)
        return self.height if foot >= self.edge else self.height * (1 - cos(pi * foot / self.edge)) / 2

    def area(self, second: float) -> float:
        """Area from the beginning up to this second."""
        passed = second - self.first
        if passed <= 0 or self.count <= 0:
            return 0.0
        before = min(int(passed // self.period), self.count - 1)
        whole = self.width - self.edge
        within = passed - before * self.period
        if within >= self.width:
            part = whole
        elif within > self.width / 2:
            part = whole - self._flank(self.width - within)
        else:
            part = self._flank(within)
        return self.height * (before * whole + part)

    def _flank(self, within: float) -> float:
        if within >= self.edge:
            return within - self.edge / 2
        return within / 2 - self.edge / (2 * pi) * sin(pi * within / self.edge)


Shape = tuple[Bumps, ...]


def height(shape: Shape, second: float) -> float:
    """Sum of the curves at this second."""
    return sum(bumps.at(second) for bumps in shape)


def area(shape: Shape, second: float) -> float:
    """Sum of their areas up to this second."""
    return sum(bumps.area(second) for bumps in shape)


def repeated(bumps: Bumps, until: float) -> Bumps:
    """As many of these bumps, one a period, as are over by then."""
    room = until - bumps.first - bumps.width
    count = int(room // bumps.period) + 1 if room >= 0 else 0
    return Bumps(bumps.height, bumps.width, bumps.edge, bumps.first, bumps.period, count)


def plateau(level: float, length: float, edge: float) -> Bumps:
    """One bump over the whole length."""
    return Bumps(level, length, min(edge, length / 2), period=length)


def scaled(shape: Iterable[Bumps], factor: float) -> Shape:
    """The same curves, higher or lower."""
    return tuple(Bumps(b.height * factor, b.width, b.edge, b.first, b.period, b.count) for b in shape)
