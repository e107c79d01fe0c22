"""Charges summed up by whatever is asked for; currencies are never added up unless rates are declared."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal

from gputally.model.account import Charge

KEYS: Mapping[str, Callable[[Charge], str]] = {
    "day": lambda charge: charge.day.isoformat(),
    "month": lambda charge: charge.day.isoformat()[:7],
    "provider": lambda charge: charge.provider,
    "account": lambda charge: charge.account,
    "gpu": lambda charge: charge.gpu_type,
    "team": lambda charge: charge.team,
}
_EXACT = Context(prec=60, rounding=ROUND_HALF_EVEN)


class NoRate(Exception):
    """A currency that cannot be shown as another one; `str()` is its name."""


@dataclass(slots=True)
class Sum:
    """What all charges with the same key have cost."""

    key: tuple[str, ...]
    currency: str
    cost: Decimal = Decimal(0)
    gpu_hours: Decimal | None = Decimal(0)  # None: one of the charges does not tell

    @property
    def per_gpu_hour(self) -> Decimal | None:
        """What a GPU has cost for an hour; None where nothing tells."""
        return _EXACT.divide(self.cost, self.gpu_hours) if self.gpu_hours else None


def sums(charges: Iterable[Charge], by: Sequence[str]) -> list[Sum]:
    """Sums by some of KEYS and by currency: in the order of days or months, else the dearest first."""
    found: dict[tuple[str, ...], Sum] = {}
    for charge in charges:
        key = tuple(KEYS[name](charge) for name in by)
        one = found.setdefault((*key, charge.currency), Sum(key, charge.currency))
        one.cost = _EXACT.add(one.cost, charge.amount)
        known = one.gpu_hours is not None and charge.gpu_hours is not None
        one.gpu_hours = _EXACT.add(one.gpu_hours or 0, charge.gpu_hours or 0) if known else None
    if {"day", "month"} & set(by):
        return sorted(found.values(), key=lambda one: (one.key, one.currency))
    return sorted(found.values(), key=lambda one: (one.currency, -one.cost, one.key))


def in_currency(amount: Decimal, currency: str, wanted: str, rates: Mapping[str, Decimal]) -> Decimal:
    """An amount in another currency, by rates of USD for one. Raises NoRate."""
    if currency == wanted:
        return amount
    usd = {"USD": Decimal(1), **rates}
    for name in (currency, wanted):
        if name not in usd:
            raise NoRate(name)
    return _EXACT.divide(_EXACT.multiply(amount, usd[currency]), usd[wanted])
