"""Files that cannot be used: one line each, that names the file and the line, and the ledger as it was."""

from __future__ import annotations

import gzip
import json
import os
import zlib

import pytest

from gputally.site.ledger.reading import BadFile
from tests.bills.making import focus

PLAIN = "date,provider,gpu_type,cost\n2026-11-03,a,b,7\n2026-11-04,a,b,8\n"
OBJECTS = json.dumps([{"date": "2026-11-03", "provider": "a", "gpu_type": "b", "cost": 1}] * 2, indent=1)
FOCUS = focus({}, {"ChargePeriodStart": "2026-11-04T00:00:00Z"})
PACKED = gzip.compress(FOCUS.encode())
BAD: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", ":1: the file is empty, or begins with an empty line"),
    "spaces": ("  \n", ":1: the file is empty, or begins with an empty line"),
    "a header alone": ("date,provider,gpu_type,cost\n", ":1: there are no rows in it: is it whole?"),
    "cut in a row": (PLAIN[:-4], ":3: the file ends in the middle of a line: is it whole? If it is, end it with a newline"),  # noqa: E501
    "cut in the last number": (PLAIN[:-1], ":3: the file ends in the middle of a line: is it whole? If it is, end it with a newline"),  # noqa: E501
    "cut in the header": (FOCUS[:100], ":1: the file ends in the middle of a line: is it whole? If it is, end it with a newline"),  # noqa: E501
    "cut in quotes": (FOCUS[: FOCUS.index('""team') + 2] + "\n", ":2: the file ends inside of quotes: is it whole?"),  # noqa: E501
    "cut, packed": (PACKED[:-20], ": the packed file ends too early: it is not whole"),
    "cut at the sum, packed": (PACKED[:-1], ": the packed file ends too early: it is not whole"),
    "damaged, packed": (PACKED[:-8] + b"\0" * 8, ": the packed file is damaged: CRC check failed 0x0 != "),
    "more after it, packed": (PACKED + b"more", ": the packed file is damaged: Not a gzipped file"),
    "half of two parts, packed": (PACKED + PACKED[:-9], None),
    "parquet": (b"PAR1" + b"\0" * 100, ": expected CSV or JSON, perhaps packed by gzip, found Parquet"),
    "spreadsheet": (b"PK\x03\x04" + b"\0" * 100, ": expected CSV or JSON, perhaps packed by gzip, found a zip archive or a spreadsheet"),  # noqa: E501
    "binary": (bytes(range(256)) * 10, ": not UTF-8 after line 0: invalid start byte"),
    "latin": (PLAIN.replace("b,8", "ü,8").encode("latin-1"), ": not UTF-8 after line 0: invalid start byte"),
    "utf-16": (PLAIN.encode("utf-16"), ": not UTF-8 after line 0: invalid start byte"),
    "another table": ("a,b,c\n1,2,3\n", ":1: not a header of a bill: for date,provider,gpu_type,cost[,team] it lacks date, provider, gpu_type, cost"),  # noqa: E501
    "no cost": ("date,provider,gpu_type,price\n1,2,3,4\n", ":1: not a header of a bill: for date,provider,gpu_type,cost[,team] it lacks cost"),  # noqa: E501
    "two costs": ("date,provider,gpu_type,cost,cost_usd\n1,2,3,4,5\n", ":1: not a header of a bill: for date,provider,gpu_type,cost[,team] it lacks one of cost and costusd"),  # noqa: E501
    "focus without its cost": (focus({}, drop=["EffectiveCost", "Tags"]), ":1: not a header of a bill: for FOCUS it lacks EffectiveCost"),  # noqa: E501
    "focus without a provider": (focus({}, drop=["ProviderName"]), ":1: not a header of a bill: for FOCUS it lacks ServiceProviderName or ProviderName"),  # noqa: E501
    "focus without its day": (focus({}, drop=["ChargePeriodStart"]), ":1: not a header of a bill: for FOCUS it lacks ChargePeriodStart"),  # noqa: E501
    "a column twice": ("date,provider,gpu_type,cost,cost\n1,2,3,4,5\n", ":1: the column cost is there twice"),
    "a column twice, spelled otherwise": ("date,provider,gpu_type,gpuType,cost\n1,2,3,4,5\n", ":1: the column gpu_type is there twice"),  # noqa: E501
    "a quote inside": ('date,provider,gpu_type,cost\n2026-11-03,"a"b,c,1\n', ":2: not CSV: ',' expected after '\"'"),  # noqa: E501
    "a long field": ("date,provider,gpu_type,cost\n2026-11-03," + "x" * 200_000 + ",b,1\n", ":2: not CSV: field larger than field limit (131072)"),  # noqa: E501
    "a quote that is never closed": ('date,provider,gpu_type,cost\n2026-11-03,"' + "x,\n" * 100_000, "not CSV: field larger than field limit (131072)"),  # noqa: E501
    "a long line": ("x" * (1 << 21), ":1: a line of more than a million characters"),
    "no newline ever, packed": (gzip.compress(b"x" * (1 << 26)), ":1: a line of more than a million characters"),  # noqa: E501
    "cut json": (OBJECTS[:-2], ":13: the JSON ends too early: is the file whole?"),
    "json cut in an object": (OBJECTS[:-30], "the JSON ends too early: is the file whole?"),
    "json cut in a text": (OBJECTS[:40], ":2: the JSON ends too early: is the file whole?"),
    "an empty list": ("[]", ": there are no rows in it: is it whole?"),
    "json of something else": ('{"rows": 5}\n', None),
    "cut rows": ('{"rows": [{"date": "2026-11-03"}]', ":1: the JSON ends too early: is the file whole?"),
    "more after json": (OBJECTS + "x", ":14: expected nothing after the list of rows"),
    "not json": ("[{'date': 1}]", ":1: not JSON: Expecting property name enclosed in double quotes"),
    "no number": ('[{"cost": NaN}]', ":1: not JSON: NaN is no number"),
    "deep json": ("[" * 100_000, ":1: not JSON: "),
}  # fmt: skip


