"""What the ledger is fed with: bills as FOCUS or plain rows, jobs from sacct and from tables."""

from __future__ import annotations

import contextlib
import csv
import io
import shutil
import tempfile
from decimal import Decimal, InvalidOperation, localcontext
from pathlib import Path
from typing import TYPE_CHECKING

from gputally.model.elsewhere import STATUSES, LeftOut, OutsideJob, Refused
from gputally.site.ledger.jobfiles import HalfFile, opened
from gputally.site.ledger.jobwords import BadTable
from gputally.site.ledger.reading import BadFile
from tests.bills.making import FILES, Books, focus, instance, tags
from tests.elsewhere.recordings import RECORDED, TERMS
from tests.fuzz.target import Target, file, folder, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gputally.site.ledger.asked import Imported

_JOBS = """job,team,model,gpu type,provider,start,end,status,gpus,user,name,exit_code
run-1,nlp,llama-70b,H100 SXM,lambda,2026-11-05T10:00:00+01:00,2026-11-05T12:00:00+01:00,done,8,ada,"a, b",0
run-2,vision,,,vast,1793872800,,running,,,,
"""
_OBJECTS = """[{"job": "1", "start": 1793872800, "end": "2026-11-05T12:00:00Z", "status": "failed", "gpus": 2,
"exit_code": 137, "team": "nlp"}, {"id": 2, "started_at": "2026-10-25T02:30:00", "state": "oom"}]
"""
_ATTO = Decimal("1e-18")
_PLAIN = (
    '[{"date": "2026-10-05", "provider": "runpod", "gpu_type": "H100", "cost": "59.76", "team": "vision"}]\n'
)


def bill(data: bytes) -> bool:
    """A bill: every row has one fate, sums are those of the file, and a second import changes nothing."""
    place = Path(tempfile.mkdtemp(dir=folder()))
    try:
        return _import(Books(place), data)
    finally:
        shutil.rmtree(place)


def _import(books: Books, data: bytes) -> bool:
    try:
        (one,) = books.take(data, partial=True)
    except BadFile as error:
        one_line(str(error), 10_000)
        assert not books.path.exists() or books.rows("SELECT COUNT(*) FROM imports") == [(0,)]
        return False
    tally = one.tally
    assert tally.taken + tally.left_out.total() + tally.rejections == tally.rows
    assert all(str(row).isprintable() for row in tally.shown)
    kept = sum(books.total(currency) for (currency,) in books.rows("SELECT DISTINCT currency FROM charges"))
    if (told := _told(one, data)) is not None:  # of what is less than an atto the nearest is kept
        with localcontext(prec=100):
            off = abs(kept + sum(tally.left_out_cost.values()) - told)
            assert off <= _ATTO * (tally.rows + abs(told))
    before = books.dump()
    (again,) = books.take(data, partial=True, shorter=True)
    assert again.skipped or all(posted.counts["inserted"] == 0 for posted in again.posted)
    assert books.dump() == before
    return bool(tally.taken)


def _told(one: Imported, data: bytes) -> Decimal | None:
    """What all rows cost, read by somebody else; None where a row does not say so plainly."""
    if one.form == "JSON" or one.tally.rejections or one.tally.missing or data[:1] == b"\x1f":
        return None
    rows = list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))
    names = [name.strip().lower() for name in rows[0]]
    column = "effectivecost" if one.kind == "focus" else "cost"
    if names.count(column) != 1:
        return None
    try:
        with localcontext(prec=200):
            return sum((Decimal(row[names.index(column)]) for row in rows[1:] if row), Decimal(0))
    except (InvalidOperation, IndexError):
        return None


def jobs(data: bytes) -> bool:
    """Jobs that ran elsewhere, in the form that it looks like: whole, or refused by row or file."""
    read = False
    with opened(file("jobs.txt", data), io.BytesIO()) as table:
        try:
            form = table.form()
            for found in table.rows(form, TERMS):
                _judge(found)
                read = read or isinstance(found, OutsideJob)
        except (BadTable, HalfFile) as error:
            one_line(str(error), 10_000)
        assert table.place() <= table.size == len(data)
    return read


def _judge(found: object) -> None:
    assert isinstance(found, OutsideJob | Refused | LeftOut)
    if not isinstance(found, OutsideJob):
        assert found.line >= 1
        return
    assert 0 < found.gpus <= 100_000
    assert 0 <= found.gpu_seconds < 1 << 50
    assert found.end_s is None or found.start_s <= found.end_s <= TERMS.latest_s
    assert found.status in STATUSES
    assert (found.status == "running") == found.running
    assert found.exit_code is None or 0 <= found.exit_code < 2000
    words = (found.provider, found.job_id, found.user, found.team, found.name, found.model, found.gpu_type)
    assert all(word.isprintable() and len(word) <= 128 for word in words)


def _bills() -> Iterator[bytes]:
    yield focus(instance("p5.48xlarge"), tags(team="nlp"), {"ChargeCategory": "Tax"}).encode()
    yield focus({"EffectiveCost": "-0.000000000000000001", "BillingCurrency": "EUR"}, {"Tags": "{}"}).encode()
    yield (FILES / "rows.csv").read_bytes()
    yield _PLAIN.encode()


def _tables() -> Iterator[bytes]:
    for recorded in sorted(RECORDED.glob("sacct-*.txt")):
        with contextlib.suppress(IndexError):
            yield b"\n".join(recorded.read_bytes().split(b"\n")[:12]) + b"\n"
    yield _JOBS.encode()
    yield _OBJECTS.encode()


TARGETS = (
    Target("bill", bill, _bills),
    Target("jobs", jobs, _tables),
)
