"""A large bill is imported in memory that does not grow with it."""

from __future__ import annotations

import csv
import subprocess
from pathlib import Path

import pytest

from tests.bills.appetite import import_command
from tests.bills.making import BILLED
from tests.cli.command import environment

ROWS = 60_000
LIMIT_MIB = 96


def write(path: Path, row: dict[str, str]) -> None:
    """Rows that differ by day and what `row` has, with the number of the row in it."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(BILLED)
        for number in range(ROWS):
            day = {"ChargePeriodStart": f"2026-11-{1 + number % 30:02}T00:00:00Z", "EffectiveCost": "0.001"}
            told = {name: text.replace("@", str(number)) for name, text in row.items()}
            writer.writerow((BILLED | day | told).values())


@pytest.mark.fault("bill-bomb")
@pytest.mark.parametrize(
    "row",
    [{}, {"Tags": '{"team": "t@"}'}, {"SkuPriceDetails": '{"InstanceType": "m@.large"}'}],
    ids=["few sums", "a sum for each row", "a machine for each row"],
)
def test_memory_is_bounded(tmp_path, row):
    write(tmp_path / "bill.csv", row)
    command = import_command("--others", "bill.csv")
    done = subprocess.run(
        command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=True, timeout=100
    )
    assert done.stdout.startswith("bills: 60,000 rows, 60,000 taken, 0 rejected\n")
    assert int(done.stderr) / 1024 < LIMIT_MIB
