"""What a reading adds to the counters beside energy: busy and throttled time, bytes, errors, XIDs, peaks.

Follows the driver where it counts by itself, and integrates over time where it only says how things are now.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from gputally.model import FastReading, Instant, NvLink, Reading, SlowReading
from gputally.model.clock import NS_PER_SECOND
from gputally.node.follow import FROM_NOW, FROM_START, Family, Followed, follow_all
from gputally.node.gpustate import GpuState, Xid
from gputally.node.power import highest_w

PCIE_MOST = 10**12  # bytes a second; four times the fastest link announced
NVLINK_MOST = 10**13
MAX_XIDS = 64  # kinds; beyond that they are counted as "other"
ALL_LINKS = "all"


def integrate(state: GpuState, reading: Reading, now: Instant, watched_ns: int) -> GpuState:
    """Everything but the energy. `watched_ns` is 0 after a gap."""
    fast, at_ns = reading.fast, now.boot_ns
    state = replace(
        state,
        busy_ns=_busy(state.busy_ns, fast.utilization_ratio, watched_ns),
        throttle=_throttle(state.throttle, fast, at_ns, watched_ns),
        pcie_transmit=_follow(state.pcie_transmit, fast.pcie_transmit_bytes, at_ns, PCIE_MOST),
        pcie_receive=_follow(state.pcie_receive, fast.pcie_receive_bytes, at_ns, PCIE_MOST),
        xids=count_xids(state.xids, fast.new_xids, now.wall_ns),
        power_peak=state.power_peak.push(at_ns, highest_w(fast)),
        utilization_peak=state.utilization_peak.push(at_ns, fast.utilization_ratio),
    )
    return state if reading.slow is None else _slow_lane(state, reading.slow, at_ns)


def _slow_lane(state: GpuState, slow: SlowReading, at_ns: int) -> GpuState:
    links = slow.nvlinks
    errors = ((f"{_name(one)}/{kind}", count) for one in links for kind, count in one.errors.items())
    return replace(
        state,
        pcie_replays=_follow(state.pcie_replays, slow.pcie_replays, at_ns, None),
        nvlink_transmit=follow_all(
            _same_detail(state.nvlink_transmit, links),
            ((_name(one), one.transmit_bytes) for one in links),
            at_ns,
            most_per_s=NVLINK_MOST,
        ),
        nvlink_receive=follow_all(
            _same_detail(state.nvlink_receive, links),
            ((_name(one), one.receive_bytes) for one in links),
            at_ns,
            most_per_s=NVLINK_MOST,
        ),
        nvlink_errors=follow_all(_same_detail(state.nvlink_errors, links), errors, at_ns),
        ecc_lifetime=follow_all(state.ecc_lifetime, slow.ecc_aggregate.items(), at_ns, first=FROM_START),
        ecc_volatile=follow_all(state.ecc_volatile, slow.ecc_volatile.items(), at_ns, first=FROM_START),
    )


def _busy(busy_ns: int | None, ratio: float | None, watched_ns: int) -> int | None:
    if ratio is None:
        return busy_ns
    return (busy_ns or 0) + round(min(1.0, max(0.0, ratio)) * watched_ns)


def _throttle(family: Family, fast: FastReading, at_ns: int, watched_ns: int) -> Family:
    """The driver's own nanoseconds where it counts them, else the reasons of now over the time watched."""
    if fast.throttle_ns is not None:
        return follow_all(family, fast.throttle_ns.items(), at_ns, most_per_s=NS_PER_SECOND)
    if fast.throttling is None:
        return family
    added = {reason: watched_ns if on else 0 for reason, on in fast.throttling.items()}
    return {**family, **{reason: family.get(reason, FROM_NOW).add(ns) for reason, ns in added.items()}}


def count_xids(seen: Mapping[str, Xid], new: Iterable[int], wall_ns: int) -> Mapping[str, Xid]:
    """Add XIDs to their counts; beyond MAX_XIDS kinds the new ones stand as `other`."""
    if not new:
        return seen
    xids = dict(seen)
    for number in new:
        xid = str(number) if str(number) in xids or len(xids) < MAX_XIDS else "other"
        xids[xid] = Xid((xids[xid].count if xid in xids else 0) + 1, wall_ns)
    return xids


def _follow(followed: Followed | None, hw: int | None, at_ns: int, most_per_s: int | None) -> Followed | None:
    if hw is None:
        return followed
    return (followed or FROM_NOW).follow(hw, at_ns, most_per_s=most_per_s)


def _name(link: NvLink) -> str:
    return ALL_LINKS if link.link is None else link.link


def _same_detail(family: Family, links: Iterable[NvLink]) -> Family:
    """Drop the links when their sum is read now, and the other way round: never both beside each other."""
    whole = {link.link is None for link in links}
    if len(whole) != 1:
        return family
    return {k: one for k, one in family.items() if (k.split("/", 1)[0] == ALL_LINKS) in whole}
