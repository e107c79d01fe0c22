"""A card with a known truth, and a rig that feeds its readings to the counters tick by tick."""

import json
import math
from dataclasses import dataclass, field, replace
from typing import Any

from gputally.model import FastReading, GpuCounters, Instant, Reading, SlowReading
from gputally.node import counters, gpustate, statejson
from gputally.node.counters import Context, Tick
from gputally.node.gpustate import GpuState

SECOND = 1_000_000_000
LIMIT_W = 700.0
WALL_NS = 1_760_000_000 * SECOND
BOOT_NS = 5000 * SECOND


@dataclass
class Rig:
    """One GPU's counters under a clock that the test moves."""

    state: GpuState = field(default_factory=gpustate.fresh)
    now: Instant = field(default_factory=lambda: Instant(BOOT_NS, WALL_NS))
    ctx: Context = field(default_factory=lambda: Context("boot-a", SECOND, LIMIT_W))
    ticks: list[Tick] = field(default_factory=list)

    def wait(self, seconds: float) -> None:
        """Let time pass on both clocks."""
        ns = round(seconds * SECOND)
        self.now = Instant(self.now.boot_ns + ns, self.now.wall_ns + ns)

    def tick(self, seconds: float = 1.0, *, slow: SlowReading | None = None, **fast: Any) -> Tick:
        """Wait, then take a reading."""
        self.wait(seconds)
        reading = Reading(FastReading(**fast), slow)
        self.state, tick = counters.advance(self.state, reading, self.now, self.ctx)
        self.ticks.append(tick)
        return tick

    def miss(self, seconds: float = 1.0) -> None:
        """Wait, then get no reading."""
        self.wait(seconds)
        self.state = counters.miss(self.state, self.now)

    def restart(self, seconds: float = 0.0) -> None:
        """Stop the exporter and start it again after a while, in the same boot."""
        self.state = statejson.from_json(json.loads(json.dumps(statejson.to_json(self.state))))
        self.wait(seconds)

    def reboot(self, boot_id: str = "boot-b", uptime: float = 60.0) -> None:
        """Restart in another boot; the boot clock begins again."""
        self.restart()
        self.ctx = replace(self.ctx, boot_id=boot_id)
        self.now = Instant(round(uptime * SECOND), self.now.wall_ns + 120 * SECOND)

    @property
    def acc_mj(self) -> int:
        """What is counted."""
        assert self.state.energy.acc_mj is not None
        return self.state.energy.acc_mj

    @property
    def booked_mj(self) -> int:
        """The sum of what the ticks said."""
        return sum(tick.delta_mj for tick in self.ticks)

    @property
    def shown(self) -> GpuCounters:
        """What a scrape sees."""
        return counters.publish(self.state, self.now)


class Wave:
    """A power over time whose energy is known in closed form: a square or a sine between two levels."""

    def __init__(self, shape: str, period: float, low_w: float, high_w: float, start: float = 0.0) -> None:
        self.shape, self.period, self.start = shape, period, start
        self.low_w, self.high_w = low_w, high_w

    def power_w(self, t: float) -> float:
        phase = ((t + self.start) / self.period) % 1.0
        if self.shape == "square":
            return self.high_w if phase < 0.5 else self.low_w
        return (self.low_w + self.high_w) / 2 + (self.high_w - self.low_w) / 2 * math.sin(math.tau * phase)

    def joules(self, t0: float, t1: float) -> float:
        """Energy used between two times."""
        return self._since_zero(t1 + self.start) - self._since_zero(t0 + self.start)

    def _since_zero(self, t: float) -> float:
        if self.shape == "square":
            whole, rest = divmod(t, self.period)
            high = whole * self.period / 2 + min(rest, self.period / 2)
            return high * self.high_w + (t - high) * self.low_w
        half = (self.high_w - self.low_w) / 2
        turn = math.tau / self.period
        return (self.low_w + half) * t + half / turn * (1 - math.cos(turn * t))

    def average_w(self, t: float, window: float = 1.0) -> float:
        """What a driver that averages over a second says at a time."""
        return self.joules(t - window, t) / window

    def counter_mj(self, t: float, step: float = 0.1, origin_mj: int = 10**12) -> int:
        """The driver's counter, renewed every `step` seconds."""
        return origin_mj + int(self.joules(0.0, math.floor(t / step) * step) * 1000)

    def ring(self, since: float, t: float, step: float = 0.02) -> tuple[tuple[int, int], ...]:
        """The driver's samples after `since` until `t`: (microseconds, milliwatts)."""
        first, last = math.floor(since / step) + 1, math.floor(t / step)
        return tuple(
            (round(n * step * 1e6) + 10**15, round(self.power_w(n * step) * 1000))
            for n in range(first, last + 1)
        )
