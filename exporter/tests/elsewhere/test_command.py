"""`gputally jobs` as a person types it, on real files and a real ledger."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from tests.cli.command import PROGRAM, assert_refused, environment, gputally

RECORDED = Path(__file__).with_name("recorded")
EPOCH = RECORDED / "sacct-epoch.txt"
CONFIG = """\
site: {name: lab, timezone: Europe/Berlin}
ledger: {file: accounts/ledger.sqlite}
market: {aliases: {h100: h100-sxm5-80gb}}
teams: [{name: research, users: [root]}]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "gputally.yml").write_text(CONFIG)
    (tmp_path / "accounts").mkdir()
    return tmp_path


def run(folder, *arguments, **more):
    return gputally("jobs", *map(str, arguments), "--config.file=gputally.yml", folder=folder, **more)


def listed(folder, *arguments):
    answer = run(folder, "list", "--from=2026-11-01", "--format=csv", *arguments)
    assert answer.status == 0, answer.err
    return list(csv.DictReader(io.StringIO(answer.out)))


def counts(answer):
    document = json.loads(answer.out)
    return {name: document[name] for name in ("rows", "inserted", "updated", "unchanged", "rejected")}


def test_an_import_says_what_became_of_the_rows_and_a_second_one_changes_nothing(folder):
    """The time zone of the site makes the same instants of clocks as the seconds of the other file are."""
    answer = run(folder, "import", EPOCH)
    assert (answer.status, answer.err) == (0, "")
    assert answer.out.splitlines()[2:4] == [
        "PROVIDER  INSERTED  UPDATED  UNCHANGED",
        "lab             12        0          0",
    ]
    again = run(folder, "import", RECORDED / "sacct-steps.txt", "--format=json")
    assert counts(again) == {"rows": 28, "inserted": 0, "updated": 0, "unchanged": 12, "rejected": 0}


def test_teams_cards_and_zones_are_those_of_the_configuration(folder):
    run(folder, "import", EPOCH)
    rows = listed(folder)
    assert {row["team"] for row in rows} == {"research"}
    assert {row["gpu_type"] for row in rows} == {"h100-sxm5-80gb"}
    (signalled,) = (row for row in rows if row["job_id"] == "3")
    assert (signalled["state"], signalled["exit_code"]) == ("failed", "137")
    assert signalled["start"] == "2026-11-29T07:29:01+01:00"
    assert [row["run"] for row in rows if row["job_id"] == "7"] == ["1", "0"]


def test_lists_are_filtered_and_paged(folder):
    run(folder, "import", EPOCH)
    assert {row["job_id"] for row in listed(folder, "--status=failed")} == {"2", "3", "6"}
    assert listed(folder, "--team=nobody") == []
    assert len(listed(folder, "--limit=5", "--page=3")) == 2
    answer = run(folder, "list", "--from=2026-11-01", "--limit=5")
    assert "Page 1 of 3, 12 rows in all; --page 2 shows more." in answer.out
    assert_refused(
        run(folder, "list", "--from=2026-11-01", "--limit=5", "--page=4"),
        folder,
        {"gputally.yml", "accounts"},
    )
    document = json.loads(run(folder, "list", "--from=2026-11-01", "--format=json", "--limit=1").out)
    assert (document["row_count"], document["pages"], document["timezone"]) == (12, 12, "Europe/Berlin")


def test_through_a_pipe_and_zipped_it_is_the_same(folder):
    (folder / "sacct.gz").write_bytes(gzip.compress(EPOCH.read_bytes()))
    assert counts(run(folder, "import", "sacct.gz", "--format=json"))["inserted"] == 12
    piped = subprocess.run(
        [PROGRAM, "jobs", "import", "-", "--ledger=accounts/ledger.sqlite", "--format=json"],
        cwd=folder,
        env=environment(),
        input=EPOCH.read_bytes(),
        capture_output=True,
        check=True,
    )
    document = json.loads(piped.stdout)
    # Without the configuration teams and cards have other names; what runs has been heard of later.
    assert (document["inserted"], document["updated"]) == (0, 12)


def test_a_job_that_runs_is_known_until_its_table_was_made_and_not_until_it_is_imported(folder):
    (folder / "old.txt").write_bytes(EPOCH.read_bytes())
    os.utime(folder / "old.txt", (1_795_933_800, 1_795_933_800))
    run(folder, "import", "old.txt")
    (row,) = (row for row in listed(folder) if row["state"] == "running")
    assert float(row["gpu_hours"]) == pytest.approx(2 * 35 / 3600, abs=1e-6)


def test_rows_that_are_refused_are_named_and_the_others_are_in(folder):
    (folder / "jobs.csv").write_text(
        "job,start,end,status\n1,2026-11-05T10:00:00Z,2026-11-05T11:00:00Z,done\n2,soon,,running\n"
    )
    answer = run(folder, "import", "jobs.csv")
    assert answer.status == 2
    assert "line 3: 'soon' is no time" in answer.out
    assert [row["job_id"] for row in listed(folder)] == ["1"]


@pytest.mark.fault("jobs-damaged")
def test_half_a_zipped_file_is_refused_as_a_whole(folder):
    (folder / "half.gz").write_bytes(gzip.compress(EPOCH.read_bytes() * 50)[:400])
    answer = run(folder, "import", "half.gz")
    assert (answer.status, answer.out) == (2, "")
    assert "half.gz: gzip:" in answer.err
    assert "nothing of it was imported" in answer.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("import", "missing.txt"), "missing.txt: No such file or directory"),
        (("import", "gputally.yml"), "gputally.yml: column 'site: {name: lab' is none of job"),
        (("import",), "Missing argument 'FILE...'"),
        (("list", "--from=never"), "--from 'never': expected"),
        (("list", "--timezone=Mars/Base"), "--timezone 'Mars/Base': unknown"),
    ],
)
def test_wrong_usage_is_one_line(folder, arguments, said):
    answer = run(folder, *arguments)
    assert answer.status == 2, answer
    assert answer.err.count("\n") == 1
    assert said in answer.err
    assert (folder / "gputally.yml").read_text() == CONFIG


def test_without_a_ledger_it_says_how_to_name_one(tmp_path):
    line = assert_refused(gputally("jobs", "list", folder=tmp_path), tmp_path, set())
    assert line == "which ledger? give --ledger, or --config.file"
    there = assert_refused(gputally("jobs", "list", "--ledger=none.sqlite", folder=tmp_path), tmp_path, set())
    assert there == "none.sqlite: there is no ledger yet: an import makes it"


@pytest.mark.fault("importer-killed")
def test_who_is_killed_in_the_middle_leaves_a_whole_ledger(folder):
    many = "".join(f"{n},1793872800,1793876400,done\n" for n in range(300_000))
    (folder / "many.csv").write_text(f"job,start,end,status\n{many}")
    run(folder, "import", EPOCH)
    command = [PROGRAM, "jobs", "import", "many.csv", "--config.file=gputally.yml"]
    process = subprocess.Popen(command, cwd=folder, env=environment())
    wal = folder / "accounts" / "ledger.sqlite-wal"
    deadline = time.monotonic() + 30
    while process.poll() is None and not (wal.exists() and wal.stat().st_size > 1 << 20):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    assert process.wait() == -9
    assert len(listed(folder)) == 12
    assert counts(run(folder, "import", EPOCH, "--format=json"))["unchanged"] == 12
