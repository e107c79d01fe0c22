"""GPU hours of a row: a quantity in some unit of time, of machines with so many GPUs."""

import re
from decimal import ROUND_HALF_EVEN, Context, Decimal
from functools import lru_cache

from gputally.site.ledger.fields import Rejected, number

_MOST = Decimal(1_000_000_000)  # of one row
_EXACT = Context(prec=80, rounding=ROUND_HALF_EVEN)
_UNIT = re.compile(
    r"(?:([0-9]{1,6}) )?(?:(gpu|instance|instances|vm|machine|node)[- ])?"
    r"(hours?|hrs?|h|minutes?|min|seconds?|s|days?)",
    re.ASCII,
)
_SECONDS = {"h": 3600, "m": 60, "s": 1, "d": 86400}


def gpu_nanohours(column: str, quantity: str, unit: str, count: int | None) -> int | None:
    """GPU hours in 1e-9; None where the unit is no time, or nobody knows how many GPUs. Raises Rejected."""
    seconds, of_gpus = seconds_of(unit)
    if not seconds or (count is None and not of_gpus):
        return None
    amount = number(column, quantity.strip())
    if abs(amount) > _MOST:
        raise Rejected(f"{column}: more than {_MOST:,}")
    gpus = 1 if of_gpus else count or 1
    hours = _EXACT.divide(_EXACT.multiply(amount, Decimal(seconds * gpus)), Decimal(3600))
    return int(_EXACT.quantize(hours, Decimal("1e-9")).scaleb(9, _EXACT))


@lru_cache(1024)
def seconds_of(unit: str) -> tuple[int, bool]:
    """Seconds of one, and whether it is of GPUs and not of machines; 0: no unit of time."""
    found = _UNIT.fullmatch(unit.strip().lower())
    if found is None:
        return 0, False
    many, of, time = found.groups()
    return int(many or 1) * _SECONDS[time[0]], of == "gpu"
