"""Exact money as two integers, and back. No float comes near it."""

from decimal import ROUND_HALF_EVEN, Context, Decimal

NANO = 10**9
MOST = Decimal(9_000_000_000)  # of one row: what fits into the ledger's integers
_EXACT = Context(prec=80, rounding=ROUND_HALF_EVEN)
_UNIT = Decimal(1).scaleb(-18)


def attos(amount: Decimal) -> int:
    """Whole 1e-18 of it: all digits that a bill has; of more, halves go to the even one."""
    return int(_EXACT.quantize(amount, _UNIT).scaleb(18, _EXACT))


def columns(amount: int) -> tuple[int, int]:
    """1e-18 units as `nano` and `atto`."""
    return divmod(amount, NANO)


def amount_of(nano: int, atto: int) -> Decimal:
    """What the two columns, or sums of them, stand for."""
    return Decimal(nano * NANO + atto).scaleb(-18, _EXACT)
