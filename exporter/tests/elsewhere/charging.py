"""Bills in a ledger for tests: as rows of the plain table, imported as `gputally bills import` does."""

from __future__ import annotations

from pathlib import Path

from gputally.config.bills import BillSettings
from gputally.site.ledger import machines
from gputally.site.ledger.asked import Ask
from gputally.site.ledger.focus import Knowledge, Wanted
from gputally.site.ledger.importing import import_bills
from gputally.site.ledger.naming import Naming
from gputally.site.ledger.store import Ledger
from gputally.site.market.cards import load

HEAD = "date,provider,gpu_type,cost,team,currency,gpu_hours"


def charge(ledger: Path, *rows: str, now_s: float = 1_795_900_000) -> None:
    """Import rows of these columns."""
    file = ledger.with_name("rows.csv")
    file.write_text("\n".join((HEAD, *rows, "")))
    ask = Ask(_knowledge(), Wanted(), int(now_s * 1e9))
    with Ledger.open(ledger, write=True) as opened:
        import_bills(opened, [[file]], ask)


def _knowledge() -> Knowledge:
    catalogue = load()
    return Knowledge(machines.load(), catalogue, Naming(BillSettings()))
