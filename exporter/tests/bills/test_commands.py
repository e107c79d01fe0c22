"""`gputally bills` as a user meets it."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import signal
import sqlite3
import subprocess

import pytest

from tests.bills.making import focus, tags
from tests.cli.command import PROGRAM, environment, gputally

PLAIN = "date,provider,gpu_type,cost,team,gpu_hours,currency\n"
ROWS = (
    PLAIN
    + "2026-10-31,runpod,h100 sxm5,10,nlp,4,USD\n"
    + "2026-11-01,runpod,h100 sxm5,2.5,vision,1,USD\n"
    + "2026-11-02,lambda,a10,0.75,nlp,,EUR\n"
    + "2026-11-02,lambda,a10,-0.25,vision,,USD\n"
)
CONFIG = """
ledger: {file: ledger.sqlite}
bills: {team_tag: group, sub_accounts: {"999": Ops}, instances: {my.box: {gpu: a40-48gb, count: 4}}}
teams: [{name: Vision}]
market: {rates: {EUR: 1.16}}
"""


@pytest.fixture
def run(books):
    def run(*arguments: str, status: int = 0):
        answer = gputally("bills", *arguments, folder=books.folder)
        assert answer.status == status, answer
        return answer

    return run


@pytest.fixture
def filled(books, run):
    books.file(ROWS, "rows.csv")
    run("import", "--ledger=ledger.sqlite", "rows.csv")
    return run


def names(books) -> list[str]:
    """Files in the folder, but for those that SQLite keeps beside the ledger."""
    return sorted(path.name for path in books.folder.iterdir() if not path.name.startswith("ledger.sqlite-"))


def table(answer) -> list[list[str]]:
    return [line.split() for line in answer.out.splitlines()[3:] if line and not line.startswith("Note")]


def test_an_import_says_what_became_of_each_bill(books, run):
    books.file(focus({}, tags(team="nlp"), {"SkuPriceDetails": ""}))
    answer = run("import", "--ledger=ledger.sqlite", "bill.csv")
    assert answer.err == ""
    assert answer.out == (
        "bills: 3 rows, 2 taken, 0 rejected\n\n"
        "FILE      PROVIDER  ACCOUNT       PERIOD   INSERTED  UPDATED  UNCHANGED  REMOVED  BEFORE  AFTER  CURRENCY\n"  # noqa: E501
        "bill.csv  aws       111122223333  2026-11         2        0          0        0    0.00   2.50  USD\n\n"  # noqa: E501
        "Note: bill.csv: left out, of no GPU: 1 row, 1.25 USD\n"
    )
    answer = run("import", "--ledger=ledger.sqlite", "bill.csv")
    assert "Note: bill.csv: nothing has changed: the ledger had all of it\n" in answer.out


def test_for_a_program_it_is_json(books, run):
    books.file(focus({}))
    found = json.loads(run("import", "--ledger=ledger.sqlite", "--format=json", "bill.csv").out)
    assert found["rows"][0]["inserted"] == 1
    assert (found["rows"][0]["after"], found["files"][0]["form"]) == (1.25, "FOCUS 1.1 or 1.2")


def test_the_configuration_names_ledger_teams_and_machines(books, run):
    books.file(CONFIG, "gputally.yml")
    box = {"SkuPriceDetails": json.dumps({"InstanceType": "my.box"})}
    books.file(focus(box | {"Tags": '{"group": "vision"}'}, box | {"Tags": "", "SubAccountId": "999"}))
    run("import", "--config.file=gputally.yml", "bill.csv")
    assert books.charges() == {
        ("2026-11-03", "a40-48gb", "Ops", "USD"): "1.25 4",
        ("2026-11-03", "a40-48gb", "Vision", "USD"): "1.25 4",
    }


FLAGS = {
    (): "1.25 8",
    ("--cost=billed",): "1.5 8",
    ("--category=credit",): "-0.25 0",
    ("--category=usage", "--category=credit"): "1 8",
}


@pytest.mark.parametrize("flags", FLAGS)
def test_flags_say_which_rows_are_taken_by_which_cost(books, run, flags):
    books.file(focus({}, {"ChargeCategory": "Credit", "EffectiveCost": "-0.25"}, {"SkuPriceDetails": ""}))
    run("import", "--ledger=ledger.sqlite", *flags, "bill.csv")
    assert list(books.charges().values()) == [FLAGS[flags]]


def test_flags_take_what_is_in_doubt(books, run):
    last = {"ChargePeriodStart": "2026-11-09T00:00:00Z"}
    books.file(focus({}, {"SkuPriceDetails": ""}), "one.csv")
    books.file(focus(last), "two.csv")
    run("import", "--ledger=ledger.sqlite", "--parts", "--others", "one.csv", "two.csv")
    assert [key[:2] for key in books.charges()] == [
        ("2026-11-03", "h100-sxm5-80gb"),
        ("2026-11-03", "other"),
        ("2026-11-09", "h100-sxm5-80gb"),
    ]
    assert "--shorter" in run("import", "--ledger=ledger.sqlite", "one.csv", status=2).err
    run("import", "--ledger=ledger.sqlite", "--shorter", "one.csv")
    run("import", "--ledger=ledger.sqlite", "two.csv")
    assert "--again" in run("import", "--ledger=ledger.sqlite", "one.csv").out
    run("import", "--ledger=ledger.sqlite", "--again", "--shorter", "one.csv")
    assert [key[0] for key in books.charges()] == ["2026-11-03"]


@pytest.mark.fault("importer-killed")
def test_who_interrupts_an_import_leaves_the_old_ledger(books, filled):
    books.file(focus(*({} for _ in range(20_000))))
    before = books.dump()
    process = subprocess.Popen(
        [PROGRAM, "bills", "import", "--ledger=ledger.sqlite", "bill.csv"],
        cwd=books.folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    holder = sqlite3.connect(books.path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(subprocess.TimeoutExpired):
        process.communicate(timeout=3)
    process.send_signal(signal.SIGINT)
    holder.execute("ROLLBACK")
    holder.close()
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, b"Traceback" in err) == (1, b"", False)
    assert books.dump() == before
    assert filled("import", "--ledger=ledger.sqlite", "bill.csv").out.startswith("bills: 20,000 rows")


def test_a_dry_run_says_the_same_and_changes_nothing(books, filled):
    before = books.path.read_bytes(), names(books)
    books.file(ROWS.replace("2.5", "3"), "rows.csv")
    answer = filled("import", "--ledger=ledger.sqlite", "--dry-run", "rows.csv")
    assert answer.out.startswith("bills: 4 rows, 4 taken, 0 rejected, dry run: nothing is changed\n")
    assert ["rows.csv", "runpod", "-", "rows", "0", "1", "1", "0", "12.50", "13.00", "USD"] in table(answer)
    assert (books.path.read_bytes(), names(books)) == before


def test_a_dry_run_without_a_ledger_makes_none(books, run):
    books.file(ROWS, "rows.csv")
    assert "4 taken" in run("import", "--ledger=ledger.sqlite", "--dry-run", "rows.csv").out
    assert not books.path.exists()


def test_rejected_rows_are_lines_of_their_own_and_the_status_is_2(books, run):
    books.file(ROWS + "2026-11-05,a,b,x,,,\n2026-11-06,a,b,1,,,\n", "rows.csv")
    answer = run("import", "--ledger=ledger.sqlite", "rows.csv", status=2)
    assert answer.out.startswith("bills: 6 rows, 5 taken, 1 rejected\n")
    assert answer.err == 'gputally bills import: rejected: rows.csv:6: cost: expected a number, found "x"\n'


def test_a_bill_with_rejected_rows_is_refused_with_their_lines(books, run):
    books.file(focus({}, *({"EffectiveCost": "x"} for _ in range(30))))
    answer = run("import", "--ledger=ledger.sqlite", "bill.csv", status=2)
    lines = answer.err.splitlines()
    assert (
        lines[0] == 'gputally bills import: rejected: bill.csv:3: EffectiveCost: expected a number, found "x"'
    )
    assert lines[20:] == [
        "gputally bills import: rejected: and 10 more",
        (
            "gputally: error: bill.csv: 30 of 31 rows cannot be taken, so nothing of it is: a bill is imported whole "  # noqa: E501
            "(--partial takes the others)"
        ),
    ]
    assert (
        "1 taken, 30 rejected"
        in run("import", "--ledger=ledger.sqlite", "--partial", "bill.csv", status=2).out
    )


BAD = {
    "no ledger": (("import", "rows.csv"), "which ledger? give --ledger, or --config.file"),
    "no ledger in the file": (
        ("import", "--config.file=empty.yml", "rows.csv"),
        "which ledger? empty.yml has no ledger.file",
    ),
    "no file": (("import", "--ledger=ledger.sqlite", "none.csv"), "none.csv: cannot be read: No such file or directory"),  # noqa: E501
    "a folder": (("import", "--ledger=ledger.sqlite", "."), ".: expected a regular file, found a directory, pipe or device"),  # noqa: E501
    "currency": (("import", "--ledger=ledger.sqlite", "--currency=usd", "rows.csv"), "--currency usd: expected three capital letters, such as EUR"),  # noqa: E501
    "no ledger yet": (("list", "--ledger=none.sqlite"), "none.sqlite: there is no ledger yet: an import makes it"),  # noqa: E501
    "forget without one": (("forget", "1", "--ledger=none.sqlite"), "none.sqlite: there is no ledger yet: an import makes it"),  # noqa: E501
    "another file": (("list", "--ledger=rows.csv"), "rows.csv: no ledger: file is not a database"),
    "no rate": (("list", "--ledger=ledger.sqlite", "--currency=CHF"), "--currency CHF: market.rates of --config.file has no rate for CHF"),  # noqa: E501
    "a day": (("list", "--ledger=ledger.sqlite", "--from=yesterday"), "Invalid value for '--from': 'yesterday': expected a day such as 2026-11-29, or a month"),  # noqa: E501
    "a column": (("list", "--ledger=ledger.sqlite", "--by=host"), "Invalid value for '--by': 'host' is none of day, month, provider, account, gpu, team"),  # noqa: E501
    "an import": (("forget", "7", "--ledger=ledger.sqlite"), "there is no import 7"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_done_is_one_line(books, filled, name):
    arguments, message = BAD[name]
    books.file("{}\n", "empty.yml")
    answer = filled(*arguments, status=2)
    assert (answer.out, answer.err) == ("", f"gputally: error: {message}\n")
    assert not (books.folder / "none.sqlite").exists()


@pytest.mark.fault("ledger-damaged")
@pytest.mark.parametrize("command", ["list", "imports", "export", "import", "forget"])
def test_a_damaged_ledger_is_one_line(books, filled, command):
    data = books.path.read_bytes()
    books.path.write_bytes(data[:4096] + b"\xff" * (len(data) - 4096))
    more = {"import": ["rows.csv"], "forget": ["1"]}.get(command, [])
    answer = filled(command, "--ledger=ledger.sqlite", *more, status=1)
    assert answer.err.count("\n") == 1
    assert answer.err.startswith("gputally: error: ledger.sqlite: damaged: database disk image is malformed")


def test_charges_are_listed_by_what_is_asked_for(filled):
    every = filled("list", "--ledger=ledger.sqlite")
    assert every.out.splitlines()[0] == "bills: 4 rows, by provider, gpu, team"
    assert table(every) == [
        ["lambda", "a10-24gb", "nlp", "0.75", "EUR", "-", "-"],
        ["runpod", "h100-sxm5-80gb", "nlp", "10.00", "USD", "4.00", "2.5000"],
        ["runpod", "h100-sxm5-80gb", "vision", "2.50", "USD", "1.00", "2.5000"],
        ["lambda", "a10-24gb", "vision", "-0.25", "USD", "-", "-"],
    ]
    assert "Note: All together: 0.75 EUR and 12.25 USD." in every.out
    by_team = filled("list", "--ledger=ledger.sqlite", "--by=team", "--from=2026-11", "--to=2026-11")
    assert [row[:3] for row in table(by_team)] == [["nlp", "0.75", "EUR"], ["vision", "2.25", "USD"]]
    days = filled("list", "--ledger=ledger.sqlite", "--by=provider,day", "--team=vision", "--to=2026-11-01")
    assert table(days) == [["2026-11-01", "runpod", "2.50", "USD", "1.00", "2.5000"]]
    months = filled(
        "list", "--ledger=ledger.sqlite", "--by=month", "--provider=runpod", "--gpu=h100-sxm5-80gb"
    )
    assert [row[:2] for row in table(months)] == [["2026-10", "10.00"], ["2026-11", "2.50"]]


def test_a_list_is_csv_and_json_too(filled):
    rows = list(csv.DictReader(io.StringIO(filled("list", "--ledger=ledger.sqlite", "--format=csv").out)))
    assert rows[1] == {
        "provider": "runpod",
        "gpu": "h100-sxm5-80gb",
        "team": "nlp",
        "cost": "10.000000",
        "currency": "USD",
        "gpu_hours": "4.000000",
        "cost_per_gpu_hour": "2.500000000",
    }
    found = json.loads(filled("list", "--ledger=ledger.sqlite", "--format=json", "--by=").out)
    assert [(row["currency"], row["cost"]) for row in found["rows"]] == [("EUR", 0.75), ("USD", 12.25)]


def test_one_currency_is_made_of_all_by_declared_rates(books, filled):
    books.file(CONFIG, "gputally.yml")
    answer = filled("list", "--config.file=gputally.yml", "--currency=USD", "--by=")
    assert table(answer) == [["13.12", "USD", "-", "-"]]  # 12.25 + 0.75 * 1.16
    answer = filled("list", "--config.file=gputally.yml", "--currency=EUR", "--by=", "--team=nlp")
    assert table(answer) == [["9.37", "EUR", "-", "-"]]  # 0.75 + 10 / 1.16


def test_an_import_can_be_taken_back(books, filled):
    books.file(PLAIN + "2026-11-02,lambda,a10,5,nlp,,EUR\n2026-11-09,lambda,a10,1,nlp,,EUR\n", "wrong.csv")
    filled("import", "--ledger=ledger.sqlite", "wrong.csv")
    listed = filled("imports", "--ledger=ledger.sqlite")
    assert [row[0] for row in table(listed)] == ["2", "1"]
    answer = filled("forget", "2", "--ledger=ledger.sqlite")
    assert answer.out.startswith("import 2: taken back\n")
    assert {key[0]: value for key, value in books.charges().items() if key[3] == "EUR"} == {}
    assert filled("forget", "2", "--ledger=ledger.sqlite", status=2).err == (
        "gputally: error: the ledger has nothing of import 2: other imports have replaced it\n"
    )
    filled("import", "--ledger=ledger.sqlite", "rows.csv")
    assert books.charges()["2026-11-02", "a10-24gb", "nlp", "EUR"] == "0.75 -"


def test_a_bill_can_be_taken_back(books, filled):
    books.file(focus({}))
    filled("import", "--ledger=ledger.sqlite", "bill.csv")
    filled("forget", "2", "--ledger=ledger.sqlite")
    assert books.rows("SELECT COUNT(*) FROM bills WHERE kind = 'focus'") == [(0,)]
    assert books.rows("SELECT nano, revision FROM day_sums WHERE day = '2026-11-03'") == [(0, 1)]


def test_an_export_is_whole_or_as_it_was(books, filled):
    text = filled("export", "--ledger=ledger.sqlite").out
    assert text.endswith("# EOF\n")
    assert (
        'gpu_cloud_cost_per_day{provider="runpod",card="h100-sxm5-80gb",team="nlp",currency="USD"} 10 1793448000\n'  # noqa: E501
        in text
    )
    filled("export", "--ledger=ledger.sqlite", "--output=bills.om")
    assert (books.folder / "bills.om").read_text() == text
    answer = filled("export", "--ledger=ledger.sqlite", "--output=none/bills.om", status=1)
    assert answer.err.startswith("gputally: error: ")
    assert "No such file or directory" in answer.err
    assert names(books) == ["bills.om", "ledger.sqlite", "rows.csv"]


@pytest.mark.fault("ledger-disk")
@pytest.mark.usefixtures("filled")
def test_an_export_to_a_full_disk_is_one_line(books):
    with open("/dev/full", "wb") as full:  # noqa: PTH123
        done = subprocess.run(
            [PROGRAM, "bills", "export", "--ledger=ledger.sqlite"],
            cwd=books.folder,
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, b"gputally: error: output: No space left on device\n")


def test_today_and_what_is_to_come_are_not_exported(books, run):
    books.file("date,provider,gpu_type,cost\n2099-01-01,a,b,1\n2020-01-01,a,b,2\n", "rows.csv")
    run("import", "--ledger=ledger.sqlite", "rows.csv")
    text = run("export", "--ledger=ledger.sqlite").out
    assert text.count("gpu_cloud_cost_per_day{") == 1


def test_who_sits_before_it_sees_how_far_it_is(books):
    books.file(focus(*({} for _ in range(3000))))
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        [PROGRAM, "bills", "import", "--ledger=ledger.sqlite", "bill.csv"],
        cwd=books.folder,
        env=environment({"TERM": "xterm"}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=terminal,
    )
    out, _ = process.communicate(timeout=60)
    os.close(terminal)
    shown = os.read(controller, 100_000).decode()
    os.close(controller)
    assert process.returncode == 0
    assert "reading" in shown
    assert "100%" in shown
    assert b"3,000 taken" in out
