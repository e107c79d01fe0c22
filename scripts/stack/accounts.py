"""Bills and jobs of elsewhere for a machine of simulated GPUs: made up, and imported with the real commands.

The files are those that people have: a bill by FOCUS for each of two months, rows of a spreadsheet, what
sacct has written, a table of jobs. Figures follow from the day alone: tomorrow they tell the same of today.
"""

import csv
import json
import sys
import zlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from scripts.stack.processes import Command, StackError

DAYS = 45  # of spreadsheets: this month, and the month before at least in part
JOB_DAYS = 20
WAIT_SECONDS = 60.0
# Machine, most hours of a day, USD an hour of it, team.
_MACHINES = (("p5.48xlarge", 0.4, 55.04, "vision"), ("g6e.xlarge", 9, 1.861, "language"))
# Provider, card, price of a GPU hour, currency, team, most GPU hours of a day.
_RENTED = (
    ("lambda", "h100-sxm5-80gb", 2.99, "USD", "vision", 7),
    ("lambda", "h100-sxm5-80gb", 2.99, "USD", "speech", 2),
    ("runpod", "l40s-48gb", 0.86, "USD", "language", 14),
    ("ovhcloud", "a100-pcie-80gb", 2.75, "EUR", "robotics", 5),
)
_FOCUS = (
    *("BilledCost", "BillingAccountId", "BillingCurrency", "BillingPeriodEnd", "BillingPeriodStart"),
    *("ChargeCategory", "ChargePeriodEnd", "ChargePeriodStart", "ConsumedQuantity", "ConsumedUnit"),
    *("EffectiveCost", "ProviderName", "SkuPriceDetails", "Tags"),
)
_SACCT = (
    *("JobIDRaw", "JobID", "JobName", "User", "Account", "Cluster", "State", "ExitCode"),
    *("Start", "End", "ElapsedRaw", "AllocTRES", "Comment"),
)
_ENDS = ("COMPLETED", "COMPLETED", "COMPLETED", "FAILED", "TIMEOUT", "CANCELLED by 1001", "OUT_OF_MEMORY")
_TEAMS = ("vision", "language", "speech", "robotics")
_MODELS = ("corvus-7b", "ursa-moe-40b", "lyra-vision-2")


def write_files(folder: Path, today: date) -> dict[str, list[Path]]:
    """Files for `gputally bills import` and `gputally jobs import`, by the word for the command."""
    folder.mkdir(parents=True, exist_ok=True)
    months = sorted({today.replace(day=1), (today.replace(day=1) - timedelta(days=1)).replace(day=1)})
    bills = [_write(folder / f"aws-{month:%Y-%m}.csv", [_FOCUS, *_focus(month, today)]) for month in months]
    head = ("date", "provider", "gpu_type", "cost", "currency", "team", "gpu_hours")
    bills.append(_write(folder / "rented.csv", [head, *_rented(today)]))
    sacct = folder / "sacct-west.txt"
    sacct.write_text("".join("|".join(row) + "\n" for row in (_SACCT, *_sacct(today))))
    columns = ("job", "team", "user", "model", "gpu_type", "gpus", "provider", "start", "end", "status")
    jobs = [sacct, _write(folder / "jobs-lambda.csv", [columns, *_jobs(today)])]
    return {"bills": bills, "jobs": jobs}


class Accounts:
    """The ledger of a run: imports begin with it, and are waited for once everything else has started."""

    def __init__(self, folder: Path, log: Path) -> None:
        self.ledger = folder / "ledger.sqlite"
        self._folder, self._log = folder, log
        self._commands: list[Command] = []

    def start(self, config_file: Path, today: date) -> None:
        """Write the files of the day and begin to import them."""
        files = write_files(self._folder, today)
        for word, paths in files.items():
            argv = [sys.executable, "-m", "gputally", word, "import", f"--config.file={config_file}"]
            command = Command(f"{word} import", [*argv, *map(str, paths)], self._log)
            self._commands.append(command)
            command.start()

    def wait(self, pause: "Iterable[None]") -> None:
        """Until all is imported; `pause` waits a moment each time. Raises StackError for what failed."""
        for _ in pause:
            ended = [command.exit_status for command in self._commands]
            if any(ended):
                raise StackError(next(one for one in self._commands if one.exit_status).epitaph())
            if None not in ended:
                return
        raise StackError(f"the accounts are not imported after {WAIT_SECONDS:.0f} s; their log: {self._log}")

    def stop(self) -> None:
        """End what is still being imported: the ledger stays whole."""
        for command in self._commands:
            command.stop()


