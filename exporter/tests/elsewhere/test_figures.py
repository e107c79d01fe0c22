"""What is shown of a ledger: exact sums by few enough names, on the days and months of UTC."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from gputally.catalogue import LEDGER
from gputally.model.elsewhere import OutsideJob, Refused
from gputally.site.ledger import figures as module
from gputally.site.ledger.figures import figures
from gputally.site.ledger.jobs import Origin, put
from gputally.site.ledger.store import Ledger
from tests.elsewhere.charging import charge

NOW_S = datetime(2026, 11, 29, 12, tzinfo=UTC).timestamp()
H100, L40S = "h100-sxm5-80gb", "l40s-48gb"
MONTH, LAST_MONTH = "gpu_cloud_cost_month_to_date", "gpu_cloud_cost_last_month"
DAY, LAST_DAY = "gpu_cloud_cost_by_day", "gpu_cloud_cost_last_day"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


def shown(path, now_s=NOW_S):
    with Ledger.open(path) as ledger:
        return figures(ledger, now_s).families


def job(number, **told):
    return OutsideJob(
        **{
            "provider": "cloud",
            "job_id": str(number),
            "start_s": int(NOW_S) - 7200,
            "end_s": int(NOW_S) - 3600,
        }
        | {
            "seen_s": int(NOW_S) - 3600,
            "status": "completed",
            "team": "nlp",
            "model": "llama",
            "gpu_type": H100,
        }
        | told
    )


def keep(path, *jobs):
    with Ledger.open(path, write=True) as ledger:
        put(ledger, jobs, Origin("sacct", "sacct.txt", "aa", int(NOW_S * 1e9)))


def test_months_and_days_are_those_of_utc(path):
    charge(
        path,
        f"2026-11-28,aws,{H100},10.10,vision,USD,4",
        f"2026-11-27,aws,{H100},20.20,vision,USD,8",
        f"2026-11-01,aws,{H100},1,vision,USD,",
        f"2026-10-31,aws,{H100},400,vision,USD,100",
        f"2026-09-30,aws,{H100},5000,vision,USD,",
    )
    found = shown(path)
    key = ("aws", H100, "vision", "USD")
    assert found[MONTH] == {key: 31.3}
    assert found[LAST_MONTH] == {key: 400.0}
    assert found[LAST_DAY] == {key: 10.1}
    assert {labels[3]: value for labels, value in found[DAY].items()} == {
        "2026-11-28": 10.1,
        "2026-11-27": 20.2,
        "2026-11-01": 1.0,
        "2026-10-31": 400.0,
    }
    first_of_december = shown(path, datetime(2026, 12, 1, 0, 0, 1, tzinfo=UTC).timestamp())
    assert (first_of_december[MONTH], first_of_december[LAST_MONTH]) == ({}, {key: 31.3})


def test_of_31_days_every_one_has_its_sum_and_no_other(path):
    charge(
        path,
        *(
            f"2026-{month}-{day:02},aws,{H100},1,,USD,"
            for month, day in ((10, 29), (10, 30), (11, 29), (11, 30))
        ),
    )
    assert {labels[3] for labels in shown(path)[DAY]} == {"2026-10-30", "2026-11-29"}


def test_many_small_amounts_are_added_exactly(path):
    """A tenth of a nano, ten thousand times, in floats would be something else."""
    charge(path, *(f"2026-11-{1 + n % 28:02},p,{H100},0.1,t{n // 28},USD," for n in range(28 * 40)))
    found = shown(path)
    assert {value for labels, value in found[MONTH].items()} == {2.8}


def test_currencies_stay_apart_and_money_that_came_back_is_below_zero(path):
    charge(path, f"2026-11-28,aws,{H100},10,vision,USD,", f"2026-11-28,ovh,{H100},-3.5,vision,EUR,")
    assert shown(path)[MONTH] == {("aws", H100, "vision", "USD"): 10.0, ("ovh", H100, "vision", "EUR"): -3.5}


def test_an_hour_costs_what_rows_that_tell_hours_say(path):
    """Rows without hours are money, and no part of the mean."""
    charge(
        path,
        f"2026-11-27,aws,{H100},30,vision,USD,10",
        f"2026-11-28,aws,{H100},10,nlp,USD,10",
        f"2026-11-28,aws,{L40S},99,nlp,USD,",
        f"2026-10-01,aws,{H100},1000,nlp,USD,1",
    )
    found = shown(path)
    assert found["gpu_cloud_cost_per_gpu_hour"] == {("aws", H100, "USD"): 2.0}
    assert found["gpu_cloud_gpu_hours_month_to_date"] == {
        ("aws", H100, "vision"): 10.0,
        ("aws", H100, "nlp"): 10.0,
    }


def test_the_latest_day_is_told_by_provider(path):
    charge(
        path,
        f"2026-11-25,aws,{H100},1,,USD,",
        f"2026-11-28,lambda,{H100},1,,USD,",
        f"2026-06-01,old,{H100},1,,USD,",
    )
    found = shown(path)["gpu_cloud_cost_latest_day_timestamp_seconds"]
    assert {name: datetime.fromtimestamp(at, UTC).date().isoformat() for (name,), at in found.items()} == {
        "aws": "2026-11-25",
        "lambda": "2026-11-28",
        "old": "2026-06-01",
    }


def test_rows_are_counted_by_what_became_of_them(path):
    rows = (f"2026-11-25,aws,{H100},1,,USD,", f"2026-11-26,aws,{H100},1,,USD,", f"soon,aws,{H100},1,,USD,")
    charge(path, *rows)
    charge(path, rows[0], rows[1].replace(",1,", ",2,"))
    keep(path, job(1))
    with Ledger.open(path, write=True) as ledger:
        put(ledger, [job(1), Refused(2, "bad")], Origin("jobs_csv", "a.csv", "bb", int(NOW_S * 1e9)))
    found = shown(path)
    bills = found["gpu_cloud_cost_import_rows_total"]
    assert {result: bills["aws", result] for result in ("inserted", "updated", "unchanged")} == {
        "inserted": 2,
        "updated": 1,
        "unchanged": 1,
    }
    assert sum(value for (_, result), value in bills.items() if result == "rejected") == 1
    assert found["gpu_cloud_job_import_rows_total"] == {
        ("cloud", "inserted"): 1,
        ("cloud", "unchanged"): 1,
        ("unknown", "rejected"): 1,
    }
    assert found["gpu_cloud_import_rejected_rows"] == {("plain",): 1, ("sacct",): 0, ("jobs_csv",): 1}
    assert set(found["gpu_cloud_import_timestamp_seconds"]) == {("plain",), ("sacct",), ("jobs_csv",)}


def test_refused_rows_are_those_of_the_day_of_the_latest_import(path):
    """Several files of one evening count together; the clean ones of the next day end it."""
    row = f"2026-11-25,aws,{H100},1,,USD,"
    charge(path, row, f"soon,aws,{H100},1,,USD,", now_s=NOW_S)
    charge(path, row.replace(",1,", ",2,"), now_s=NOW_S + 60)
    assert shown(path)["gpu_cloud_import_rejected_rows"] == {("plain",): 1}
    charge(path, row.replace(",1,", ",3,"), now_s=NOW_S + 86_400)
    assert shown(path)["gpu_cloud_import_rejected_rows"] == {("plain",): 0}


def test_an_empty_ledger_shows_that_nothing_was_refused_yet(path):
    Ledger.open(path, write=True).close()
    found = shown(path)
    assert found["gpu_cloud_cost_import_rows_total"] == {("unknown", "rejected"): 0}
    assert found["gpu_cloud_groups_folded"] == {("bills",): 0, ("jobs",): 0}
    assert not any(found[name] for name in (MONTH, LAST_MONTH, DAY, LAST_DAY, "gpu_cloud_jobs"))


def test_jobs_are_added_up_by_all_but_their_number(path):
    failed = {"status": "failed", "gpus": 8}
    keep(path, job(1), job(2), job(3, **failed), job(4, start_s=1000, end_s=2000, seen_s=2000))
    found = shown(path)
    group = ("cloud", "nlp", "llama", H100)
    assert found["gpu_cloud_jobs"] == {(*group, "completed"): 2, (*group, "failed"): 1}
    assert found["gpu_cloud_job_gpu_hours"] == {(*group, "completed"): 2, (*group, "failed"): 8}


def test_too_many_groups_are_folded_into_others_and_sums_stay_right(path, monkeypatch):
    monkeypatch.setattr(module, "MOST_GROUPS", 5)
    monkeypatch.setattr(module, "MOST_PROVIDERS", 3)
    monkeypatch.setattr(module, "MOST_JOB_GROUPS", 2)
    rows = [
        f"2026-11-28,p{provider},{H100},{100 * provider + team},t{team},USD,1"
        for provider in range(1, 7)
        for team in range(4)
    ]
    charge(path, *rows)
    keep(path, *(job(n, team=f"t{n}", gpus=n) for n in range(1, 6)))
    found = shown(path)
    assert sum(found[MONTH].values()) == sum(100 * p + t for p in range(1, 7) for t in range(4))
    assert {labels[0] for labels in found[MONTH]} == {"p6", "p5", "p4", "other"}
    assert len(found[MONTH]) == 5 + 3  # the largest; the rest of two providers, and all others
    assert found[MONTH]["p6", H100, "t3", "USD"] == 603
    assert found[MONTH]["other", "other", "other", "USD"] == sum(
        100 * p + t for p in range(1, 4) for t in range(4)
    )
    assert found["gpu_cloud_groups_folded"] == {("bills",): 24 - 5, ("jobs",): 3}
    assert len(found["gpu_cloud_cost_latest_day_timestamp_seconds"]) == 3
    assert sum(found["gpu_cloud_jobs"].values()) == 5
    assert sum(found["gpu_cloud_job_gpu_hours"].values()) == 15
    assert ("other", "other", "other", "other", "completed") in found["gpu_cloud_jobs"]


def test_every_family_has_its_row_and_its_labels(path):
    charge(path, f"2026-11-28,aws,{H100},10,vision,USD,4")
    keep(path, job(1))
    found = shown(path)
    rows = {family.name: family.labels for family in LEDGER if family.name.startswith("gpu_")}
    assert set(found) == set(rows)
    for name, series in found.items():
        if name != LAST_MONTH:
            assert series, name
        assert all(len(labels) == len(rows[name]) for labels in series)
        assert "job_id" not in rows[name]
