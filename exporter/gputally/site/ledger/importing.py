"""`gputally bills import`: files are staged one after the other, then become the ledger's in one transaction.

Nothing of any of them is written if one is not whole, is no bill, or has a bill that another one has, too.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from gputally.site.ledger.asked import Ask, Imported, RowsRejected
from gputally.site.ledger.fields import Rejected
from gputally.site.ledger.focus import FocusRows, missing_columns, version
from gputally.site.ledger.judging import note_what_is_odd, refuse_bills_twice, refuse_shorter, stale
from gputally.site.ledger.plain import PlainRows, find_columns, json_rows, unused
from gputally.site.ledger.posting import make_ready, post, record, record_counts, renew_days
from gputally.site.ledger.reading import BadFile, Source, opened
from gputally.site.ledger.staging import FOCUS, PLAIN, Staging, staging
from gputally.site.ledger.store import Ledger
from gputally.site.ledger.tables import Table, known_as

Rows = Iterator[tuple[int, list[str] | Mapping[str, str] | Rejected]]


def import_bills(ledger: Ledger, groups: Sequence[Sequence[Path]], ask: Ask) -> list[Imported]:
    """Import files; those of one group are the parts of one.

    Raises:
        BadFile: one cannot be used; the ledger is as it was.
        LedgerError: the ledger could not be written; it is as it was.
    """
    with ledger.faults(), staging(ledger.connection) as staged:
        found = [_stage(staged, group, ask) for group in groups if group]
        refuse_bills_twice(found)
    with ledger.transaction():
        make_ready(ledger.connection)
        for one in found:
            one.skipped = one.skipped or ("" if ask.again else stale(ledger.connection, one))
            if not one.skipped:
                _post(ledger, one, ask)
    return found


def _post(ledger: Ledger, one: Imported, ask: Ask) -> None:
    connection = ledger.connection
    if not ask.shorter:
        refuse_shorter(connection, one)
    note_what_is_odd(connection, one, ask)
    import_id = record(connection, ask.now_ns, one.kind, one.name, one.sha256)
    basis = ask.wanted.basis if one.kind == FOCUS else ""
    one.posted = [post(connection, bill, basis, import_id) for bill in one.bills]
    record_counts(connection, import_id, one.posted, one.tally.rejected)
    renew_days(connection)


def _stage(staged: Staging, group: Sequence[Path], ask: Ask) -> Imported:
    staged.begin()
    one = Imported(tuple(map(str, group)))
    sums: dict[str, str] = {}
    for path in group:
        try:
            with opened(path, ask.progress) as source:
                _read(source, staged, one, ask)
                sha256 = source.sha256
            staged.flush()
        except (OverflowError, ValueError) as error:
            raise BadFile(str(path), str(error)) from None
        if sha256 in sums:
            raise BadFile(str(path), f"the same file as {sums[sha256]}: nothing is counted twice")
        sums[sha256] = str(path)
    one.sha256 = next(iter(sums)) if len(sums) == 1 else _sum_of(sums)
    one.bills = [bill for bill in staged.bills.values() if bill.rows]
    if one.kind == FOCUS and one.tally.rejections and not ask.partial:
        raise RowsRejected(one)
    return one


def _sum_of(sums: Mapping[str, str]) -> str:
    return hashlib.sha256("\n".join(sorted(sums)).encode()).hexdigest()


def _read(source: Source, staged: Staging, one: Imported, ask: Ask) -> None:
    first = source.first().lstrip()
    if not first:
        raise source.bad("the file is empty, or begins with an empty line", 1)
    is_json = first[0] in "[{"
    kind, form, taker, rows = (_json if is_json else _csv)(source, staged, one, ask)
    if one.kind not in {"", kind}:
        raise source.bad("not of the same kind as the parts before it", 1)
    one.kind, one.form = kind, form
    before = one.tally.rows
    for line, fields in rows:
        one.tally.rows += 1
        if isinstance(fields, Rejected):
            one.tally.reject(source.name, line, str(fields))
            continue
        try:
            taker.take(fields, line)  # type: ignore[arg-type]  # each kind has rows of its own
        except Rejected as why:
            one.tally.reject(source.name, line, str(why), taker.provider(fields))  # type: ignore[arg-type]
    if one.tally.rows == before:
        raise source.bad("there are no rows in it: is it whole?")


_Way = tuple[str, str, FocusRows | PlainRows, Rows]


def _json(source: Source, staged: Staging, one: Imported, ask: Ask) -> _Way:
    rows = PlainRows(None, ask.currency, ask.knowledge, (staged, one.tally))
    return PLAIN, "JSON", rows, json_rows(source)


def _csv(source: Source, staged: Staging, one: Imported, ask: Ask) -> _Way:
    table = Table(source)
    missing = missing_columns(table.columns, ask.wanted.basis)
    if not missing:
        taker = FocusRows(table.columns, ask.wanted, ask.knowledge, (staged, one.tally))
        return FOCUS, f"FOCUS {version(table.columns)}", taker, table.rows()
    found, lacking = find_columns(table.names)
    if found is None:
        is_focus = "chargeperiodstart" in table.columns or len(missing) < len(lacking)
        what, lacks = ("FOCUS", missing) if is_focus else ("date,provider,gpu_type,cost[,team]", lacking)
        raise source.bad(f"not a header of a bill: for {what} it lacks {', '.join(lacks)}", 1)
    if left := unused(table.names, found):
        one.notes.append(f"columns that are not read: {', '.join(left[:10])}")
    plain = PlainRows(found, ask.currency, ask.knowledge, (staged, one.tally))
    names = list(map(known_as, table.names))
    return PLAIN, "CSV", plain, _by_name(names, table)


def _by_name(names: Sequence[str], table: Table) -> Rows:
    for line, fields in table.rows():
        yield line, fields if isinstance(fields, Rejected) else dict(zip(names, fields, strict=True))
