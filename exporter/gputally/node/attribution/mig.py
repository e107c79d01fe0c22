"""Who weighs how much on a board that is cut into MIG GPU instances. Partitions first, then those inside.

Above the baseline a partition weighs its compute slices, times their activity where the card measures it.
The baseline, and the time in which nothing ran, go by slices, used or not.
"""

from collections.abc import Mapping

from gputally.node.attribution.parties import UNUSED_SLICES, Occupancy, Tenant
from gputally.node.attribution.weights import Claims, Party, Weights, activity_ppm, equally, weigh

_UNUSED: Party = (None, UNUSED_SLICES)


def weigh_partitions(occupancy: Occupancy, policy: str) -> Claims:
    """Weigh the parties of a board with partitions. With nobody on any of them it is one GPU to all.

    A partition that a scheduler gave to a job is used, processes or not; what the board draws above its
    baseline is such a job's only where nobody else is there, or its partition measures activity.

    A partition without a process that measures activity keeps it: it is not dealt to the others, but nobody's
    (NO_PROCESS). Processes on a partition that is not listed, as while instances are made, stand together as
    on one more, of one slice, of which no activity is known. Partitions may claim more slices than the board
    has; then they count against each other only.
    """
    given = {one.partition: one.allocated for one in occupancy.partitions if one.allocated}
    if not occupancy.tenants and not given:
        return weigh(occupancy.tenants, occupancy.allocated, policy)
    # A GPU instance has a slice at least, whatever is said of it.
    slices: dict[str | None, int] = {one.partition: max(1, one.slices) for one in occupancy.partitions}
    tenants: dict[str | None, list[Tenant]] = {name: [] for name in slices}
    for tenant in occupancy.tenants or ():
        tenants.setdefault(tenant.partition if tenant.partition in slices else None, []).append(tenant)
    if None in tenants:
        slices[None] = 1
    claims = {
        name: weigh(there, occupancy.allocated or given.get(name or "", ()), policy)
        for name, there in tenants.items()
    }
    occupied = {name for name, there in tenants.items() if there} or set(given)
    active, method = _active(occupancy, slices, occupied)
    by_party: dict[Party, float] = {}
    for name, weight in active.items():
        _add(by_party, claims[name].active, weight)
    used = {name: claims[name] for name, there in tenants.items() if there or name in given}
    idle, held = _by_slices(occupancy.slices, slices, used)
    if occupancy.allocated:  # to the job that has the board, no slice is unused
        whole = equally((job_id, "") for job_id in occupancy.allocated)
        return Claims(by_party, whole if policy == "allocated" else idle, whole, method)
    return Claims(by_party, idle, held, method)


def _by_slices(
    board: int, slices: Mapping[str | None, int], used: Mapping[str | None, Claims]
) -> tuple[Weights, Weights]:
    """Weights of the baseline and of the time in which nothing ran: by slices, used or not."""
    idle: dict[Party, float] = {}
    held: dict[Party, float] = {}
    for name, claims in used.items():
        _add(idle, claims.idle, slices[name])
        _add(held, claims.held, slices[name])
    unused = max(0, board - sum(slices.values())) + sum(n for name, n in slices.items() if name not in used)
    if unused:
        _add(idle, equally([_UNUSED]), unused)
        _add(held, equally([_UNUSED]), unused)
    return idle, held


def _active(
    occupancy: Occupancy, slices: dict[str | None, int], occupied: set[str | None]
) -> tuple[dict[str | None, float], str]:
    """Weights of partitions above the baseline. By activity only if it is known of all that are occupied."""
    activity = {one.partition: activity_ppm(one.active_ratio) for one in occupancy.partitions}
    if all(activity.get(name) is not None for name in occupied if name is not None) and None not in occupied:
        weights: dict[str | None, float] = {name: slices[name] * ppm for name, ppm in activity.items() if ppm}
        if weights:
            return weights, "mig_activity"
    return {name: slices[name] for name in slices if name in occupied}, "mig_slices"


def _add(weights: dict[Party, float], added: Weights, weight: float) -> None:
    """Add a partition's parties, which together weigh what the partition weighs."""
    together = sum(added.values())
    for party, own in added.items():
        weights[party] = weights.get(party, 0) + weight * own / together
