"""The bills and jobs that `make run` makes up: good files on any day, imported with the real commands."""

import subprocess
import sys
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from scripts.stack.accounts import Accounts, write_files
from scripts.stack.configuration import write_site
from scripts.stack.processes import StackError

from gputally.site.ledger.figures import figures
from gputally.site.ledger.store import Ledger

DAYS = [date(2026, 1, 1), date(2024, 2, 29), date(2025, 3, 31)]


def declared(folder: Path, ledger: Path) -> Path:
    return write_site(folder / "etc", "http://127.0.0.1:1", datetime.now(UTC), ledger)


def run(word: str, config: Path, files: list[Path]) -> str:
    argv = [sys.executable, "-m", "gputally", word, "import", f"--config.file={config}", *map(str, files)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("day", DAYS, ids=str)
def test_everything_of_a_day_is_taken_and_shown(tmp_path: Path, day: date) -> None:
    ledger = tmp_path / "ledger.sqlite"
    config = declared(tmp_path, ledger)
    for word, files in write_files(tmp_path / "files", day).items():
        run(word, config, files)
    noon_s = datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp()
    with Ledger.open(ledger) as opened:
        shown = figures(opened, noon_s).families
    assert all(shown.values()), [name for name, series in shown.items() if not series]
    assert {labels[1] for labels in shown["gpu_cloud_cost_last_month"]} >= {"h100-sxm5-80gb", "l40s-48gb"}
    assert {labels[-1] for labels in shown["gpu_cloud_cost_by_day"]} == {"USD", "EUR"}
    assert {labels[-1] for labels in shown["gpu_cloud_jobs"]} > {"running", "completed", "failed"}
    assert {labels[3] for labels in shown["gpu_cloud_jobs"]} == {"h100-sxm5-80gb"}


def test_the_next_day_tells_the_same_of_the_days_before(tmp_path: Path) -> None:
    """And a job that was running has ended since: it is the same run."""
    ledger = tmp_path / "ledger.sqlite"
    config = declared(tmp_path, ledger)
    for back in (1, 0):
        files = write_files(tmp_path / f"files-{back}", DAYS[2] - timedelta(days=back))
        run("bills", config, files["bills"])
        told = run("jobs", config, files["jobs"])
    (west,) = (line.split() for line in told.splitlines() if line.startswith("west"))
    assert west == ["west", "3", "1", "56"]  # new, changed, as they were


def test_the_accounts_of_a_run_are_there_when_it_has_started_and_a_fault_is_said(tmp_path: Path) -> None:
    accounts = Accounts(tmp_path / "accounts", tmp_path / "accounts.log")
    accounts.start(declared(tmp_path, accounts.ledger), DAYS[0])
    accounts.wait(time.sleep(0.1) for _ in range(600))
    with Ledger.open(accounts.ledger) as opened:
        kinds = {kind for (kind,) in opened.connection.execute("SELECT DISTINCT kind FROM imports")}
    assert kinds == {"focus", "plain", "sacct", "jobs_csv"}
    broken = Accounts(tmp_path / "broken", tmp_path / "broken.log")
    broken.start(tmp_path / "no.yml", DAYS[0])
    with pytest.raises(StackError, match=r"no\.yml"):
        broken.wait(time.sleep(0.1) for _ in range(600))
    broken.stop()
