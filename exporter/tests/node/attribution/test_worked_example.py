"""The examples of docs/attribution.md and docs/cost.md, computed tick by tick: what the program does."""

from __future__ import annotations

from collections import Counter
from datetime import date
from pathlib import Path

import pytest

import gputally
from gputally.node.attribution.bill import Bill, unused_mj
from gputally.node.attribution.parties import POLICIES, Booking, Occupancy, Tenant
from gputally.node.attribution.split import split
from gputally.tariff import MONEY_UNITS, Band, Schedule, Tariff, Version, divide, price

DOCS = Path(gputally.__file__).parents[2] / "docs"
SECOND_NS = 1_000_000_000
IDLE_W = 75.0
SLURM, VISION, NLP = "4711", "docker-aaaaaaaaaaaa", "docker-bbbbbbbbbbbb"
JOB = Tenant(SLURM, 1.0, scheduled=True)
HOURS = (  # watts, ratio of time busy, who
    (600, 1, Occupancy((JOB,), allocated=(SLURM,))),
    (120, 0, Occupancy((Tenant(SLURM, 0.0, scheduled=True),), allocated=(SLURM,))),
    (475, 1, Occupancy((Tenant(VISION, 0.75), Tenant(NLP, 0.25)))),
    (75, 0, Occupancy(())),
)


def afternoon(policy: str) -> dict[str, Counter[str]]:
    """Sums by party, in kWh and hours."""
    sums: dict[str, Counter[str]] = {"energy": Counter(), "held": Counter(), "busy": Counter()}
    for watts, busy, occupancy in HOURS:
        booking = Booking(watts * 1000, SECOND_NS, SECOND_NS, busy * SECOND_NS, IDLE_W)
        for _ in range(3600):
            for share in split(booking, occupancy, policy).shares:
                party = share.job_id or "nobody"
                sums["energy"][party] += share.active_mj + share.idle_mj
                sums["held"][party] += share.held_ns
                sums["busy"][party] += share.busy_ns
    return sums


def row(sums: Counter[str], unit: float, digits: int = 5) -> list[str]:
    """A line of a page's table."""
    job, vision, nlp, nobody = (sums[party] / unit for party in (SLURM, VISION, NLP, "nobody"))
    return [
        f"{value:.{digits}f}"
        for value in (job, vision, nlp, job + nlp, vision, nobody, sum(sums.values()) / unit)
    ]


def money(policy: str = "allocated") -> dict[str, Counter[str]]:
    """Bills by party, in euros: by band, all together, and of that unused."""
    bands = (Band("day", 220_000_000, hours=((0, 16 * 60),)), Band("peak", 360_000_000, rest=True))
    schedule = Schedule(Tariff("EUR", (Version(bands),), "Europe/Berlin", pue_e4=(12_500,) * 12))
    start_ns = schedule.day_start_ns(date(2026, 10, 28)) + 13 * 3600 * SECOND_NS
    sums: dict[str, Counter[str]] = {name: Counter() for name in ("day", "peak", "cost", "unused")}
    for hour, (watts, busy, occupancy) in enumerate(HOURS):
        booking = Booking(watts * 1000, SECOND_NS, SECOND_NS, busy * SECOND_NS, IDLE_W)
        for second in range(3600):
            at_ns = start_ns + (hour * 3600 + second) * SECOND_NS
            pieces = price(schedule, watts * 1000, at_ns, at_ns + SECOND_NS)
            shares = split(booking, occupancy, policy).shares
            parts = divide(pieces, [share.active_mj + share.idle_mj for share in shares])
            for share, paid in zip(shares, parts, strict=True):
                party, bill = share.job_id or "nobody", Bill()
                bill.add(paid, unused_mj(share, busy_known=True) if share.job_id else 0)
                sums["cost"][party] += bill.cost["EUR"]
                sums["unused"][party] += bill.unused_cost.get("EUR", 0)
                for part in paid:
                    sums[part.rate.tariff][party] += part.energy_mj * part.rate.cost_units
    return sums


def table(page: str = "attribution.md") -> dict[str, list[str]]:
    lines = [line for line in (DOCS / page).read_text().splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {first.strip("`"): rest for first, *rest in cells if len(rest) == 7}


@pytest.mark.parametrize("policy", POLICIES)
def test_energy_of_each_policy_is_as_the_page_says(policy):
    assert table()[policy] == row(afternoon(policy)["energy"], 3.6e9)


def test_cost_is_as_the_page_says():
    sums = money()
    shown = table("cost.md")
    assert shown["until 16:00"] == row(sums["day"], MONEY_UNITS, digits=6)
    assert shown["after 16:00"] == row(sums["peak"], MONEY_UNITS, digits=6)
    assert shown["cost"] == row(sums["cost"], MONEY_UNITS, digits=6)
    assert shown["unused"] == row(sums["unused"], MONEY_UNITS, digits=6)


def test_gpu_hours_are_as_the_page_says():
    sums = afternoon("allocated")
    assert table()["GPU hours held"] == row(sums["held"], 3600 * SECOND_NS)
    assert table()["GPU hours busy"] == row(sums["busy"], 3600 * SECOND_NS)
