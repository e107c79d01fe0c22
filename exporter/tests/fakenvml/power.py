"""The power of one fake GPU: which waveform when, what the counter shows, and what is true."""

from __future__ import annotations

import math
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .layout import CONSTANTS
from .waveform import Waveform, from_parameters

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .control import FakeNvml


class PoweredSlot:
    """A slot of the control file, as far as energy goes."""

    def __init__(self, fake: FakeNvml, slot: int) -> None:
        self.fake = fake
        self.slot = slot
        self.raw: Any = fake.raw.gpus[slot]

    @contextmanager
    def edit(self) -> Iterator[Any]:
        """Yields the raw structure; what is written inside appears to readers at once, together."""
        with self.fake.lock:
            self.raw.sequence += 1
            try:
                yield self.raw
            finally:
                self.raw.sequence += 1

    @property
    def power(self) -> Waveform:
        """The waveform in force now."""
        segment = self.raw.segments[self.raw.segment_count - 1]
        return _waveform(segment)

    @power.setter
    def power(self, waveform: Waveform) -> None:
        self.start_power(waveform)

    def start_power(self, waveform: Waveform, at_ns: int | None = None) -> None:
        """Starts a waveform, by default now; what was counted until then stays counted."""
        with self.edit():
            start_ns = self.fake.now_ns() if at_ns is None else at_ns
            start_mj = self.energy_mj(to_ns=start_ns) if self.raw.segment_count else 0.0
            count = self.raw.segment_count
            while count and self.raw.segments[count - 1].start_ns >= start_ns:
                count -= 1
            if count == CONSTANTS["FAKE_SEGMENTS"]:
                for position in range(1, count):
                    self.raw.segments[position - 1] = self.raw.segments[position]
                count -= 1
            segment = self.raw.segments[count]
            segment.start_ns, segment.kind, segment.start_mj = start_ns, waveform.kind, start_mj
            segment.first, segment.second, segment.period_s, segment.duty = waveform.parameters()
            self.raw.segment_count = count + 1

    def energy_mj(self, from_ns: int | None = None, to_ns: int | None = None) -> float:
        """The truth: exact energy between two times of the fake's clock (default: all of it, until now).

        Raises:
            ValueError: a time before the oldest waveform still in the control file.
        """
        with self.fake.lock:
            end_ns = self.fake.now_ns() if to_ns is None else to_ns
            oldest = self.raw.segments[0]
            if oldest.start_mj > 0 and min(end_ns, end_ns if from_ns is None else from_ns) < oldest.start_ns:
                raise ValueError("before the oldest waveform still known")
            return self._total_mj(end_ns) - (0.0 if from_ns is None else self._total_mj(from_ns))

    def _total_mj(self, at_ns: int) -> float:
        for position in range(self.raw.segment_count - 1, -1, -1):
            segment = self.raw.segments[position]
            if segment.start_ns <= at_ns:
                elapsed_s = (at_ns - segment.start_ns) * 1e-9
                return float(segment.start_mj + _waveform(segment).integral_mj(elapsed_s))
        return float(self.raw.segments[0].start_mj)

    def counter_mj(self, at_ns: int | None = None) -> int:
        """What the energy counter reads at a time: in its update steps, shifted, frozen."""
        with self.fake.lock:
            time_ns = self.fake.now_ns() if at_ns is None else at_ns
            step_ns = self.raw.energy_step_ns
            if self.raw.energy_frozen:
                return max(int(self.raw.energy_frozen_mj), 0)
            counted = math.floor(self._total_mj(time_ns - time_ns % step_ns if step_ns else time_ns) + 1e-3)
            return max(counted + int(self.raw.energy_offset_mj), 0)

    def freeze_energy(self) -> None:
        """Stops the energy counter where it is."""
        frozen = self.counter_mj()
        with self.edit():
            self.raw.energy_frozen_mj, self.raw.energy_frozen = frozen, 1

    def thaw_energy(self) -> None:
        """Lets a frozen energy counter go on from where it would be."""
        self.raw.energy_frozen = 0

    def shift_energy(self, joules: float) -> None:
        """Moves the energy counter: -1 for the glitch, 1e12 for the jump. The truth does not move."""
        with self.edit():
            self.raw.energy_offset_mj += round(joules * 1000)

    def reset_energy(self) -> None:
        """Puts the energy counter back to 0, as a driver reload does. The truth does not move."""
        with self.edit():
            self.raw.energy_offset_mj -= self.counter_mj()


def _waveform(segment: Any) -> Waveform:
    return from_parameters(segment.kind, segment.first, segment.second, segment.period_s, segment.duty)
