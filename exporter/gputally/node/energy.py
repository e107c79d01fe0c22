"""The energy of one GPU: which source is believed at this tick, and every millijoule booked once.

State in, state out; time comes in as numbers. This file knows no driver, no file and no job. The ladder is
the driver's energy counter, its ring of power samples, its 1 s average, a momentary power, nothing.

Two amounts make every switch between them exact. `acc_mj` is what is counted, complete up to `booked_ns`.
`pending` is what the power readings say about the time since then. When the counter moves on plausibly, its
difference is booked and `pending` dropped; when it is given up, `pending` is booked and its base dropped.
"""

from dataclasses import dataclass, replace

from gputally.model import FastReading
from gputally.model.clock import NS_PER_SECOND
from gputally.node.crosscheck import NO_WINDOW, Window
from gputally.node.power import (
    HEADROOM_PERCENT,
    NO_METER,
    UW_NS_PER_MJ,
    Meter,
    Metered,
    Pace,
    measure,
    most_mj,
)

GLITCH_NS = 2 * NS_PER_SECOND  # a counter that falls by less than this much at the limit has only stumbled
STALL_NS = 5 * NS_PER_SECOND  # after so long without a believable advance the counter is given up
AWAKE_UW = 5_000_000  # below 5 W a standing counter is no proof of a fault

Events = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stray:
    """Counter values that do not follow from what is booked: a stumble, a jump, or a new beginning."""

    hw_mj: int
    at_ns: int
    since_ns: int


@dataclass(frozen=True, slots=True)
class Energy:
    """Everything that the ladder remembers of one GPU; what is not persisted stands last."""

    acc_mj: int | None = None  # None: no source of energy was ever there
    source: str = "none"  # counter | samples | average | instant | none
    reason: str = "not_read"  # why it is not the counter: not_supported | frozen | implausible | mismatch
    distrust: str = ""  # why the counter is not believed though it can be read
    hw_mj: int | None = None  # counter value at which acc_mj is complete; None = acc_mj has left it
    booked_ns: int = 0  # boot clock
    pending: int = 0  # microwatts times nanoseconds since booked_ns
    pending_unmeasured_ns: int = 0
    upto_ns: int = 0  # pending is complete up to here
    stray: Stray | None = None
    clamped_mj: int = 0
    unmeasured_ns: int = 0
    meter: Meter = NO_METER
    window: Window = NO_WINDOW
    stalled_ns: int = 0
    raw_mj: int | None = None  # latest counter value while it is not believed


def advance(energy: Energy, fast: FastReading, pace: Pace) -> tuple[Energy, Events]:
    """Book what this reading proves. The events are words for a log line."""
    if energy.acc_mj is None:
        return _begin(energy, fast, pace), ()
    elapsed_ns = max(0, pace.now_ns - energy.upto_ns)
    metered = measure(energy.meter, fast, elapsed_ns, pace.cap_ns)
    after = _meter(energy, metered, elapsed_ns, pace)
    if energy.distrust:
        after, events = _suspected(after, fast.energy_mj, metered, elapsed_ns, pace)
    elif energy.hw_mj is None:
        after, events = _without_counter(after, fast.energy_mj, metered, pace), ()
    else:
        after, events = _with_counter(after, energy.hw_mj, fast.energy_mj, metered, pace)
    return after, (*events, "source_changed") if after.source != energy.source else events


def rebooted(energy: Energy) -> Energy:
    """The machine was started again: the counter, if it was believed, counts from zero since then.

    What the power readings said after the counter's last advance is booked, for its end will not be read.
    """
    if energy.acc_mj is not None and energy.hw_mj is not None:
        energy = replace(_book_pending(energy), hw_mj=0)
    return replace(
        energy,
        booked_ns=0,
        upto_ns=0,
        stray=None,
        meter=NO_METER,
        window=NO_WINDOW,
        stalled_ns=0,
        raw_mj=None,
    )


def reclocked(energy: Energy, now_ns: int) -> Energy:
    """The boot clock went back within one boot, as in a new time namespace: the counter is still the same."""
    return replace(energy, booked_ns=0, upto_ns=now_ns, stray=None, meter=NO_METER, window=NO_WINDOW)


def _begin(energy: Energy, fast: FastReading, pace: Pace) -> Energy:
    """First sight of a source: count from now on, whatever the driver counted before."""
    metered = measure(NO_METER, fast, 0, pace.cap_ns)
    if fast.energy_mj is not None:
        source, reason = "counter", ""
    elif metered is not None:
        source, reason = metered.kind, "not_supported"
    else:
        return replace(energy, source="none", reason="not_supported")
    return replace(
        energy,
        acc_mj=0,
        source=source,
        reason=reason,
        hw_mj=fast.energy_mj,
        booked_ns=pace.now_ns,
        upto_ns=pace.now_ns,
        meter=metered.meter if metered is not None else NO_METER,
    )


