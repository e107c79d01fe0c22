"""Rates in which bills are written, and shares of a tick that somebody is charged for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gputally.node.attribution.parties import Share
from gputally.tariff import Rate
from tests.node.attribution.bookrig import SECOND

if TYPE_CHECKING:
    from gputally.model import Spent

NIGHT = Rate("night", "EUR", 90_000_000, 12_500, 380_000)
DAY = Rate("day", "EUR", 220_000_001, 12_500, 380_001)
DOLLARS = Rate("day", "USD", 120_000_000, 10_000, 475_000)
NEGATIVE = Rate("dynamic", "EUR", -50_000_000, 12_500, 380_000)
RATES = (NIGHT, DAY, DOLLARS, NEGATIVE)


def share(
    job_id: str | None, active_mj: int, idle_mj: int = 0, busy: float = 1.0, held_s: float = 1.0
) -> Share:
    held_ns = round(held_s * SECOND)
    reason = "" if job_id else "idle"
    return Share(job_id, reason, active_mj, idle_mj, held_ns, round(busy * held_ns))


def all_zero(spent: Spent) -> bool:
    mappings = (spent.cost, spent.energy_by_tariff_joules, spent.unused_cost)
    return not any((spent.emissions_grams, spent.unused_joules, *(v for m in mappings for v in m.values())))
