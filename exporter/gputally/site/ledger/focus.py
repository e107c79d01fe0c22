"""Bills by FOCUS, 1.0 to 1.4: which columns are read, and what a row adds to which day.

EffectiveCost spreads what was paid ahead over what used it; BilledCost is what the invoice says. Both add up
to the same money in the end, so a bill is imported by one of them and never by both.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from gputally.model.account import OTHER
from gputally.site.ledger.fields import Rejected, currency, instant, label, money, number
from gputally.site.ledger.gpurows import GpuRows, RowGpu
from gputally.site.ledger.hours import gpu_nanohours
from gputally.site.ledger.machines import Machines
from gputally.site.ledger.money import attos
from gputally.site.ledger.naming import Naming
from gputally.site.ledger.staging import FOCUS, MOST_BILLS, StagedBill, Staging
from gputally.site.ledger.tally import Tally
from gputally.site.market.cards import Catalogue

CATEGORIES = ("usage", "purchase", "tax", "credit", "adjustment")
BASES = {"effective": "EffectiveCost", "billed": "BilledCost"}
_NEEDED = (
    "BillingAccountId",
    "BillingCurrency",
    "BillingPeriodStart",
    "BillingPeriodEnd",
    "ChargeCategory",
    "ChargePeriodStart",
)
_PROVIDERS = ("ServiceProviderName", "ProviderName")  # 1.3 has both, 1.4 the first alone
_NO_GPU = "of no GPU"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows are asked for, by which cost."""

    basis: str = "effective"
    categories: frozenset[str] = frozenset({"usage"})
    others: bool = False  # rows of no GPU, too


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What rows are understood by."""

    machines: Machines
    catalogue: Catalogue
    naming: Naming


def missing_columns(columns: Iterable[str], basis: str) -> list[str]:
    """What a header lacks to be one of FOCUS."""
    have = set(columns)
    needed = [name for name in (*_NEEDED, BASES[basis]) if name.lower() not in have]
    if not any(name.lower() in have for name in _PROVIDERS):
        needed.append(" or ".join(_PROVIDERS))
    return needed


def version(columns: Iterable[str]) -> str:
    """The version that a header looks like."""
    have = set(columns)
    if "serviceprovidername" in have:
        return "1.3" if "providername" in have else "1.4"
    return "1.1 or 1.2" if "skupricedetails" in have else "1.0"


class FocusRows:
    """Rows of one file."""

    def __init__(
        self,
        columns: Mapping[str, int],
        wanted: Wanted,
        knowledge: Knowledge,
        into: tuple[Staging, Tally],
    ) -> None:
        self._wanted, self._machines, self._naming = wanted, knowledge.machines, knowledge.naming
        self._staging, self._tally = into
        self._gpus = GpuRows(columns, knowledge.machines, knowledge.catalogue)
        self._bills: dict[tuple[str, ...], StagedBill] = {}
        self._cost_name = BASES[wanted.basis]
        self._cost = columns[self._cost_name.lower()]
        account, self._currency, start, end, self._category, self._day = (
            columns[name.lower()] for name in _NEEDED
        )
        names = [columns[name.lower()] for name in _PROVIDERS if name.lower() in columns]
        self._scope = (names[0], names[-1], account, start, end)
        # Columns that may be missing, each as a slice: nothing where it is not there.
        self._tags, self._account, self._account_name, self._status = (
            _at(columns, name)
            for name in ("tags", "subaccountid", "subaccountname", "commitmentdiscountstatus")
        )
        self._quantities = [
            (name, _at(columns, f"{name.lower()}quantity"), _at(columns, f"{name.lower()}unit"))
            for name in ("Consumed", "Pricing")
        ]

    def provider(self, fields: list[str]) -> str:
        """The provider of a row that was rejected, if it has one."""
        name = fields[self._scope[0]] or fields[self._scope[1]]
        return self._machines.provider(name)[:64] if name.isprintable() else ""

    def take(self, fields: list[str], _line: int) -> None:
        """Add a row to its day. Raises Rejected."""
        bill = self._bill_of(fields)
        start = instant("ChargePeriodStart", fields[self._day])
        day = start[:10]
        category = fields[self._category].lower()
        if category not in CATEGORIES:
            raise Rejected(
                f"ChargeCategory: expected one of {', '.join(CATEGORIES)}, found {category[:40]!r}"
            )
        gpu = self._gpus.of(fields) if category in self._wanted.categories else None
        if gpu is None and (category not in self._wanted.categories or not self._wanted.others):
            self._leave_out(fields, category if category not in self._wanted.categories else _NO_GPU)
        else:
            self._add(fields, bill, day, category, gpu)
        bill.rows += 1
        bill.last_day = max(bill.last_day, day)

    def _add(self, fields: list[str], bill: StagedBill, day: str, category: str, gpu: RowGpu | None) -> None:
        cost = money(self._cost_name, fields[self._cost])
        unit = currency("BillingCurrency", fields[self._currency])
        team = self._naming.of(
            "".join(fields[self._tags]), "".join(fields[self._account]), "".join(fields[self._account_name])
        )
        hours = self._hours(fields, category, gpu, cost)
        key = bill.number, day, gpu.gpu_type if gpu else OTHER, team, category, unit
        self._staging.add(key, attos(cost), hours)
        self._tally.taken += 1
        if gpu is not None and gpu.missing:
            self._tally.miss(gpu.missing)

    def _hours(self, fields: list[str], category: str, gpu: RowGpu | None, cost: Decimal) -> int | None:
        """What is no use of a GPU has none; what was paid for and not used neither."""
        if gpu is None or category != "usage" or "".join(fields[self._status]).lower() == "unused":
            return 0
        for name, quantity, unit in self._quantities:
            text = "".join(fields[quantity])
            if text:
                hours = gpu_nanohours(f"{name}Quantity", text, "".join(fields[unit]), gpu.count)
                if hours is not None:
                    return hours
        return None if cost else 0

    def _leave_out(self, fields: list[str], why: str) -> None:
        try:
            cost = number("", fields[self._cost])
        except Rejected:  # nobody wants it
            cost = None
        self._tally.leave_out(why, cost, fields[self._currency][:3])

    def _bill_of(self, fields: list[str]) -> StagedBill:
        texts = tuple([fields[at] for at in self._scope])
        known = self._bills.get(texts)
        if known is None:
            if len(self._bills) >= MOST_BILLS:  # written in many ways
                self._bills.clear()
            known = self._bills[texts] = self._staging.bill(self._read_bill(texts))
        return known

    def _read_bill(self, texts: tuple[str, ...]) -> StagedBill:
        name, second, account, start, end = texts
        provider = self._machines.provider(label(" or ".join(_PROVIDERS), name or second))
        return StagedBill(
            0,
            FOCUS,
            provider,
            label("BillingAccountId", account),
            instant("BillingPeriodStart", start),
            instant("BillingPeriodEnd", end),
        )


def _at(columns: Mapping[str, int], name: str) -> slice:
    at = columns.get(name)
    return slice(0, 0) if at is None else slice(at, at + 1)
