"""Integrates power readings where no energy counter can be trusted, and as the audit of one that is.

Decides which of a reading's powers is the best and what it is worth over an interval. Amounts are integers in
microwatts times nanoseconds, so that nothing is lost to rounding however short a tick is.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from gputally.model import FastReading
from gputally.model.clock import NS_PER_SECOND

UW_NS_PER_MJ = 10**12
DEFAULT_LIMIT_W = 2000.0  # no board draws more; bounds a counter whose card does not tell its limit
HEADROOM_PERCENT = 120  # boards overshoot their limit for moments
STEP_NS = NS_PER_SECOND // 10  # the driver renews its counter every 10 to 100 ms
# How long a sample ring may bring nothing before a poorer reading is used.
RING_PATIENCE_NS = 2 * NS_PER_SECOND
CLOCK_SLACK_NS = NS_PER_SECOND  # a ring that covers this much more than has passed has had its clock moved
_UW_NS_PER_MW_US = 10**6
_NS_PER_US = 1000

Sample = tuple[int, int]  # (driver's time in microseconds, milliwatts)


@dataclass(frozen=True, slots=True)
class Pace:
    """The tick: when it is, how long after the reading before, and what is plausible in it."""

    now_ns: int  # boot clock
    dt_ns: int  # since the previous reading
    cap_ns: int  # power is integrated over no more than this
    limit_w: float | None  # highest power limit known

    def most_mj(self, ns: int) -> int:
        """What the board can have used in `ns`, with headroom and one step of the counter."""
        return most_mj(self.limit_w, ns + STEP_NS)


@dataclass(frozen=True, slots=True)
class Meter:
    """What one tick leaves for the next."""

    instant_uw: int | None = None  # the other end of the trapezoid
    sample: Sample | None = None  # newest of the driver's ring


NO_METER = Meter()


@dataclass(frozen=True, slots=True)
class Metered:
    """What the power readings of one tick say about the interval before it."""

    kind: str  # samples | average | instant
    energy: int  # microwatts times nanoseconds
    power_uw: int  # about now
    unmeasured_ns: int
    meter: Meter


def most_mj(limit_w: float | None, ns: int) -> int:
    """Upper bound of a board's energy in `ns`: 1.2 times its limit, or a generous one where none is known."""
    limit_mw = round((limit_w or DEFAULT_LIMIT_W) * 1000)
    return limit_mw * HEADROOM_PERCENT * max(0, ns) // (100 * NS_PER_SECOND)


def measure(meter: Meter, fast: FastReading, elapsed_ns: int, cap_ns: int) -> Metered | None:
    """Energy of the interval by the best power reading there is; None when there is none at this tick.

    Over more than `cap_ns` the newest watt says nothing about the interval: it is unmeasured, not guessed.
    """
    if fast.power_samples is not None:
        ring = _by_ring(meter.sample, fast.power_samples, elapsed_ns, cap_ns)
        if ring is not None:
            return ring
        if meter.sample is not None and elapsed_ns < RING_PATIENCE_NS:
            return None  # nothing new in it yet; the next batch will cover this tick as well
    if fast.power_average_w is not None:
        # The mean of the second that ends now stands for the interval that ends now.
        power_uw = _microwatts(fast.power_average_w)
        return _held("average", 2 * power_uw, power_uw, elapsed_ns, cap_ns)
    power_w = fast.power_w if fast.power_w is not None else fast.power_instant_w
    if power_w is None:
        return None
    power_uw = _microwatts(power_w)
    before_uw = power_uw if meter.instant_uw is None else meter.instant_uw
    return _held("instant", before_uw + power_uw, power_uw, elapsed_ns, cap_ns)


def highest_w(fast: FastReading) -> float | None:
    """The highest power that any of the readings shows, for the peak."""
    powers = [p for p in (fast.power_w, fast.power_instant_w) if p is not None]
    if fast.power_samples:
        powers.append(max(mw for _, mw in fast.power_samples) / 1000)
    return max(powers, default=None)


def _microwatts(power_w: float) -> int:
    return max(0, round(power_w * 1e6))


def _held(kind: str, both_ends_uw: int, power_uw: int, elapsed_ns: int, cap_ns: int) -> Metered:
    meter = Meter(instant_uw=power_uw if kind == "instant" else None)
    if elapsed_ns > cap_ns:
        return Metered(kind, 0, power_uw, elapsed_ns, meter)
    return Metered(kind, both_ends_uw * elapsed_ns // 2, power_uw, 0, meter)


def _by_ring(base: Sample | None, samples: Sequence[Sample], elapsed_ns: int, cap_ns: int) -> Metered | None:
    """Trapezoids on the driver's timestamps, never across a hole, never over more time than has passed."""
    if not samples:
        return None
    area, span_us, hole, newest = _trapezoids(base, samples, cap_ns // _NS_PER_US)
    if newest == base:
        return None
    span_ns = span_us * _NS_PER_US
    mean_uw = area // span_ns if span_ns else newest[1] * 1000
    unmeasured_ns = 0
    if elapsed_ns > cap_ns:
        area = min(area, mean_uw * elapsed_ns)
        unmeasured_ns = max(0, elapsed_ns - span_ns)
    elif base is None or hole or span_ns > elapsed_ns + CLOCK_SLACK_NS:
        # No sample to start from, or the driver's clock was moved: the samples' mean over our own time.
        area = mean_uw * elapsed_ns
    return Metered("samples", area, mean_uw, unmeasured_ns, Meter(sample=newest))


def _trapezoids(
    base: Sample | None, samples: Sequence[Sample], hole_us: int
) -> tuple[int, int, bool, Sample]:
    """Area, time covered, whether there was a hole, and the sample to go on from."""
    area = span_us = 0
    hole = False
    last = samples[0] if base is None else base
    for sample in samples:
        step_us = sample[0] - last[0]
        if -hole_us <= step_us <= 0:
            continue  # an old acquaintance
        if 0 < step_us <= hole_us:
            area += (last[1] + sample[1]) * step_us * (_UW_NS_PER_MW_US // 2)
            span_us += step_us
        else:
            hole = True  # samples were lost, or the clock was set back
        last = sample
    return area, span_us, hole, last
