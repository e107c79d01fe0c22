"""What became of an import, and of charges, in words and rows."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal

from gputally.site.ledger.asked import Imported
from gputally.site.ledger.posting import RESULTS, Posted
from gputally.tables.columns import Column, Row
from gputally.tables.listed import Listed
from gputally.tables.text import rounded

COLUMNS = (
    Column("file", "FILE"),
    Column("provider", "PROVIDER"),
    Column("account", "ACCOUNT"),
    Column("period", "PERIOD"),
    *(Column(result, result.upper(), "count") for result in RESULTS),
    Column("before", "BEFORE", "money"),
    Column("after", "AFTER", "money"),
    Column("currency", "CURRENCY"),
)


def listed(imported: Sequence[Imported], *, dry_run: bool = False) -> Listed:
    """A row for each bill and currency; counts stand in the first row of a bill."""
    rows = [row for one in imported for posted in one.posted for row in posted_rows(one.name, posted)]
    taken = sum(one.tally.taken for one in imported)
    rejected = sum(one.tally.rejections for one in imported)
    notes = tuple(note for one in imported for note in _notes(one))
    would = ", dry run: nothing is changed" if dry_run else ""
    count = sum(one.tally.rows for one in imported)
    title = f"bills: {_rows(count)}, {taken:,} taken, {rejected:,} rejected{would}"
    facts = {"dry_run": dry_run, "files": [_facts(one) for one in imported]}
    return Listed("bills import", title, COLUMNS, rows, notes, facts)


def posted_rows(file: str, posted: Posted) -> Iterator[Row]:
    """What became of one bill."""
    currencies = sorted({*posted.before, *posted.after}) or [""]
    for at, currency in enumerate(currencies):
        counts = {result: Decimal(posted.counts.get(result, 0)) for result in RESULTS} if at == 0 else {}
        yield {
            "file": file,
            "provider": posted.bill.provider,
            "account": posted.bill.account,
            "period": posted.bill.period_start[:7] or "rows",
            **counts,
            "before": posted.before.get(currency, Decimal(0)),
            "after": posted.after.get(currency, Decimal(0)),
            "currency": currency,
        }


def _notes(one: Imported) -> Iterator[str]:
    if one.skipped:
        yield f"{one.name}: not taken: {one.skipped}"
        return
    tally = one.tally
    unchanged = one.posted and all(
        not rows for posted in one.posted for result, rows in posted.counts.items() if result != "unchanged"
    )
    if unchanged:
        yield f"{one.name}: nothing has changed: the ledger had all of it"
    for why, rows in sorted(tally.left_out.items()):
        what = why if why.startswith("of ") else f"of the category {why}"
        yield f"{one.name}: left out, {what}: {_rows(rows)}, {amounts(tally.costs_of(why)) or 'of no cost'}"
    for note in one.notes:
        yield f"{one.name}: {note}"


def _rows(count: int) -> str:
    return f"{count:,} row{'s' * (count != 1)}"


def _facts(one: Imported) -> Mapping[str, object]:
    return {
        "files": list(one.files),
        "form": one.form,
        "sha256": one.sha256,
        "rows": one.tally.rows,
        "taken": one.tally.taken,
        "left_out": dict(sorted(one.tally.left_out.items())),
        "rejected": one.tally.rejections,
        "rejected_rows": [
            {"file": row.file, "line": row.line, "reason": row.reason} for row in one.tally.shown
        ],
        "skipped": one.skipped,
    }


def amounts(costs: Mapping[str, Decimal]) -> str:
    """Sums of money, each with its currency."""
    return " and ".join(f"{rounded(cost, 2):,f} {currency}" for currency, cost in sorted(costs.items()))


def total(pairs: Iterable[tuple[str, Decimal]]) -> dict[str, Decimal]:
    """Amounts added up by currency."""
    found: dict[str, Decimal] = {}
    for currency, amount in pairs:
        found[currency] = found.get(currency, Decimal(0)) + amount
    return found
