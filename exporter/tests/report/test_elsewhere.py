"""Jobs of a ledger in `gputally report jobs`, beside those that a real Prometheus knows."""

from __future__ import annotations

import csv
import io
import json
from datetime import datetime
from decimal import Decimal

import pytest

from gputally.cli import main
from gputally.model.elsewhere import OutsideJob
from gputally.site.ledger.jobs import Origin, put
from gputally.site.ledger.store import Ledger
from tests.report.truth import JOBS

NAMES = ("cluster", "job_name", "team", "user", "model", "scheduler", "state")
ORIGIN = Origin("sacct", "sacct.txt", "aa", 1)


def slurm(scene, job_id, status, exit_code=None, **told):
    """What Slurm says of a job of the world: it begins a moment earlier than agents see it."""
    (truth,) = (job for job in JOBS if job.job_id == job_id)
    start_s, end_s = (scene.world.before_end(hours) for hours in (truth.from_h, truth.until_h))
    running = status == "running"
    return OutsideJob(
        **{
            "provider": "lab",
            "job_id": job_id,
            "start_s": start_s - 2,
            "end_s": None if running else end_s,
            "seen_s": end_s,
            "status": status,
            "exit_code": exit_code,
            "scheduler": "slurm",
            "user": truth.user,
            "gpus": len(truth.cards),
        }
        | told
    )


def elsewhere(scene, job_id, from_h, until_h, **told):
    start_s, end_s = scene.world.before_end(from_h), scene.world.before_end(until_h)
    return OutsideJob(
        **{"provider": "cloud", "job_id": job_id, "start_s": start_s, "end_s": end_s, "seen_s": end_s}
        | {"status": "completed", "team": "nlp", "user": "ada", "gpus": 4}
        | told
    )


@pytest.fixture
def ledger(tmp_path):
    path = tmp_path / "ledger.sqlite"

    def keep(*jobs):
        with Ledger.open(path, write=True) as opened:
            put(opened, jobs, ORIGIN)
        return f"--ledger={path}"

    return keep


@pytest.fixture
def report(scene, capsys):
    def run(*arguments, form="csv"):
        with pytest.raises(SystemExit) as ended:
            main(
                [
                    "report",
                    "jobs",
                    "--from=48h",
                    f"--format={form}",
                    f"--prometheus.url={scene.served.url}",
                    *arguments,
                ]
            )
        written = capsys.readouterr()
        assert not ended.value.code, written.err
        return written.out if form != "csv" else list(csv.DictReader(io.StringIO(written.out)))

    return run


def of(rows, job_id):
    (row,) = (row for row in rows if row["job_id"] == job_id)
    return row


def test_without_a_ledger_nothing_is_different(report, ledger):
    assert "exit_code" not in report()[0]
    empty = report(ledger())
    assert [{name: row[name] for name in report()[0]} for row in empty] == report()
    assert {row["exit_code"] for row in empty} == {""}


def test_slurm_has_the_last_word_on_state_end_and_exit_code(scene, report, ledger):
    """4715 vanished with its machine, 4711 seemed to be all right. Amounts are measured."""
    told = slurm(scene, "4715", "node_fail", 0), slurm(scene, "4711", "out_of_memory", 137)
    before, after = report(), report(ledger(*told))
    for job_id, state, code in (("4715", "node_fail", "0"), ("4711", "out_of_memory", "137")):
        row = of(after, job_id)
        assert (row["state"], row["exit_code"]) == (state, code)
        assert row["end"]
        for column in ("kwh", "cost", "gpu_hours", "busy_hours", "unused_cost", "start", "user"):
            assert row[column] == of(before, job_id)[column]
    assert len(after) == len(before)


@pytest.mark.fault("jobs-behind")
def test_a_ledger_that_is_behind_does_not_end_the_story(scene, report, ledger):
    """What ran when the table was made may have ended since: then agents know more."""
    option = ledger(slurm(scene, "4712", "running", seen_s=scene.world.before_end(43.5)))
    row = of(report(option), "4712")
    assert (row["state"], row["exit_code"]) == ("failed", "")


@pytest.mark.fault("jobs-behind")
def test_the_same_number_at_another_time_is_another_job(scene, report, ledger):
    """Slurm begins again at 1 when its state is lost."""
    other = slurm(
        scene, "4712", "completed", 0, start_s=scene.world.before_end(10), end_s=scene.world.before_end(9)
    )
    rows = report(ledger(other))
    assert sorted(row["state"] for row in rows if row["job_id"].startswith("4712")) == ["completed", "failed"]


