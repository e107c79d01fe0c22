"""What `gputally bills import` takes for a bill of a million rows.

    python benchmarks/bills.py [--rows 1000000] [--teams 50] [--packed]

A bill by FOCUS 1.2 with 50 columns: an hourly row for each of many machines, a tenth of them with GPUs, in
many teams and days. A real process imports it twice: into a new ledger, and once more, when nothing changes.
Its seconds and the most memory it had are printed; the exit status is 1 where that is over 96 MiB.
"""

import argparse
import csv
import gzip
import io
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import IO

import measure  # noqa: F401 - finds the tests
from tests.bills.appetite import import_command

LIMIT_MIB = 96.0
MACHINES = ("m5.large", "c6i.4xlarge", "r5.xlarge", "t3.micro", "p5.48xlarge")
COLUMNS = [
    "BilledCost", "EffectiveCost", "ListCost", "ContractedCost", "BillingAccountId", "BillingAccountName",
    "BillingCurrency", "BillingPeriodStart", "BillingPeriodEnd", "ChargeCategory", "ChargeClass",
    "ChargeDescription", "ChargeFrequency", "ChargePeriodStart", "ChargePeriodEnd",
    "CommitmentDiscountStatus", "ConsumedQuantity", "ConsumedUnit", "PricingQuantity", "PricingUnit",
    "ProviderName", "PublisherName", "RegionId", "RegionName", "ResourceId", "ResourceName", "ResourceType",
    "ServiceCategory", "ServiceName", "SkuId", "SkuPriceId", "SkuPriceDetails", "SubAccountId",
    "SubAccountName", "Tags",
]  # fmt: skip
COLUMNS += [f"x_Column{number}" for number in range(50 - len(COLUMNS))]


def rows(count: int, teams: int) -> Iterator[list[str]]:
    """One for each machine and hour, as an exporter orders them."""
    for number in range(count):
        hour, machine = divmod(number, max(1, count // 720))
        gpus = machine % 10 == 0
        row = dict.fromkeys(COLUMNS, "")
        row |= {
            "BilledCost": f"{machine % 97}.{number % 1_000_000:06}",
            "EffectiveCost": f"{machine % 89}.{number % 1_000_000:06}1234",
            "BillingAccountId": "111122223333",
            "BillingCurrency": "USD",
            "BillingPeriodStart": "2026-11-01T00:00:00Z",
            "BillingPeriodEnd": "2026-12-01T00:00:00Z",
            "ChargeCategory": "Usage",
            "ChargeDescription": "made up",
            "ChargePeriodStart": f"2026-11-{1 + hour // 24 % 30:02}T{hour % 24:02}:00:00Z",
            "ConsumedQuantity": "1",
            "ConsumedUnit": "Hours",
            "ProviderName": "AWS",
            "ResourceId": f"i-{machine:017x}",
            "ServiceName": "Elastic Compute Cloud",
            "SkuPriceDetails": json.dumps({"InstanceType": MACHINES[4 if gpus else machine % 4]}),
            "SubAccountId": "444455556666",
            "Tags": json.dumps({"team": f"team{machine // 10 % teams}"}),
        }
        yield list(row.values())


def write(path: Path, count: int, teams: int) -> None:
    """The file; packed where its name says so."""
    with path.open("wb") as raw, _packed(path, raw) as stream:
        file = io.TextIOWrapper(stream, newline="")
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(rows(count, teams))
        file.flush()
        file.detach()


def _packed(path: Path, raw: IO[bytes]) -> AbstractContextManager[IO[bytes]]:
    if path.suffix == ".gz":
        return gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=1)  # type: ignore[return-value]
    return nullcontext(raw)


def imported(folder: Path, name: str) -> tuple[float, float, int]:
    """Seconds, the most MiB, and how many sums were inserted."""
    began = time.monotonic()
    command = import_command("--format=json", name)
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return time.monotonic() - began, int(done.stderr) / 1024, json.loads(done.stdout)["rows"][0]["inserted"]


def main() -> None:
    """Print a line for each import."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--teams", type=int, default=50)
    parser.add_argument("--packed", action="store_true")
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        name = "bill.csv.gz" if flags.packed else "bill.csv"
        write(folder / name, flags.rows, flags.teams)
        size = (folder / name).stat().st_size / 2**20
        print(f"{flags.rows:,} rows, {size:.0f} MiB {'packed' if flags.packed else ''}".rstrip())
        most = 0.0
        for what in ("into a new ledger", "once more"):
            seconds, mib, inserted = imported(folder, name)
            most = max(most, mib)
            speed = f"{seconds:.1f} s, {flags.rows / seconds:,.0f} rows/s"
            print(f"{what}: {speed}, {mib:.1f} MiB, {inserted:,} sums new")
    sys.exit(int(most > LIMIT_MIB))


if __name__ == "__main__":
    main()
