"""The counters of one GPU: what a reading adds to them, and how they are published.

State in, state out; the clock is an argument. The energy is energy.py's; here it is told how much time has
passed and whether something came between. Nothing here knows a driver, a file or a job.

Everything is an integer inside (millijoules, nanoseconds, bytes) and becomes an SI float in `publish`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from gputally.model import GpuCounters, Instant, Reading
from gputally.model.clock import NS_PER_SECOND
from gputally.node import energy as ladder
from gputally.node.follow import Family, Followed
from gputally.node.gpustate import NO_FLOOR, UNKNOWN_BOOTS, GpuState, published_mj, rebooted
from gputally.node.lanes import count_xids, integrate
from gputally.node.money import DEFAULT_SCHEDULE, charge, used
from gputally.node.money import publish as publish_money
from gputally.node.power import Pace
from gputally.tariff import Priced, Schedule, price

GAP_INTERVALS = 3
GAP_NS = 5 * NS_PER_SECOND


@dataclass(frozen=True, slots=True)
class Context:
    """What the sampler knows and a reading does not say."""

    boot_id: str
    interval_ns: int
    power_limit_w: float | None = None  # the highest limit known
    epoch: int = 0  # how often the driver has been opened; for log lines only
    schedule: Schedule = DEFAULT_SCHEDULE  # what energy costs

    @property
    def gap_ns(self) -> int:
        """Intervals longer than this were not watched: nothing is integrated over them."""
        return max(GAP_INTERVALS * self.interval_ns, GAP_NS)


@dataclass(frozen=True, slots=True)
class Tick:
    """What one reading added, for those who divide it among jobs and tariffs."""

    kind: str  # first | tick | gap
    delta_mj: int  # the sum of all of them is the counter, exactly
    dt_ns: int  # since the reading before; since boot after a reboot
    covers_ns: int  # the time that delta_mj was used in; longer than dt_ns when energy had been held back
    busy_ns: int = 0
    busy_known: bool = False  # whether the driver said how busy it was
    priced: tuple[Priced, ...] = ()  # delta_mj, by what it costs
    clamped_mj: int = 0
    unmeasured_ns: int = 0
    cause: str = ""  # of a gap: resumed (exporter was down) | reboot | driver_reload | missed | late
    events: tuple[str, ...] = ()  # driver_reload | reboot | resumed | glitch | jump | source_changed


def advance(state: GpuState, reading: Reading, now: Instant, ctx: Context) -> tuple[GpuState, Tick]:
    """Take a reading into the counters."""
    new_boot = _is_new_boot(state, now, ctx)
    before, state = state, _in_this_boot(state, now, new_boot=new_boot)
    dt_ns = _passed_ns(state.last, now, new_boot=new_boot)
    limit_w = ctx.power_limit_w if ctx.power_limit_w is not None else state.limit_w
    pace = Pace(now.boot_ns, dt_ns, ctx.gap_ns, limit_w)
    energy, events = ladder.advance(state.energy, reading.fast, pace)
    own = _interruption(state, pace, reloaded="driver_reload" in events, new_boot=new_boot)
    cause = own if new_boot else state.open_gap or own
    delta_mj, covers_ns = _gained(before.energy, state.energy, energy)
    pieces = price(ctx.schedule, delta_mj, *used(now.wall_ns, covers_ns))
    money = charge(state.money, pieces)
    gap = cause if energy.hw_mj is not None and energy.booked_ns < now.boot_ns else ""
    after = replace(
        state,
        boot_id=ctx.boot_id,
        last=now,
        limit_w=limit_w,
        energy=energy,
        money=money,
        gap="",
        open_gap=gap,
    )
    after = integrate(after, reading, now, dt_ns if dt_ns <= ctx.gap_ns and not new_boot else 0)
    kind = "first" if state.last is None else "gap" if own or (cause and delta_mj) else "tick"
    tick = Tick(
        kind,
        delta_mj,
        dt_ns,
        covers_ns,
        busy_ns=(after.busy_ns or 0) - (before.busy_ns or 0),
        busy_known=kind == "tick" and reading.fast.utilization_ratio is not None,
        priced=pieces,
        clamped_mj=energy.clamped_mj - before.energy.clamped_mj,
        unmeasured_ns=energy.unmeasured_ns - before.energy.unmeasured_ns,
        cause=cause if kind == "gap" else "",
        events=(*_met(state.gap, own), *events),
    )
    return _without_floor(after), tick


def miss(state: GpuState, now: Instant, new_xids: tuple[int, ...] = ()) -> GpuState:
    """A tick without a reading: only what the failed read had heard counts; the next one knows of the gap."""
    if new_xids:
        state = replace(state, xids=count_xids(state.xids, new_xids, now.wall_ns))
    if state.gap or state.last is None:
        return state
    return replace(state, gap="missed")


def publish(state: GpuState, now: Instant, schedule: Schedule = DEFAULT_SCHEDULE) -> GpuCounters:
    """The counters as a scrape sees them; never lower than before, but for the resets that `held` names."""
    energy_mj, floor = published_mj(state), state.floor
    money = None if energy_mj is None else publish_money(state.money, schedule, now.wall_ns)
    ecc = {label: one.acc for label, one in state.ecc_volatile.items()}
    for label, one in state.ecc_lifetime.items():
        ecc[label] = max(one.acc, ecc.get(label, 0))
    return GpuCounters(
        energy_joules=None if energy_mj is None else energy_mj / 1000,
        money=money,
        energy_source=state.energy.source,
        energy_source_reason=state.energy.reason,
        energy_clamped_joules=state.energy.clamped_mj / 1000,
        energy_unmeasured_seconds=state.energy.unmeasured_ns / NS_PER_SECOND,
        busy_seconds=None if state.busy_ns is None else max(state.busy_ns, floor.busy_ns) / NS_PER_SECOND,
        throttle_seconds={
            reason: max(one.acc, floor.throttle_ns.get(reason, 0)) / NS_PER_SECOND
            for reason, one in state.throttle.items()
        },
        pcie_transmit_bytes=_count(state.pcie_transmit),
        pcie_receive_bytes=_count(state.pcie_receive),
        pcie_replays=_count(state.pcie_replays),
        nvlink_transmit_bytes=_counts(state.nvlink_transmit),
        nvlink_receive_bytes=_counts(state.nvlink_receive),
        nvlink_errors={_link_and_type(k): float(one.acc) for k, one in state.nvlink_errors.items()},
        ecc_errors={label: float(count) for label, count in ecc.items()},
        xid_errors={xid: float(one.count) for xid, one in state.xids.items()},
        xid_last_seconds={xid: one.wall_ns / NS_PER_SECOND for xid, one in state.xids.items()},
        power_peak_w=state.power_peak.value(now.boot_ns),
        utilization_peak_ratio=state.utilization_peak.value(now.boot_ns),
    )


def _is_new_boot(state: GpuState, now: Instant, ctx: Context) -> bool:
    if state.last is None:
        return False
    if state.boot_id in UNKNOWN_BOOTS or ctx.boot_id in UNKNOWN_BOOTS:
        return now.boot_ns < state.last.boot_ns  # the best that can be said without the kernel's word for it
    return state.boot_id != ctx.boot_id


def _in_this_boot(state: GpuState, now: Instant, *, new_boot: bool) -> GpuState:
    if new_boot:
        return rebooted(state)
    if state.last is not None and now.boot_ns < state.last.boot_ns:
        return replace(state, energy=ladder.reclocked(state.energy, now.boot_ns))
    return state


def _passed_ns(last: Instant | None, now: Instant, *, new_boot: bool) -> int:
    if last is None:
        return 0
    return now.boot_ns if new_boot else max(0, now.boot_ns - last.boot_ns)


def _interruption(state: GpuState, pace: Pace, *, reloaded: bool, new_boot: bool) -> str:
    """What came between the reading before and this one; "" when nothing did."""
    if state.last is None:
        return ""
    if new_boot:
        return "reboot"
    late = "late" if pace.dt_ns > pace.cap_ns else ""
    return state.gap or late or ("driver_reload" if reloaded else "")


def _gained(before: ladder.Energy, since: ladder.Energy, after: ladder.Energy) -> tuple[int, int]:
    """What a tick added, and the time in which it was used. `since` is `before`, in the boot of `after`."""
    if before.acc_mj is None:
        return after.acc_mj or 0, 0
    return (after.acc_mj or 0) - before.acc_mj, max(0, after.booked_ns - since.booked_ns)


def _met(gap: str, own: str) -> Iterator[str]:
    """What the log is told of an interruption, once."""
    return (word for word in dict.fromkeys((gap, own)) if word in ("resumed", "reboot"))


def _link_and_type(key: str) -> tuple[str, str]:
    link, _, kind = key.partition("/")
    return link, kind


def _count(followed: Followed | None) -> float | None:
    return None if followed is None else float(followed.acc)


def _counts(family: Family) -> dict[str, float]:
    return {label: float(one.acc) for label, one in family.items()}


def _without_floor(state: GpuState) -> GpuState:
    """Let go of the floor once the truth has passed it everywhere."""
    floor = state.floor
    if floor is NO_FLOOR or floor.energy_mj > (state.energy.acc_mj or 0):
        return state
    low = any(one.acc < floor.throttle_ns.get(reason, 0) for reason, one in state.throttle.items())
    return state if low or (state.busy_ns or 0) < floor.busy_ns else replace(state, floor=NO_FLOOR)
