"""Bills that are made up, and how they get into a ledger."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gputally.config.bills import BillSettings, Instance
from gputally.site.ledger import machines
from gputally.site.ledger.asked import Ask, Imported
from gputally.site.ledger.focus import Knowledge, Wanted
from gputally.site.ledger.importing import import_bills
from gputally.site.ledger.money import amount_of
from gputally.site.ledger.naming import Naming
from gputally.site.ledger.store import Ledger
from gputally.site.market import cards

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FILES = Path(__file__).parent / "files"
BILLED = {
    "BilledCost": "1.5",
    "EffectiveCost": "1.25",
    "BillingAccountId": "111122223333",
    "BillingCurrency": "USD",
    "BillingPeriodStart": "2026-11-01T00:00:00Z",
    "BillingPeriodEnd": "2026-12-01T00:00:00Z",
    "ChargeCategory": "Usage",
    "ChargeClass": "",
    "ChargeDescription": "",
    "ChargePeriodStart": "2026-11-03T00:00:00Z",
    "ChargePeriodEnd": "2026-11-03T01:00:00Z",
    "CommitmentDiscountStatus": "",
    "ConsumedQuantity": "1",
    "ConsumedUnit": "Hours",
    "PricingQuantity": "1",
    "PricingUnit": "Hours",
    "ProviderName": "AWS",
    "ServiceCategory": "Compute",
    "SubAccountId": "",
    "SubAccountName": "",
    "SkuPriceDetails": json.dumps({"InstanceType": "p5.48xlarge"}),
    "Tags": json.dumps({"team": "vision"}),
}


def focus(*rows: Mapping[str, str], drop: Sequence[str] = (), columns: Sequence[str] = ()) -> str:
    """A FOCUS file: each row has what BILLED has, where it says nothing else."""
    names = [*(name for name in BILLED if name not in drop), *columns]
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n", restval="", extrasaction="ignore")
    writer.writeheader()
    writer.writerows([BILLED | row for row in rows])
    return text.getvalue()


def instance(name: str) -> dict[str, str]:
    return {"SkuPriceDetails": json.dumps({"InstanceType": name})}


def tags(**names: str) -> dict[str, str]:
    return {"Tags": json.dumps(names)}


def ask(**more: Any) -> Ask:
    """How files are read, by settings of the configuration and by flags."""
    settings = BillSettings(
        more.pop("team_tag", "team"),
        more.pop("sub_accounts", {}),
        more.pop("instances", {"my.box": Instance("a40-48gb", 4)}),
    )
    teams, aliases = more.pop("teams", ()), more.pop("aliases", {})
    knowledge = Knowledge(machines.load(settings.instances), cards.load(aliases), Naming(settings, teams))
    wanted = Wanted(
        more.pop("basis", "effective"),
        frozenset(more.pop("categories", {"usage"})),
        more.pop("others", False),
    )
    return Ask(knowledge, wanted, **({"now_ns": 1_764_000_000 * 10**9} | more))


class Books:
    """A ledger in a folder, and files beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / "ledger.sqlite"

    def file(self, content: str | bytes, name: str = "bill.csv") -> Path:
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def take(self, *contents: str | bytes, parts: bool = False, **how: Any) -> list[Imported]:
        """Import contents, each a file of its own, in one command."""
        files = [self.file(content, f"bill{number}.csv") for number, content in enumerate(contents, 1)]
        groups = [files] if parts else [[file] for file in files]
        with Ledger.open(self.path, write=True) as ledger:
            return import_bills(ledger, groups, ask(**how))

    def counts(self, *contents: str | bytes, **how: Any) -> tuple[int, int, int, int]:
        """Inserted, updated, unchanged and removed sums."""
        posted = [one for imported in self.take(*contents, **how) for one in imported.posted]
        return tuple(  # type: ignore[return-value]
            sum(one.counts[result] for one in posted)
            for result in ("inserted", "updated", "unchanged", "removed")
        )

    def rows(self, query: str) -> list[tuple]:
        with Ledger.open(self.path) as ledger:
            return ledger.connection.execute(query).fetchall()

    def charges(self) -> dict[tuple[str, ...], str]:
        """(day, gpu_type, team, currency) -> amount and hours, as short as they can be written."""
        found = self.rows(
            "SELECT day, gpu_type, team, currency, SUM(nano), SUM(atto), "
            "CASE WHEN COUNT(*) = COUNT(gpu_nanohours) THEN SUM(gpu_nanohours) END "
            "FROM charges GROUP BY 1, 2, 3, 4"
        )
        return {
            (day, gpu, team, currency): f"{short(amount_of(nano, atto))} {hours_of(hours)}"
            for day, gpu, team, currency, nano, atto, hours in found
        }

    def total(self, currency: str = "USD") -> Decimal:
        """Everything in the ledger, exactly."""
        found = self.rows(f"SELECT nano, atto FROM charges WHERE currency = '{currency}'")  # noqa: S608 - made of names that stand in this file
        return amount_of(sum(nano for nano, _ in found), sum(atto for _, atto in found))

    def dump(self) -> list[str]:
        """All of the ledger but when and by which import something came."""
        return [
            str(row)
            for table, columns in (
                ("charges", "bill_id, day, gpu_type, team, category, currency, nano, atto, gpu_nanohours"),
                ("bills", "kind, provider, account, period_start, period_end, basis, last_day"),
                ("day_sums", "*"),
            )
            for row in self.rows(f"SELECT {columns} FROM {table} ORDER BY 1, 2, 3, 4, 5, 6")  # noqa: S608 - made of names that stand in this file
        ]


def short(amount: Decimal) -> str:
    return f"{amount.normalize():f}"


def hours_of(nanohours: int | None) -> str:
    return "-" if nanohours is None else short(Decimal(nanohours).scaleb(-9))
