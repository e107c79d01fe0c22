"""Energy of a tick, priced: laid over the time in which it was used, and divided among those who used it.

Whole millijoules everywhere: over the pieces of a tick they sum to its energy, over the shares of a piece to the
piece, so that money divided is money whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from gputally.tariff.rates import Rate
from gputally.tariff.schedule import Schedule


@dataclass(frozen=True, slots=True)
class Priced:
    """Energy that one rate holds for. `day` is that of the site's calendar."""

    energy_mj: int
    rate: Rate
    day: str = ""


def price(schedule: Schedule, energy_mj: int, from_ns: int, until_ns: int) -> tuple[Priced, ...]:
    """Spread energy evenly over the time in which it was used (Unix time) and price every part of it."""
    span = schedule.at(until_ns)
    if span.from_ns <= from_ns:  # nearly always
        return (Priced(energy_mj, span.rate, span.day),)
    pieces, passed_ns, given_mj = [], 0, 0
    whole_ns = max(1, until_ns - from_ns)
    for part, ns in schedule.over(from_ns, until_ns):
        passed_ns += ns
        upto_mj = energy_mj * passed_ns // whole_ns
        pieces.append(Priced(upto_mj - given_mj, part.rate, part.day))
        given_mj = upto_mj
    return tuple(pieces)


def divide(pieces: Sequence[Priced], shares_mj: Sequence[int]) -> list[tuple[Priced, ...]]:
    """What each share of a tick pays for: its part of every piece, in proportion to its energy.

    The shares sum to the energy of the pieces; over either of them the parts sum exactly.
    """
    if len(pieces) == 1:
        (whole,) = pieces
        if len(shares_mj) == 1:
            return [(whole,)]
        return [(Priced(mj, whole.rate, whole.day),) for mj in shares_mj]
    left = list(shares_mj)
    parts: list[list[Priced]] = [[] for _ in shares_mj]
    for piece in pieces:
        for at, mj in enumerate(_portion(piece.energy_mj, left)):
            left[at] -= mj
            if mj:
                parts[at].append(Priced(mj, piece.rate, piece.day))
    return [tuple(part) for part in parts]


def _portion(total: int, left: Sequence[int]) -> list[int]:
    """Divide in proportion to what is left of each share, by largest remainder; never more than is left."""
    together = sum(left)
    if together <= 0:
        return [0] * len(left)
    portions = [total * one // together for one in left]
    owed = total - sum(portions)
    by_remainder = sorted(range(len(left)), key=lambda at: total * left[at] % together, reverse=True)
    for at in by_remainder[:owed]:
        portions[at] += 1
    return portions
