"""Who weighs how much in a tick of one GPU or MIG partition, and exact division of whole numbers by weight.

Weights are compared only with each other; they never sum to anything in particular. Energy is not seen here.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from gputally.node.attribution.parties import (
    IDLE,
    NO_ACTIVITY,
    NO_PROCESS,
    NO_PROCESS_DATA,
    UNRESOLVED,
    Tenant,
)

Party = tuple[str | None, str]  # (job_id, "") or (None, one of REASONS)
Weights = Mapping[Party, float]  # in order of appearance, which decides where remainders tie


@dataclass(frozen=True, slots=True)
class Claims:
    """What divides a tick. Each has a weight above zero, so that something can be divided by it."""

    active: Weights  # energy above the baseline, and busy time
    idle: Weights  # the baseline
    held: Weights  # the time in which nothing ran
    method: str


def apportion(total: int, weights: Sequence[int | float]) -> list[int]:
    """Divide `total` in proportion to weights, each part off by less than 1; the parts sum to it exactly.

    By largest remainder; where remainders tie, to whom comes first, which is worth at most 1 a tick. Exact
    for any finite weights: floats are taken as the fractions that they are. Who weighs nothing gets nothing.
    Raises ValueError where all weigh nothing, or a number is negative or not finite.
    """
    whole = [weight for weight in weights if type(weight) is int]
    if len(whole) < len(weights):
        whole = _whole(weights)
    together = sum(whole)
    if total < 0 or together <= 0 or min(whole) < 0:
        raise ValueError(f"{total} cannot be divided by weights of {weights}")
    count = len(whole)
    if whole.count(whole[0]) == count:  # the same as below, for less
        part, left = divmod(total, count)
        return [part + 1] * left + [part] * (count - left)
    parts, remainders = [], []
    for weight in whole:
        part, remainder = divmod(total * weight, together)
        parts.append(part)
        remainders.append(remainder)
    left = total - sum(parts)
    if left:  # a sort keeps the order of what ties, reversed or not
        for at in sorted(range(count), key=remainders.__getitem__, reverse=True)[:left]:
            parts[at] += 1
    return parts


def _whole(weights: Sequence[int | float]) -> list[int]:
    """Whole numbers in these proportions. Denominators of floats are powers of two: the largest will do."""
    try:
        ratios = [weight.as_integer_ratio() for weight in weights]
    except OverflowError as error:
        raise ValueError("a weight is infinite") from error
    most = max((denominator for _, denominator in ratios), default=1)
    return [numerator * (most // denominator) for numerator, denominator in ratios]


def activity_ppm(ratio: float | None) -> int | None:
    """A ratio of activity as it is weighed; None where it is no measurement. More than all of it is all."""
    if ratio is None or not ratio >= 0:
        return None
    return round(ratio * 1_000_000) if ratio < 1 else 1_000_000


def equally(parties: Iterable[Party]) -> Weights:
    """The same for each."""
    return dict.fromkeys(parties, 1)


_NO_ACTIVITY: Party = (None, NO_ACTIVITY)
_UNRESOLVED: Party = (None, UNRESOLVED)
_TO_IDLE = equally([(None, IDLE)])
_TO_NO_ACTIVITY = equally([_NO_ACTIVITY])
_TO_NO_PROCESS = equally([(None, NO_PROCESS)])
_TO_NO_DATA = equally([(None, NO_PROCESS_DATA)])
_NOBODY = Claims(_TO_NO_PROCESS, _TO_IDLE, _TO_IDLE, "none")
_NOBODY_KNOWN = Claims(_TO_NO_DATA, _TO_NO_DATA, _TO_NO_DATA, "none")


def weigh(tenants: Sequence[Tenant] | None, allocated: Sequence[str], policy: str) -> Claims:
    """Weigh the parties of one GPU, or of one MIG partition.

    A party is a job with all its processes; all processes that are nobody's are one party together, and keep
    their part as one. `allocated` are the jobs that a scheduler gave the whole GPU, there or not.
    """
    holders = equally([(job_id, "") for job_id in allocated]) if allocated else {}
    if not tenants:
        if holders:  # there are none, or the driver lists none: it is theirs all the same
            return Claims(holders, _TO_IDLE if policy == "used" else holders, holders, "allocation")
        return _NOBODY_KNOWN if tenants is None else _NOBODY
    parties = _activity_ppm(tenants)
    active, method = _active(parties, holders)
    present = equally(parties)
    idle: Weights = {}
    if policy == "allocated":
        idle = holders or equally([(t.job_id, "") for t in tenants if t.scheduled and t.job_id is not None])
    elif policy == "weighted":
        # Where none of those present did anything, all of them together keep the GPU awake.
        idle = present if _NO_ACTIVITY in active else active
    return Claims(active, idle or _TO_IDLE, holders or present, method)


def _activity_ppm(tenants: Sequence[Tenant]) -> dict[Party, int | None]:
    """Each party's SM share, the sum over its processes; None where the driver says it of none of them."""
    parties: dict[Party, int | None] = {}
    for tenant in tenants:
        party = _UNRESOLVED if tenant.job_id is None else (tenant.job_id, "")
        own, before = activity_ppm(tenant.sm_ratio), parties.get(party)
        parties[party] = before if own is None else own + (before or 0)
    return parties


def _active(parties: dict[Party, int | None], holders: Weights) -> tuple[Weights, str]:
    if len(parties) == 1:
        return equally(parties), "none" if _UNRESOLVED in parties else "sole"
    at_work: Weights = {party: ppm for party, ppm in parties.items() if ppm}
    if at_work:
        return at_work, "sm_share"
    if all(ppm is None for ppm in parties.values()):
        return equally(parties), "equal"
    return (holders, "allocation") if holders else (_TO_NO_ACTIVITY, "none")
