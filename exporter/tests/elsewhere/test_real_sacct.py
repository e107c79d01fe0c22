"""Jobs of a real Slurm with real accounts, through a pipe from the real sacct into a ledger and out again."""

from __future__ import annotations

import csv
import io
import json
import subprocess
from collections.abc import Iterator

import pytest

from gputally.site.ledger.jobsacct import COLUMNS
from tests.cli.command import PROGRAM, environment, gputally
from tests.elsewhere.accounting import Accounted, lacking

FORMAT = f"--format={','.join(COLUMNS)}"
ONE = "--gres=gpu:h100:1"


@pytest.fixture(scope="module")
def slurm(tmp_path_factory) -> Iterator[Accounted]:
    if lacking():
        pytest.skip(f"Slurm with accounts is not installed here: no {', '.join(lacking())}")
    cluster = Accounted(tmp_path_factory.mktemp("slurm"))
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


def test_what_slurm_tells_stands_in_the_ledger_and_a_second_time_changes_nothing(slurm, tmp_path):
    good = slurm.submit("sleep 2", "--gres=gpu:h100:2", "--comment=model=llama-70b", "--account=vision")
    slurm.wait(good)
    bad = slurm.submit("exit 3", ONE, "--job-name=odd|name")
    slurm.wait(bad)
    requeued = slurm.submit("sleep 3", ONE, "--requeue")
    slurm.wait(requeued, "RUNNING")
    slurm.requeue(requeued)
    late = slurm.submit("sleep 600", ONE)
    slurm.wait(late, "RUNNING")
    slurm.limit(late, 1)
    slurm.wait(late)
    slurm.wait(requeued)
    runs = slurm.submit("sleep 600", ONE)
    slurm.wait_for_accounts(requeued, "COMPLETED")
    slurm.wait_for_accounts(late, "TIMEOUT")
    slurm.wait_for_accounts(runs, "RUNNING")
    written = slurm.sacct("-P", "-a", "-X", "-D", FORMAT, SLURM_TIME_FORMAT="%s")
    for inserted in (6, 0):
        done = subprocess.run(
            [PROGRAM, "jobs", "import", "-", "--ledger=ledger.sqlite", "--format=json"],
            cwd=tmp_path,
            env=environment(),
            input=written.encode(),
            capture_output=True,
            check=True,
        )
        assert json.loads(done.stdout)["inserted"] == inserted
    listed = gputally("jobs", "list", "--ledger=ledger.sqlite", "--from=1d", "--format=csv", folder=tmp_path)
    rows = list(csv.DictReader(io.StringIO(listed.out)))
    told = {(row["job_id"], row["run"], row["state"], row["exit_code"], row["gpus"]) for row in rows}
    assert told == {
        (good, "0", "completed", "0", "2"),
        (bad, "0", "failed", "3", "1"),
        (requeued, "0", "requeued", "0", "1"),
        (requeued, "1", "completed", "0", "1"),
        (late, "0", "timeout", "0", "1"),
        (runs, "0", "running", "", "1"),
    }
    (first,) = (row for row in rows if row["job_id"] == good)
    assert (first["provider"], first["team"], first["model"]) == ("lab", "vision", "llama-70b")
    assert {row["gpu_type"] for row in rows} == {"h100"}
    assert next(row["name"] for row in rows if row["job_id"] == bad) == "odd|name"


@pytest.mark.fault("jobs-times")
def test_clocks_of_a_zone_are_the_same_instants(slurm, tmp_path):
    """After the test above."""
    seconds = slurm.sacct("-P", "-a", "-X", "-D", FORMAT, SLURM_TIME_FORMAT="%s")
    clocks = slurm.sacct("-P", "-a", "-D", FORMAT, TZ="Asia/Kolkata")
    assert "2026" in clocks or "T" in clocks.splitlines()[1]
    for name, text in (("seconds", seconds), ("clocks", clocks)):
        (tmp_path / f"{name}.txt").write_text(text)
        answer = gputally(
            *("jobs", "import", f"{name}.txt", f"--ledger={name}.sqlite", "--timezone=Asia/Kolkata"),
            folder=tmp_path,
        )
        assert answer.status == 0, answer
    kept = [
        {
            (row["job_id"], row["start"], row["end"])
            for row in csv.DictReader(
                io.StringIO(
                    gputally(
                        *("jobs", "list", f"--ledger={name}.sqlite", "--from=1d", "--format=csv"),
                        folder=tmp_path,
                    ).out
                )
            )
        }
        for name in ("seconds", "clocks")
    ]
    assert kept[0] == kept[1]
    assert kept[0]
