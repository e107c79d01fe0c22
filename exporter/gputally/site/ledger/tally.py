"""What became of the rows of one import: counted, with a few of those that were rejected."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

MOST_SHOWN = 20
_MOST_KINDS = 200


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """Where it stands, and why it cannot be taken."""

    file: str
    line: int
    reason: str

    def __str__(self) -> str:
        text = f"{self.file}:{self.line}: {self.reason}"
        return "".join(c if c.isprintable() else "?" for c in text)


@dataclass(slots=True)
class Tally:
    """Rows of one import."""

    rows: int = 0
    taken: int = 0
    left_out: Counter[str] = field(default_factory=Counter)  # why -> rows
    left_out_cost: dict[tuple[str, str], Decimal] = field(default_factory=dict)  # (why, currency) -> sum
    rejected: Counter[str] = field(default_factory=Counter)  # provider, or "" -> rows
    shown: list[RejectedRow] = field(default_factory=list)  # the first of them
    missing: Counter[str] = field(default_factory=Counter)  # machines that sound like GPUs -> rows

    @property
    def rejections(self) -> int:
        """How many rows cannot be taken."""
        return self.rejected.total()

    def reject(self, file: str, line: int, reason: str, provider: str = "") -> None:
        """Count a row that cannot be taken."""
        known = provider if provider in self.rejected or len(self.rejected) < _MOST_KINDS else ""
        self.rejected[known] += 1
        if len(self.shown) < MOST_SHOWN:
            self.shown.append(RejectedRow(file, line, reason))

    def leave_out(self, why: str, cost: Decimal | None, currency: str) -> None:
        """Count a row that nobody asked for."""
        self.left_out[why] += 1
        if cost is not None and (
            (why, currency) in self.left_out_cost or len(self.left_out_cost) < _MOST_KINDS
        ):
            self.left_out_cost[why, currency] = self.left_out_cost.get((why, currency), Decimal(0)) + cost

    def miss(self, machine: str) -> None:
        """Count a row of a machine whose GPUs nobody knows."""
        if machine in self.missing or len(self.missing) < _MOST_KINDS:
            self.missing[machine] += 1

    def costs_of(self, why: str) -> Mapping[str, Decimal]:
        """What the rows that were left out for this reason have cost, by currency."""
        return {currency: cost for (reason, currency), cost in self.left_out_cost.items() if reason == why}
