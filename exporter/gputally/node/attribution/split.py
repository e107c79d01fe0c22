"""Divides one tick of one GPU among jobs and reasons, exactly: whole millijoules and nanoseconds, no state.

Three amounts have rules of their own: energy above the baseline goes with activity, the baseline by the
policy, and time in which nothing ran to those who held the GPU.
"""

from gputally.node.attribution.mig import weigh_partitions
from gputally.node.attribution.parties import (
    EXPORTER_DOWN,
    GAP,
    POLICIES,
    Booking,
    Occupancy,
    Share,
    Split,
)
from gputally.node.attribution.weights import Party, Weights, apportion, weigh

_NJ_PER_MJ = 1_000_000  # watts times nanoseconds are nanojoules


def split(booking: Booking, occupancy: Occupancy, policy: str) -> Split:
    """Divide a tick. The policy is one of POLICIES: who pays the baseline.

    A busy time beyond the tick's length is cut to it: nobody is busy for longer than he holds. Raises
    ValueError where a policy or cause is unknown, or an amount is negative: such a tick cannot be divided.
    """
    energy_mj, dt_ns = booking.energy_mj, booking.dt_ns
    busy_ns = min(booking.busy_ns, dt_ns)
    if policy not in POLICIES or booking.cause not in ("", EXPORTER_DOWN, GAP):
        raise ValueError(f"no such policy or cause: {policy!r}, {booking.cause!r}")
    if energy_mj < 0 or busy_ns < 0:
        raise ValueError(f"less than nothing cannot be divided: {booking}")
    if booking.cause:
        gap = Share(None, booking.cause, energy_mj, 0, dt_ns, busy_ns)
        return Split((gap,) if energy_mj or dt_ns else (), "none")
    claims = (
        weigh_partitions(occupancy, policy)
        if occupancy.partitions
        else weigh(occupancy.tenants, occupancy.allocated, policy)
    )
    idle_mj = _idle_mj(booking)
    parts: dict[Party, list[int]] = {}
    _deal(parts, 0, energy_mj - idle_mj, claims.active)
    _deal(parts, 3, busy_ns, claims.active)
    _deal(parts, 1, idle_mj, claims.idle)
    _deal(parts, 2, dt_ns - busy_ns, claims.held)
    shares = tuple(
        Share(job_id, reason, active_mj, idle_mj, unused_ns + busy_ns, busy_ns)
        for (job_id, reason), (active_mj, idle_mj, unused_ns, busy_ns) in parts.items()
    )
    return Split(shares, claims.method)


def _idle_mj(booking: Booking) -> int:
    """The baseline over the time in which the energy was used, never more than was used."""
    if not booking.idle_w > 0 or booking.covers_ns <= 0:
        return 0
    idle_mj = booking.idle_w * booking.covers_ns / _NJ_PER_MJ
    return round(idle_mj) if idle_mj < booking.energy_mj else booking.energy_mj


def _deal(parts: dict[Party, list[int]], column: int, amount: int, weights: Weights) -> None:
    if not amount:
        return
    if len(weights) == 1:  # most ticks: nobody, or one job
        (party,) = weights
        parts.setdefault(party, [0, 0, 0, 0])[column] += amount
        return
    for party, part in zip(weights, apportion(amount, [*weights.values()]), strict=True):
        if part:
            parts.setdefault(party, [0, 0, 0, 0])[column] += part