def _meter(energy: Energy, metered: Metered | None, elapsed_ns: int, pace: Pace) -> Energy:
    """Carry what power says into `pending`. One tick without a power reading waits for the next."""
    if metered is not None:
        return replace(
            energy,
            pending=energy.pending + metered.energy,
            pending_unmeasured_ns=energy.pending_unmeasured_ns + metered.unmeasured_ns,
            upto_ns=pace.now_ns,
            meter=metered.meter,
        )
    if elapsed_ns <= pace.cap_ns:
        return energy
    unmeasured_ns = energy.pending_unmeasured_ns + elapsed_ns
    return replace(energy, pending_unmeasured_ns=unmeasured_ns, upto_ns=pace.now_ns, meter=NO_METER)


def _book_pending(energy: Energy) -> Energy:
    """Count what power says; what is less than a millijoule stays pending."""
    booked_mj, rest = divmod(energy.pending, UW_NS_PER_MJ)
    return replace(
        energy,
        acc_mj=(energy.acc_mj or 0) + booked_mj,
        pending=rest,
        unmeasured_ns=energy.unmeasured_ns + energy.pending_unmeasured_ns,
        pending_unmeasured_ns=0,
        booked_ns=energy.upto_ns,
    )


def _book_counter(energy: Energy, hw_mj: int, booked_mj: int, pace: Pace) -> Energy:
    """Count a difference of the counter, which covers all that was pending."""
    return replace(
        energy,
        acc_mj=(energy.acc_mj or 0) + booked_mj,
        source="counter",
        reason="",
        hw_mj=hw_mj,
        booked_ns=pace.now_ns,
        pending=0,
        pending_unmeasured_ns=0,
        upto_ns=pace.now_ns,
        # A meter that missed this tick would take up energy from before it.
        meter=energy.meter if energy.upto_ns == pace.now_ns else NO_METER,
        stray=None,
        stalled_ns=0,
    )


def _take_counter(energy: Energy, hw_mj: int, pace: Pace) -> Energy:
    """Believe the counter from here on: power is booked up to now, and the counter's value is only a base."""
    energy = _book_pending(energy)
    energy = replace(energy, unmeasured_ns=energy.unmeasured_ns + max(0, pace.now_ns - energy.upto_ns))
    return replace(_book_counter(energy, hw_mj, 0, pace), distrust="", window=NO_WINDOW, raw_mj=None)


def _without_counter(energy: Energy, hw_mj: int | None, metered: Metered | None, pace: Pace) -> Energy:
    """No counter until now: integrate; believe one as soon as there is one."""
    if hw_mj is not None:
        return _take_counter(energy, hw_mj, pace)
    energy = _book_pending(energy)
    if metered is not None:
        return replace(energy, source=metered.kind, reason="not_supported", stalled_ns=0)
    stalled_ns = energy.stalled_ns + pace.dt_ns
    source = "none" if stalled_ns >= STALL_NS else energy.source
    return replace(energy, source=source, reason="not_supported", stalled_ns=stalled_ns)


def _with_counter(
    energy: Energy, base_mj: int, hw_mj: int | None, metered: Metered | None, pace: Pace
) -> tuple[Energy, Events]:
    """The counter is believed: book its difference, or wait until it is clear what it did."""
    if hw_mj is None:
        return _stall(energy, "not_supported", metered, pace, proof=True), ()
    awake = metered is not None and metered.power_uw > AWAKE_UW
    ahead_mj = hw_mj - base_mj
    if ahead_mj == 0:
        return _stall(replace(energy, stray=None), "frozen", metered, pace, proof=awake), ()
    if 0 < ahead_mj <= pace.most_mj(pace.now_ns - energy.booked_ns):
        events = ("glitch",) if energy.stray is not None else ()
        return _audit(energy, _book_counter(energy, hw_mj, ahead_mj, pace), ahead_mj, metered, pace), events
    stray = energy.stray
    goes_on = stray is not None and 0 < hw_mj - stray.hw_mj <= pace.most_mj(pace.now_ns - stray.at_ns)
    stumbled = 0 < -ahead_mj <= most_mj(pace.limit_w, GLITCH_NS) * 100 // HEADROOM_PERCENT
    if goes_on and not stumbled:
        return _adopt(energy, base_mj, hw_mj, metered, pace)
    since_ns = stray.since_ns if stray is not None and goes_on else pace.now_ns
    energy = replace(energy, stray=Stray(hw_mj, pace.now_ns, since_ns))
    return _stall(energy, "implausible", metered, pace, proof=awake or metered is None), ()