def _write(path: Path, rows: Iterable[Sequence[object]]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
    return path


def _part(what: str, day: date) -> float:
    """From 0.5 to 1, by the day."""
    return 0.5 + zlib.crc32(f"{what} {day}".encode()) % 1000 / 2000


def _days(first: date, last: date) -> Iterator[date]:
    while first <= last:
        yield first
        first += timedelta(days=1)


def _focus(month: date, today: date) -> Iterator[tuple[object, ...]]:
    after = (month + timedelta(days=31)).replace(day=1)
    for day in _days(month, min(after - timedelta(days=1), today)):
        for machine, most, usd, team in _MACHINES:
            hours = round(most * _part(machine, day), 2)
            cost = f"{hours * usd:.4f}"
            yield (
                *(cost, "000000000000", "USD", f"{after}T00:00:00Z", f"{month}T00:00:00Z"),
                *("Usage", f"{day + timedelta(days=1)}T00:00:00Z", f"{day}T00:00:00Z", hours, "Hours"),
                *(cost, "AWS", json.dumps({"InstanceType": machine}), json.dumps({"team": team})),
            )


def _rented(today: date) -> Iterator[tuple[object, ...]]:
    for day in _days(today - timedelta(days=DAYS), today):
        for provider, card, price, currency, team, most in _RENTED:
            hours = round(most * _part(f"{provider} {team}", day), 1)
            yield day, provider, card, f"{hours * price:.2f}", currency, team, hours


def _sacct(today: date) -> Iterator[tuple[str, ...]]:
    """Three jobs a day on another cluster, whose Slurm writes seconds; the latest of them run."""
    midnight_s = int(datetime(today.year, today.month, today.day, tzinfo=UTC).timestamp())
    for back in range(JOB_DAYS, 0, -1):
        for turn in range(3):
            number = str(40_000 + (midnight_s // 86_400 - back) * 10 + turn)
            seed = zlib.crc32(number.encode())
            start_s = midnight_s - back * 86_400 + turn * 25_000 + seed % 3_000
            length_s = 7_200 + seed % 15_000
            runs = back == 1 and turn == 2
            state, gpus = _ENDS[seed % len(_ENDS)], 1 + seed % 4
            yield (
                *(number, number, f"train-{turn}", f"u{seed % 5}", _TEAMS[seed % len(_TEAMS)], "west"),
                "RUNNING" if runs else state,
                {"FAILED": "1:0", "OUT_OF_MEMORY": "0:125"}.get(state, "0:0"),
                *(str(start_s), "Unknown" if runs else str(start_s + length_s), str(length_s)),
                f"billing=8,cpu=8,gres/gpu:h100={gpus},gres/gpu={gpus},mem=64G,node=1",
                f"model={_MODELS[seed % len(_MODELS)]}",
            )


def _jobs(today: date) -> Iterator[tuple[object, ...]]:
    for back in range(JOB_DAYS, 0, -1):
        seed = zlib.crc32(f"job {today - timedelta(days=back)}".encode())
        day = today - timedelta(days=back)
        start, end = (f"{day}T{hour:02}:00:00Z" for hour in (6, 7 + seed % 16))
        team, model = _TEAMS[seed % len(_TEAMS)], _MODELS[seed % len(_MODELS)]
        status = ("completed", "completed", "failed")[seed % 3]
        yield f"run-{day}", team, f"u{seed % 5}", model, "H100 SXM5 80GB", 8, "lambda", start, end, status
