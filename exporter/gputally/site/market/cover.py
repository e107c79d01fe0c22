"""The cheapest way to have so many GPUs, of offers that are sold in whole nodes. Pure.

An offer of nodes of eight for a dollar a GPU costs eight dollars even if one is needed, so the cheapest price
of a GPU does not decide. Where nodes are of one size, the cheapest ones do. Where sizes differ, all ways of
having the last GPUs are compared; of very many, the bulk is taken where a GPU is cheapest.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from gputally.model.market import Offer

EXACT = 48  # GPUs that all ways are compared for
_Choice = tuple["_Node", "_Choice"] | None  # what was taken, and what before


@dataclass(frozen=True, slots=True)
class Line:
    """So many GPUs of one offer."""

    offer: Offer
    gpus: int

    @property
    def usd_per_hour(self) -> Decimal:
        """What they cost together."""
        return self.gpus * self.offer.usd_per_gpu_hour


@dataclass(frozen=True, slots=True)
class _Node:
    place: int  # of its offer
    gpus: int
    usd_per_hour: Decimal


def room(offer: Offer, gpus: int) -> int:
    """Whole nodes of an offer that there are and that may be needed for so many GPUs."""
    wanted = -(-gpus // offer.node_gpus)
    return wanted if offer.available_gpus is None else min(wanted, offer.available_gpus // offer.node_gpus)


def cover(offers: Sequence[Offer], gpus: int) -> tuple[Line, ...] | None:
    """The least that so many GPUs cost for an hour; None where there are not enough."""
    ordered = sorted(offers, key=_price)
    left = [room(offer, gpus) for offer in ordered]
    if sum(nodes * offer.node_gpus for nodes, offer in zip(left, ordered, strict=True)) < gpus:
        return None
    taken = [0] * len(ordered)
    alike = len({offer.node_gpus for nodes, offer in zip(left, ordered, strict=True) if nodes}) == 1
    remaining = gpus
    for place, offer in enumerate(ordered):
        size = offer.node_gpus
        most = -(-remaining // size) if alike else max(0, remaining - EXACT) // size
        taken[place] = min(left[place], most)
        left[place] -= taken[place]
        remaining -= taken[place] * size
        if left[place] or remaining <= 0:  # a dearer one comes only after all of a cheaper one
            break
    for node in _last(_nodes(ordered, left, remaining), remaining):
        taken[node.place] += 1
    return tuple(
        Line(offer, nodes * offer.node_gpus) for nodes, offer in zip(taken, ordered, strict=True) if nodes
    )


def by_price(offers: Sequence[Offer], gpus: int) -> tuple[Line, ...] | None:
    """So many GPUs or more, the cheapest ones first: the least that a GPU-hour costs."""
    lines, remaining = [], gpus
    for offer in sorted(offers, key=_price):
        size = offer.node_gpus
        nodes = min(room(offer, gpus), -(-remaining // size))
        if nodes:
            lines.append(Line(offer, nodes * size))
            remaining -= nodes * size
        if remaining <= 0:
            return tuple(lines)
    return None


def _price(offer: Offer) -> tuple[Decimal, int, str, str]:
    return offer.usd_per_gpu_hour, offer.node_gpus, offer.region, offer.offer_id


def _nodes(offers: Sequence[Offer], left: Sequence[int], gpus: int) -> list[_Node]:
    """The nodes that may be among the last ones: of each size the cheapest, as many as would do alone."""
    nodes: list[_Node] = []
    of_size: dict[int, int] = {}
    for place, offer in enumerate(offers):
        size = offer.node_gpus
        count = min(left[place], -(-gpus // size) - of_size.get(size, 0))
        if count > 0:
            of_size[size] = of_size.get(size, 0) + count
            nodes += [_Node(place, size, size * offer.usd_per_gpu_hour)] * count
    return nodes


def _last(nodes: Sequence[_Node], gpus: int) -> list[_Node]:
    """The cheapest nodes that have so many GPUs together, of all ways to choose."""
    if gpus <= 0:
        return []
    best: list[tuple[Decimal, _Choice] | None] = [(Decimal(0), None), *[None] * gpus]
    for node in nodes:
        for have in range(gpus, 0, -1):
            before = best[have - node.gpus if have > node.gpus else 0]
            if before is None:
                continue
            usd, now = before[0] + node.usd_per_hour, best[have]
            if now is None or usd < now[0]:
                best[have] = (usd, (node, before[1]))
    found = best[gpus]
    chosen: list[_Node] = []
    choice = found[1] if found is not None else None
    while choice is not None:
        chosen.append(choice[0])
        choice = choice[1]
    return chosen
