"""Runs of jobs in a real ledger: once, however often they are imported and whatever goes wrong."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from gputally.model.elsewhere import LeftOut, OutsideJob, Refused
from gputally.site.ledger.jobs import Origin, between, put, sums
from gputally.site.ledger.store import Ledger, LedgerError

ORIGIN = Origin("sacct", "sacct.txt", "aa", 1)
JOB = OutsideJob(
    "lab", "4711", 1000, 4600, 4600, "completed", 0, "slurm", team="nlp", gpus=2, gpu_type="h100"
)


@pytest.fixture
def ledger(tmp_path: Path):
    with Ledger.open(tmp_path / "ledger.sqlite", write=True) as opened:
        yield opened


def counts(imported):
    return {name: imported.total(name) for name in ("inserted", "updated", "unchanged", "rejected")}


def results(ledger, *jobs):
    found = counts(put(ledger, jobs, ORIGIN))
    return {name: count for name, count in found.items() if count}


def all_of(ledger, from_s=0, until_s=1 << 40, only=()):
    return [run.job for run in between(ledger, from_s, until_s, only)]


@pytest.mark.fault("jobs-again")
def test_a_second_import_changes_nothing(ledger):
    assert results(ledger, JOB) == {"inserted": 1}
    assert results(ledger, JOB) == {"unchanged": 1}
    assert all_of(ledger) == [JOB]


def test_it_is_the_same_run_by_provider_number_and_start_alone(ledger):
    assert results(ledger, JOB) == {"inserted": 1}
    corrected = replace(JOB, status="failed", exit_code=1, team="vision", end_s=4700, seen_s=4700)
    assert results(ledger, corrected) == {"updated": 1}
    assert all_of(ledger) == [corrected]
    others = [replace(JOB, provider="east"), replace(JOB, job_id="4712"), replace(JOB, start_s=2000)]
    assert results(ledger, *others) == {"inserted": 3}
    assert len(all_of(ledger)) == 4


def test_when_a_finished_run_was_heard_of_does_not_matter(ledger):
    assert results(ledger, replace(JOB, seen_s=9000)) == {"inserted": 1}
    assert results(ledger, replace(JOB, seen_s=9999)) == {"unchanged": 1}
    assert all_of(ledger) == [JOB]


@pytest.mark.fault("jobs-again")
def test_a_run_grows_until_it_ends_and_an_old_table_does_not_take_that_back(ledger):
    runs = replace(JOB, end_s=None, seen_s=2000, status="running", exit_code=None)
    assert results(ledger, runs) == {"inserted": 1}
    later = replace(runs, seen_s=3000)
    assert results(ledger, later) == {"updated": 1}
    assert results(ledger, runs) == {"unchanged": 1}
    assert all_of(ledger) == [later]
    assert results(ledger, JOB) == {"updated": 1}
    assert results(ledger, replace(runs, seen_s=9000)) == {"unchanged": 1}
    assert all_of(ledger) == [JOB]


@pytest.mark.fault("jobs-again")
def test_the_same_row_twice_in_a_file_counts_once(ledger):
    assert results(ledger, JOB, JOB) == {"inserted": 1, "unchanged": 1}


def test_what_became_of_the_rows_is_kept(ledger):
    rows = [JOB, Refused(2, "bad"), LeftOut(3, "step"), LeftOut(4, "no_gpu"), LeftOut(5, "step")]
    imported = put(ledger, rows, ORIGIN)
    assert (imported.rows, imported.refused, dict(imported.left_out)) == (
        5,
        [rows[1]],
        {"step": 2, "no_gpu": 1},
    )
    asked = "SELECT kind, provider, result, rows FROM imports JOIN import_counts ON id = import_id"
    assert set(ledger.connection.execute(asked)) == {
        ("sacct", "lab", "inserted", 1),
        ("sacct", "", "rejected", 1),
    }


@pytest.mark.fault("jobs-damaged")
def test_a_file_that_breaks_off_leaves_nothing_behind(ledger):
    def breaking():
        yield JOB
        raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        put(ledger, breaking(), ORIGIN)
    assert all_of(ledger) == []
    assert ledger.connection.execute("SELECT COUNT(*) FROM imports").fetchone() == (0,)


@pytest.mark.fault("importers-at-once")
def test_two_importers_at_once_wait_for_each_other_and_count_each_row_once(tmp_path):
    path = tmp_path / "ledger.sqlite"  # which the first of them makes
    rows = [replace(JOB, job_id=str(number)) for number in range(500)]
    found = []

    def work():
        with Ledger.open(path, write=True) as opened:
            found.append(counts(put(opened, rows, ORIGIN)))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one["inserted"] for one in found) == [0, 0, 0, 500]
    assert sum(one["unchanged"] for one in found) == 1500


@pytest.mark.fault("ledger-disk")
def test_a_disk_that_is_full_loses_nothing(tmp_path):
    """SQLite is told how large the file may become: what it says then is what it says of a full disk."""
    with Ledger.open(tmp_path / "ledger.sqlite", write=True) as ledger:
        put(ledger, [JOB], ORIGIN)
        (pages,) = ledger.connection.execute("PRAGMA page_count").fetchone()
        ledger.connection.execute(f"PRAGMA max_page_count = {pages}")
        many = (replace(JOB, job_id=f"x{number}", name="y" * 100) for number in range(10_000))
        with pytest.raises(LedgerError, match="full"):
            put(ledger, many, ORIGIN)
        assert all_of(ledger) == [JOB]


def test_runs_of_a_time_are_found_by_what_they_touch(ledger):
    put(ledger, [JOB, replace(JOB, job_id="2", start_s=5000, end_s=6000, seen_s=6000)], ORIGIN)
    assert [job.job_id for job in all_of(ledger, 0, 1000)] == []
    assert [job.job_id for job in all_of(ledger, 0, 1001)] == ["4711"]
    assert [job.job_id for job in all_of(ledger, 4600, 5001)] == ["2", "4711"]
    assert [job.job_id for job in all_of(ledger, 4601, 9999)] == ["2"]


def test_a_requeued_job_is_numbered_even_where_its_first_run_is_out_of_sight(ledger):
    put(ledger, [JOB, replace(JOB, start_s=5000, end_s=6000, seen_s=6000)], ORIGIN)
    assert [run.earlier for run in between(ledger, 0, 9999)] == [1, 0]
    assert [run.earlier for run in between(ledger, 5500, 9999)] == [1]


def test_a_column_is_asked_by_values_and_never_by_text(ledger):
    put(ledger, [JOB], ORIGIN)
    assert all_of(ledger, only=[("team", ["x' OR 1=1 --"])]) == []
    assert all_of(ledger, only=[("team", ["nlp", "vision"]), ("user", [])]) == [JOB]
    with pytest.raises(ValueError, match="1=1"):
        all_of(ledger, only=[("1=1", ["x"])])


def test_sums_are_of_what_ended_since_and_never_by_job(ledger):
    jobs = [
        replace(JOB, job_id=str(number), status=status)
        for number, status in enumerate(("failed", *["completed"] * 3))
    ]
    put(ledger, [*jobs, replace(JOB, start_s=1, end_s=10, seen_s=10)], ORIGIN)
    found = {(one.status, one.jobs, one.gpu_seconds) for one in sums(ledger, 100)}
    assert found == {("completed", 3, 3 * 7200), ("failed", 1, 7200)}
