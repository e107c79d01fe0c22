"""All that is remembered of one GPU, and what an interruption does to it. Integrates and publishes nothing.

The rules for a state that may be older than what was scraped stand here, in `held`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from gputally.model import Instant
from gputally.model.clock import NS_PER_SECOND
from gputally.model.gpu import NO_LABELS
from gputally.node import energy as ladder
from gputally.node.energy import Energy
from gputally.node.follow import FROM_NOW, Family, Followed, each_from_zero, each_rebooted
from gputally.node.money import NO_MONEY, Money, from_zero
from gputally.node.peaks import Peak
from gputally.node.power import most_mj

FLUSH_NS = 10 * NS_PER_SECOND  # the state file reaches the disk at least this often
HOLD_NS = FLUSH_NS + 2 * NS_PER_SECOND  # and a tick may be late
UNKNOWN_BOOTS = ("", "unknown")  # the kernel's name for this boot could not be read


@dataclass(frozen=True, slots=True)
class Xid:
    """One kind of XID error: how often, and when it was last seen."""

    count: int
    wall_ns: int


@dataclass(frozen=True, slots=True)
class Floor:
    """What may have been scraped before a crash; nothing lower is published until the truth has caught up."""

    energy_mj: int = 0
    busy_ns: int = 0
    throttle_ns: Mapping[str, int] = NO_LABELS


NO_FLOOR = Floor()


@dataclass(frozen=True, slots=True)
class GpuState:
    """The counters of one GPU. What is not written to the state file stands last."""

    boot_id: str = ""  # of the boot in which `last` was read
    last: Instant | None = None  # when the latest reading was taken
    limit_w: float | None = None
    energy: Energy = field(default_factory=Energy)
    money: Money = NO_MONEY
    busy_ns: int | None = None  # None: utilisation was never there
    throttle: Family = NO_LABELS  # reason -> nanoseconds
    pcie_transmit: Followed | None = None
    pcie_receive: Followed | None = None
    pcie_replays: Followed | None = None
    nvlink_transmit: Family = NO_LABELS  # link -> bytes
    nvlink_receive: Family = NO_LABELS
    nvlink_errors: Family = NO_LABELS  # "link/type"
    ecc_lifetime: Family = NO_LABELS  # severity; the card's own memory of them
    ecc_volatile: Family = NO_LABELS  # severity; since the driver was loaded
    xids: Mapping[str, Xid] = NO_LABELS
    floor: Floor = NO_FLOOR
    power_peak: Peak = field(default_factory=Peak)
    utilization_peak: Peak = field(default_factory=Peak)
    gap: str = ""  # what came between `last` and the next reading: resumed | missed
    open_gap: str = ""  # the same, while the counter has not yet told what was used in it


def fresh() -> GpuState:
    """A GPU at first sight: its counters begin with the first reading."""
    return GpuState()


def published_mj(state: GpuState) -> int | None:
    """Energy as a scrape sees it."""
    acc_mj = state.energy.acc_mj
    return None if acc_mj is None else max(acc_mj, state.floor.energy_mj)


def rebooted(state: GpuState) -> GpuState:
    """The machine was started again: everything that the driver counts began at zero then.

    Except what the card itself remembers: its lifetime ECC counts stay where they are.
    """
    return replace(
        state,
        energy=ladder.rebooted(state.energy),
        throttle=each_rebooted(state.throttle),
        pcie_transmit=state.pcie_transmit and state.pcie_transmit.rebooted(),
        pcie_receive=state.pcie_receive and state.pcie_receive.rebooted(),
        pcie_replays=state.pcie_replays and state.pcie_replays.rebooted(),
        nvlink_transmit=each_rebooted(state.nvlink_transmit),
        nvlink_receive=each_rebooted(state.nvlink_receive),
        nvlink_errors=each_rebooted(state.nvlink_errors),
        ecc_volatile=each_rebooted(state.ecc_volatile),
    )


def held(state: GpuState) -> GpuState:
    """A state that may be up to HOLD_NS older than what was scraped: after a power cut, or from a spare copy.

    A counter that goes back by little is the worst that can happen to increase(): it takes it for a reset and
    adds all that the counter shows. So what cannot have grown by more than a known rate (energy, busy and
    throttled seconds) is published as a floor that it cannot have passed, and stands still until the truth
    has caught up. What has no such rate (bytes, errors, XIDs), or one that may have changed (money), begins
    at zero: a reset that is seen as one.
    """
    acc_mj = published_mj(state)
    energy_mj = 0 if acc_mj is None else acc_mj + most_mj(state.limit_w, HOLD_NS)
    busy_ns = 0 if state.busy_ns is None else max(state.busy_ns, state.floor.busy_ns) + HOLD_NS
    floors = state.floor.throttle_ns
    throttle_ns = {r: max(one.acc, floors.get(r, 0)) + HOLD_NS for r, one in state.throttle.items()}
    lost_ns = state.energy.unmeasured_ns + HOLD_NS
    return replace(
        state,
        energy=replace(state.energy, unmeasured_ns=lost_ns) if acc_mj is not None else state.energy,
        money=from_zero(state.money),
        floor=Floor(energy_mj, busy_ns, throttle_ns),
        pcie_transmit=state.pcie_transmit and state.pcie_transmit.from_zero(),
        pcie_receive=state.pcie_receive and state.pcie_receive.from_zero(),
        pcie_replays=state.pcie_replays and state.pcie_replays.from_zero(),
        nvlink_transmit=each_from_zero(state.nvlink_transmit),
        nvlink_receive=each_from_zero(state.nvlink_receive),
        nvlink_errors=each_from_zero(state.nvlink_errors),
        ecc_lifetime=NO_LABELS,
        ecc_volatile=NO_LABELS,
        xids={xid: Xid(0, one.wall_ns) for xid, one in state.xids.items()},
    )


def behind(state: GpuState) -> GpuState:
    """A state after which, in the same boot, more was published than could be saved, for FLUSH_NS at most.

    As `held`; but what the driver counts is made up for by its first reading, before which nothing of the GPU
    is to be published.
    """
    top = held(state)
    if state.energy.hw_mj is None:
        return top
    return replace(state, floor=replace(top.floor, energy_mj=state.floor.energy_mj), xids=top.xids)


def overtaken(state: GpuState, *, same_boot: bool) -> GpuState:
    """A state after which more was published than could be saved, and nobody knows how much.

    Within one boot the driver's own counters make up for it with their first reading; before that nothing of
    the GPU is to be published. What was integrated here cannot be made up for and begins at zero, a reset
    that is seen as one, and so does everything after another boot.
    """

    def kept(one: Followed) -> Followed:
        return one if same_boot and one.hw is not None else one.from_zero()

    def each(family: Family) -> Family:
        return {label: kept(one) for label, one in family.items()}

    energy = state.energy
    if energy.acc_mj is not None:
        metered = same_boot and energy.hw_mj is not None
        acc_mj, pending = (energy.acc_mj, energy.pending) if metered else (0, 0)
        energy = replace(energy, acc_mj=acc_mj, pending=pending, clamped_mj=0, unmeasured_ns=0)
    return replace(
        state,
        energy=energy,
        money=from_zero(state.money),
        floor=NO_FLOOR,
        busy_ns=None if state.busy_ns is None else 0,
        throttle=each(state.throttle),
        pcie_transmit=state.pcie_transmit and kept(state.pcie_transmit),
        pcie_receive=state.pcie_receive and kept(state.pcie_receive),
        pcie_replays=state.pcie_replays and kept(state.pcie_replays),
        nvlink_transmit=each(state.nvlink_transmit),
        nvlink_receive=each(state.nvlink_receive),
        nvlink_errors=each(state.nvlink_errors),
        ecc_lifetime=state.ecc_lifetime if same_boot else NO_LABELS,
        ecc_volatile=each(state.ecc_volatile) if same_boot else NO_LABELS,
        xids={xid: Xid(0, one.wall_ns) for xid, one in state.xids.items()},
    )


def outruns(state: GpuState, ceiling: GpuState) -> bool:
    """Whether more is published than `held` would hold if the machine lost power now.

    `ceiling` is what `held` makes of the state that is on the disk. Catching up after a gap is what does it.
    """
    top = ceiling.floor
    return (
        (published_mj(state) or 0) > max(top.energy_mj, ceiling.energy.acc_mj or 0)
        or (state.busy_ns or 0) > max(top.busy_ns, ceiling.busy_ns or 0)
        or state.energy.clamped_mj > ceiling.energy.clamped_mj
        or state.energy.unmeasured_ns > ceiling.energy.unmeasured_ns
        or any(
            one.acc > top.throttle_ns.get(reason, ceiling.throttle.get(reason, FROM_NOW).acc)
            for reason, one in state.throttle.items()
        )
    )
