"""What bookings come to: GPU hours that were held for a team, used or not, and what is charged. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction

from gputally.model.clock import NS_PER_HOUR
from gputally.model.reservation import Reservation

_NANO = Decimal("1e-9")
_WIDE = Context(prec=60, rounding=ROUND_HALF_EVEN)


@dataclass(frozen=True, slots=True)
class ReservedHours:
    """What one booking held within a range of time."""

    reservation: str  # id
    team: str
    gpu_hours: Fraction
    amount: Decimal | None  # to the nano unit of the currency; None: nothing is charged
    currency: str = ""


def charged(reservations: Iterable[Reservation], first_ns: int, end_ns: int) -> tuple[ReservedHours, ...]:
    """Of every booking that holds GPUs in [first, end), the part within it; a cancelled one up to then."""
    found = []
    for one in reservations:
        held_ns = min(one.until_ns, end_ns) - max(one.start_ns, first_ns)
        if held_ns > 0:
            hours = Fraction(held_ns * one.count, NS_PER_HOUR)
            found.append(ReservedHours(one.id, one.team, hours, amount(one, hours), one.currency))
    return tuple(found)


def amount(one: Reservation, gpu_hours: Fraction) -> Decimal | None:
    """What so many GPU hours of a booking cost, rounded once, to the nano unit."""
    price = one.price_per_gpu_hour
    if price is None:
        return None
    exact = Fraction(price) * gpu_hours
    return _WIDE.divide(Decimal(exact.numerator), Decimal(exact.denominator)).quantize(_NANO, context=_WIDE)