def _stall(energy: Energy, reason: str, metered: Metered | None, pace: Pace, *, proof: bool) -> Energy:
    """Hold what is counted; give the counter up when it has owed an advance for too long.

    Only time that was watched counts: after a gap the counter is asked afresh.
    """
    stalled_ns = energy.stalled_ns + (pace.dt_ns if proof and pace.dt_ns <= pace.cap_ns else 0)
    energy = replace(energy, stalled_ns=stalled_ns)
    if stalled_ns < STALL_NS:
        return energy
    if metered is None:
        return replace(energy, source="none", reason=reason)
    return replace(
        _book_pending(energy),
        source=metered.kind,
        reason=reason,
        distrust="" if reason == "not_supported" else reason,
        hw_mj=None,
        stray=None,
        window=NO_WINDOW,
        stalled_ns=0,
    )


def _adopt(
    energy: Energy, base_mj: int, hw_mj: int, metered: Metered | None, pace: Pace
) -> tuple[Energy, Events]:
    """Two readings in a row speak for a new track: follow it.

    The first one alone is never believed: a spike that goes back, or one zero, would otherwise be counted as
    a jump or a reload and then once more on its return. What fell and shows no more than can have been used
    since has been reloaded, and all that it shows is new. Any other claim is impossible; the power readings
    say what was used, or else the bound does, and the rest is counted as clamped.
    """
    since_ns = energy.stray.since_ns if energy.stray is not None else pace.now_ns
    claimed_mj = hw_mj if hw_mj < base_mj else hw_mj - base_mj
    bound_mj = pace.most_mj(pace.now_ns - energy.booked_ns)
    if claimed_mj <= bound_mj:
        unmeasured_ns = energy.unmeasured_ns + max(0, since_ns - energy.booked_ns)
        energy = replace(energy, unmeasured_ns=unmeasured_ns, window=NO_WINDOW)
        return _book_counter(energy, hw_mj, claimed_mj, pace), ("driver_reload",)
    metered_whole = metered is not None and energy.pending_unmeasured_ns == 0
    booked_mj = min(bound_mj, energy.pending // UW_NS_PER_MJ) if metered_whole else bound_mj
    energy = replace(energy, clamped_mj=energy.clamped_mj + claimed_mj - booked_mj, window=NO_WINDOW)
    return _book_counter(energy, hw_mj, booked_mj, pace), ("jump",)


def _audit(before: Energy, after: Energy, booked_mj: int, metered: Metered | None, pace: Pace) -> Energy:
    """Compare what the counter brought with what power said; stop believing it when they disagree."""
    if metered is None:
        return after
    if before.pending_unmeasured_ns or pace.dt_ns > pace.cap_ns:
        return replace(after, window=NO_WINDOW)
    window = before.window.add(booked_mj, metered, before.pending, pace.now_ns - before.booked_ns)
    if not window.full:
        return replace(after, window=window)
    if window.agrees:
        return replace(after, window=NO_WINDOW)
    return replace(
        after, source=metered.kind, reason="mismatch", distrust="mismatch", hw_mj=None, window=NO_WINDOW
    )


def _suspected(
    energy: Energy, hw_mj: int | None, metered: Metered | None, elapsed_ns: int, pace: Pace
) -> tuple[Energy, Events]:
    """The counter is not believed: integrate, and watch it for a minute of agreement."""
    if metered is None:
        stalled_ns = energy.stalled_ns + pace.dt_ns
        if stalled_ns >= STALL_NS and hw_mj is not None:
            return _take_counter(energy, hw_mj, pace), ()  # nothing else is left to believe
        source = "none" if stalled_ns >= STALL_NS else energy.source
        return replace(_book_pending(energy), source=source, stalled_ns=stalled_ns), ()
    window, raw_mj = energy.window, energy.raw_mj
    if hw_mj is None or raw_mj is None or pace.dt_ns > pace.cap_ns:
        window = NO_WINDOW
    elif 0 <= hw_mj - raw_mj <= pace.most_mj(elapsed_ns):
        window = window.add(hw_mj - raw_mj, metered, metered.energy, elapsed_ns)
    else:
        window = NO_WINDOW
    if hw_mj is not None and window.full:
        if window.agrees and window.counter_mj > 0:
            return _take_counter(energy, hw_mj, pace), ()
        window = NO_WINDOW
    energy = replace(_book_pending(energy), source=metered.kind, stalled_ns=0)
    return replace(energy, reason=energy.distrust, window=window, raw_mj=hw_mj), ()