@pytest.mark.fault("bill-damaged")
@pytest.mark.parametrize("name", [name for name, (_, message) in BAD.items() if message])
def test_a_bad_file_is_one_line_and_changes_nothing(books, name):
    books.take(PLAIN.replace("2026", "2025"))
    before = books.dump()
    content, message = BAD[name]
    with pytest.raises(BadFile) as refused:
        books.take(content)
    assert message in str(refused.value)
    assert str(refused.value).startswith(f"{books.folder / 'bill1.csv'}:")
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 400
    assert books.dump() == before


@pytest.mark.fault("bill-damaged")
def test_half_of_a_second_part_is_bad_too(books):
    with pytest.raises(BadFile, match=r"ends too early|damaged"):
        books.take(BAD["half of two parts, packed"][0])
    assert books.rows("SELECT COUNT(*) FROM imports") == [(0,)]


def test_json_of_something_else_has_no_rows_that_can_be_taken(books):
    (one,) = books.take('{"rows": 5}\n')
    assert [row.reason for row in one.tally.shown] == ["the row lacks date, provider, gpu_type, cost"]


@pytest.mark.fault("bill-damaged")
def test_a_packed_bill_that_was_cut_anywhere_is_refused(books):
    for cut in range(1, len(PACKED)):
        with pytest.raises(BadFile):
            books.take(PACKED[:cut])
    assert books.rows("SELECT COUNT(*) FROM charges") == [(0,)]


@pytest.mark.fault("bill-damaged")
def test_a_plain_file_that_was_cut_inside_of_a_line_is_refused(books):
    for part in (PLAIN[:cut] for cut in range(1, len(PLAIN))):
        if part.endswith("\n") and part.count("\n") > 1:
            assert books.take(part)[0].tally.taken == part.count("\n") - 1
        else:
            with pytest.raises(BadFile):
                books.take(part)


@pytest.mark.fault("bill-damaged")
def test_what_is_no_file_is_one_line(books):
    from gputally.site.ledger.importing import import_bills  # noqa: PLC0415
    from gputally.site.ledger.store import Ledger  # noqa: PLC0415
    from tests.bills.making import ask  # noqa: PLC0415

    os.mkfifo(books.folder / "pipe")
    for name, message in (
        ("pipe", "expected a regular file, found a directory, pipe or device"),
        (".", "expected a regular file, found a directory, pipe or device"),
        ("none", "cannot be read: No such file or directory"),
    ):
        with Ledger.open(books.path, write=True) as ledger, pytest.raises(BadFile, match=message):
            import_bills(ledger, [[books.folder / name]], ask())


@pytest.mark.fault("bill-half")
def test_a_file_that_grows_while_it_is_read_is_refused(books):
    path = books.folder / "bill1.csv"

    def grow(_bytes: int) -> None:
        if path.stat().st_size == len(PLAIN):
            with path.open("a") as file:
                file.write("2026-11-05,a,b,9\n")

    with pytest.raises(BadFile, match="it changed while it was read"):
        books.take(PLAIN, progress=grow)
    assert books.rows("SELECT COUNT(*) FROM charges") == [(0,)]


@pytest.mark.fault("bill-bomb")
def test_a_bomb_is_read_in_bounded_memory(books):
    """64 MiB of one line: it is refused after the first of them."""
    packed = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join(packed.compress(b"x" * (1 << 20)) for _ in range(64)) + packed.flush()
    read = []
    with pytest.raises(BadFile, match="a line of more than a million characters"):
        books.take(bomb, progress=read.append)
    assert len(bomb) < 100_000