def test_only_jobs_of_slurm_are_matched_by_number(scene, report, ledger):
    rows = report(ledger(slurm(scene, "4712", "completed", 0, scheduler="import")))
    assert sorted(row["state"] for row in rows if row["job_id"].startswith("4712")) == ["completed", "failed"]


def test_jobs_that_ran_elsewhere_stand_beside_those_that_were_measured(scene, report, ledger):
    rows = report(ledger(elsewhere(scene, "run-1", 12, 10, model="llama", name="tune", gpu_type="h100")))
    row = of(rows, "run-1")
    assert {
        name: row[name] for name in ("cluster", "job_name", "team", "user", "model", "scheduler", "state")
    } == {
        "cluster": "cloud",
        "job_name": "tune",
        "team": "nlp",
        "user": "ada",
        "model": "llama",
        "scheduler": "import",
        "state": "completed",
    }
    assert (Decimal(row["gpu_hours"]), Decimal(row["unmetered_hours"])) == (8, 8)
    assert (row["kwh"], row["cost"], row["utilization"]) == ("", "", "")
    assert of(rows, "4711")["unmetered_hours"] == ""


def test_groups_count_their_hours_and_not_what_nobody_measured(scene, report, ledger):
    """The mean use is that of hours that were metered."""
    option = ledger(elsewhere(scene, "run-1", 12, 10), elsewhere(scene, "run-2", 5, 4, team="vision"))
    before = {row["team"]: row for row in report("--by=team")}
    after = {row["team"]: row for row in report("--by=team", option)}
    for team, hours in (("nlp", 8), ("vision", 4), ("tools", 0)):
        assert float(after[team]["gpu_hours"]) == pytest.approx(
            float(before[team]["gpu_hours"]) + hours, rel=1e-3
        )
        assert float(after[team]["utilization"]) == pytest.approx(
            float(before[team]["utilization"]), rel=1e-3
        )
        assert float(after[team]["unmetered_hours"] or 0) == hours
    assert int(after["vision"]["jobs"]) == int(before["vision"]["jobs"]) + 1


def test_filters_and_totals_have_them_too(scene, report, ledger):
    option = ledger(elsewhere(scene, "run-1", 12, 10), elsewhere(scene, "run-2", 5, 4, team="vision"))
    document = json.loads(report("--team=vision", option, form="json"))
    assert {row["job_id"] for row in document["rows"]} == {"4712", "4713", "run-2"}
    assert document["totals"][0]["unmetered_hours"] == 4
    assert any("2 jobs are of the ledger alone" in note for note in document["notes"])


def test_what_still_ran_at_the_end_of_the_range_is_running(scene, report, ledger):
    option = ledger(
        elsewhere(scene, "run-1", 12, 2), elsewhere(scene, "run-2", 3, 0, end_s=None, status="running")
    )
    until = datetime.fromtimestamp(scene.world.before_end(10), scene.world.zone)
    rows = json.loads(report(option, f"--to={until.strftime('%Y-%m-%dT%H:%M:%S')}", form="json"))["rows"]
    row = of(rows, "run-1")
    assert (row["state"], row["end"], row["gpu_hours"]) == ("running", None, 8)
    assert not any(one["job_id"] == "run-2" for one in rows)
    assert of(report(option), "run-2")["state"] == "running"


def test_runs_of_a_requeued_job_are_named_as_on_the_nodes(scene, report, ledger):
    runs = [
        elsewhere(scene, "99", from_h, from_h - 1, scheduler="slurm", status=status)
        for from_h, status in ((9, "requeued"), (7, "completed"))
    ]
    rows = report(ledger(*runs))
    assert (of(rows, "99")["state"], of(rows, "99-r1")["state"]) == ("requeued", "completed")


def test_the_ledger_of_the_configuration_does_as_well(scene, report, ledger, tmp_path):
    ledger(elsewhere(scene, "run-1", 12, 10))
    (tmp_path / "gputally.yml").write_text("ledger: {file: ledger.sqlite}\n")
    assert of(report(f"--config.file={tmp_path}/gputally.yml"), "run-1")["cluster"] == "cloud"
    (tmp_path / "other.yml").write_text("site: {name: lab, timezone: UTC}\n")
    assert "exit_code" not in report(f"--config.file={tmp_path}/other.yml")[0]
