"""Energy of a tick, priced: laid over the time in which it was used, and divided among those who used it.

Whole millijoules everywhere: over the pieces of a tick they sum to its energy, over the shares of a piece to
the piece, so that money divided is money whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import nlargest

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
    pieces: list[Priced] = []
    whole_ns, passed_ns, given_mj = until_ns - from_ns, 0, 0
    for part, ns in schedule.over(from_ns, until_ns):
        passed_ns += ns
        upto_mj = energy_mj * passed_ns // whole_ns
        mj, given_mj = upto_mj - given_mj, upto_mj
        if pieces and (pieces[-1].day, pieces[-1].rate) == (part.day, part.rate):
            mj += pieces.pop().energy_mj
        pieces.append(Priced(mj, part.rate, part.day))
    return tuple(pieces)


def divide(pieces: Sequence[Priced], shares_mj: Sequence[int]) -> list[tuple[Priced, ...]]:
    """What each share of a tick pays for: its part of every piece, in proportion to its energy.

    The shares sum to the energy of the pieces. Over either of them the parts sum exactly, and no part is more
    than a millijoule away from its proportion.
    """
    if len(pieces) == 1:
        (whole,) = pieces
        if len(shares_mj) == 1:
            return [(whole,)]
        return [(Priced(mj, whole.rate, whole.day),) for mj in shares_mj]
    total_mj = sum(shares_mj) or 1
    rows = [[piece.energy_mj * mj // total_mj for mj in shares_mj] for piece in pieces]
    # What rounding down has left over, by share and by piece, sums to the same. Since the fractions that were
    # cut off are a solution, there is one of zeros and ones: piece by piece, to those who are owed most.
    owed = [mj - sum(given) for mj, given in zip(shares_mj, zip(*rows, strict=True), strict=True)]
    for piece, row in zip(pieces, rows, strict=True):
        for at in nlargest(piece.energy_mj - sum(row), range(len(row)), key=owed.__getitem__):
            row[at] += 1
            owed[at] -= 1
    return [
        tuple(
            Priced(row[at], piece.rate, piece.day) for piece, row in zip(pieces, rows, strict=True) if row[at]
        )
        for at in range(len(shares_mj))
    ]
