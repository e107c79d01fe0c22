"""Days of bills in a real Prometheus: exported, imported by promtool, corrected, told twice, read back."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus.tests.server import Server

HEADER = "date,provider,gpu_type,cost,team,gpu_hours\n"
# 16 days of which each costs 2^n, so that no two of them can be taken for one another.
FIRST = {f"2026-03-{day:02}": 2**day for day in range(1, 17)}
CORRECTED = FIRST | {"2026-03-03": 1000, "2026-03-16": -8}
GONE = {day: cost for day, cost in CORRECTED.items() if day != "2026-03-05"}
END_S = 1_773_792_000  # 2026-03-18T00:00:00Z
DAYS = "last_over_time(gpu_cloud_cost_per_day[1d])"
TOTAL = f"sum(sum_over_time({DAYS}[30d:1d]))"


def gputally(folder: Path, *arguments: str) -> str:
    program = Path(sys.executable).with_name("gputally")
    done = subprocess.run(
        [program, "bills", arguments[0], "--ledger=ledger.sqlite", *arguments[1:]],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def bill(folder: Path, days: dict[str, float], name: str) -> None:
    rows = "".join(f"{day},aws,h100 sxm5,{cost},vision,{2 * abs(cost)}\n" for day, cost in days.items())
    (folder / name).write_text(HEADER + rows)
    gputally(folder, "import", name)


def blocks(server: Server, folder: Path, name: str) -> None:
    """What docs/bills.md says: export, then promtool."""
    gputally(folder, "export", f"--output={name}")
    done = subprocess.run(
        ["promtool", "tsdb", "create-blocks-from", "openmetrics", "--max-block-duration=720h",
         folder / name, server.data],
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    server.data.mkdir()
    yield server
    server.stop()


def days_of(server: Server, family: str) -> dict[str, float]:
    """Every day of March by a query of its own, at the end of the day."""
    found = {}
    for number in range(1, 18):
        at = END_S - (18 - number - 1) * 86400
        for value in server.query(f"last_over_time({family}[1d])", at).values():
            found[f"2026-03-{number:02}"] = value
    return found


def test_days_are_read_back_exactly_after_corrections_and_being_told_twice(tmp_path: Path, server: Server):
    bill(tmp_path, FIRST, "first.csv")
    blocks(server, tmp_path, "first.om")
    blocks(server, tmp_path, "first.om")
    server.start()
    assert days_of(server, "gpu_cloud_cost_per_day") == FIRST
    assert server.query(TOTAL, END_S) == {(): sum(FIRST.values())}
    assert days_of(server, "gpu_cloud_gpu_hours_per_day") == {day: 2 * cost for day, cost in FIRST.items()}
    server.stop()

    bill(tmp_path, CORRECTED, "corrected.csv")
    blocks(server, tmp_path, "corrected.om")
    blocks(server, tmp_path, "corrected.om")
    server.start()
    assert days_of(server, "gpu_cloud_cost_per_day") == CORRECTED
    assert server.query(TOTAL, END_S) == {(): sum(CORRECTED.values())}
    server.stop()


def test_a_charge_that_was_taken_back_is_nothing_and_no_longer_what_it_was(tmp_path: Path, server: Server):
    bill(tmp_path, FIRST, "first.csv")
    blocks(server, tmp_path, "first.om")
    gputally(tmp_path, "forget", "1")
    bill(tmp_path, GONE, "gone.csv")
    blocks(server, tmp_path, "gone.om")
    server.start()
    assert days_of(server, "gpu_cloud_cost_per_day") == GONE | {"2026-03-05": 0}
    assert server.query(TOTAL, END_S) == {(): sum(GONE.values())}
    labels = server.query("last_over_time(gpu_cloud_cost_per_day[30d])", END_S)
    assert list(labels) == [("h100-sxm5-80gb", "USD", "aws", "vision")]


def test_a_ledger_that_was_made_anew_goes_on_where_the_old_one_was(tmp_path: Path, server: Server):
    for number in range(3):
        bill(tmp_path, {"2026-03-02": number + 1}, f"{number}.csv")
    blocks(server, tmp_path, "old.om")
    (tmp_path / "ledger.sqlite").unlink()
    bill(tmp_path, {"2026-03-02": 10}, "new.csv")
    gputally(tmp_path, "export", "--first-revision=3", "--output=new.om")
    assert "10 1772452803\n" in (tmp_path / "new.om").read_text()
    subprocess.run(
        ["promtool", "tsdb", "create-blocks-from", "openmetrics", tmp_path / "new.om", server.data],
        check=True,
    )
    server.start()
    assert days_of(server, "gpu_cloud_cost_per_day") == {"2026-03-02": 10}
