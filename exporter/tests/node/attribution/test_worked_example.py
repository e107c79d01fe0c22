"""The example of docs/attribution.md, computed tick by tick: the page shows what the program does."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

import gputally
from gputally.node.attribution.parties import POLICIES, Booking, Occupancy, Tenant
from gputally.node.attribution.split import split

PAGE = Path(gputally.__file__).parents[2] / "docs" / "attribution.md"
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


def row(sums: Counter[str], unit: float) -> list[str]:
    """A line of the page's table."""
    job, vision, nlp, nobody = (sums[party] / unit for party in (SLURM, VISION, NLP, "nobody"))
    return [
        f"{value:.5f}" for value in (job, vision, nlp, job + nlp, vision, nobody, sum(sums.values()) / unit)
    ]


def table() -> dict[str, list[str]]:
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {first.strip("`"): rest for first, *rest in cells if len(rest) == 7}


@pytest.mark.parametrize("policy", POLICIES)
def test_energy_of_each_policy_is_as_the_page_says(policy):
    assert table()[policy] == row(afternoon(policy)["energy"], 3.6e9)


def test_gpu_hours_are_as_the_page_says():
    sums = afternoon("allocated")
    assert table()["GPU hours held"] == row(sums["held"], 3600 * SECOND_NS)
    assert table()["GPU hours busy"] == row(sums["busy"], 3600 * SECOND_NS)
