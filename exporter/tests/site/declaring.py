"""What tests declare of a site, as it would stand in the file, and clocks that stand still."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from gputally.cli.options import combine
from gputally.cli.siteagent import declared
from gputally.config.settings import SiteSettings
from gputally.model import Instant
from gputally.site.publisher import Publisher

BERLIN = ZoneInfo("Europe/Berlin")
FULL = """
site: {name: lab, timezone: Europe/Berlin, pue: 1.25}
tariff:
  currency: EUR
  valid_until: 2027-12-31
  versions:
    - price_per_kwh: 0.30
    - valid_from: 2026-04-01
      surcharges_per_kwh: {grid: 0.08}
      bands:
        - {name: day, days: [mon-fri], hours: ["06:00-22:00"], price_per_kwh: 0.22}
        - {name: night, price_per_kwh: 0.14}
carbon: {grams_per_kwh: 380.5}
alerts: {thresholds: {GpuIdleAllocated: 0.02, GpuCostPerDay: 500}}
owned_gpus:
  - {model: NVIDIA H100 80GB HBM3, capital: 30000, residual: 4000, life_years: 4, opex_per_year: 1200}
  - {model: 'Quote " and \\', capital: 1000, life_years: 1}
"""
MOMENTS = [datetime(2026, 7, 1, 12, tzinfo=UTC), datetime(2026, 10, 25, 0, 59, tzinfo=UTC)]
DYNAMIC = """
tariff: {currency: EUR, price_per_kwh: 0.5, prices: {file: prices.csv}}
carbon: {file: carbon.csv}
"""


@dataclass
class StoppedClock:
    """Time goes on when a test says so."""

    wall_ns: int = 0

    def __call__(self) -> Instant:
        return Instant(boot_ns=self.wall_ns + 1_000_000_000_000, wall_ns=self.wall_ns)

    def set(self, moment: datetime, early_ns: int = 0) -> None:
        self.wall_ns = int(moment.timestamp()) * 1_000_000_000 - early_ns


def settings(folder, text: str = FULL) -> SiteSettings:
    """What an agent with this file is told."""
    file = folder / "gputally.yml"
    file.write_text(text or "{}")
    return combine(file, {}, SiteSettings)


def publisher(told: SiteSettings, clock: StoppedClock, **more) -> Publisher:
    return Publisher(declared(told), clock, **more)


def assert_publishes(told: SiteSettings) -> None:
    """What is declared can be shown, in summer and in the hour before clocks go back."""
    clock = StoppedClock()
    clock.set(MOMENTS[0])
    one = publisher(told, clock)
    for moment in MOMENTS:
        clock.set(moment)
        one.publish()
        site = one.latest.site
        assert all(math.isfinite(price) for price in (*site.prices.values(), *site.price_now.values()))
        assert 1 <= site.pue_ratio <= 10


def series(*rows: tuple[datetime, datetime, str], column: str = "price_per_kwh") -> str:
    """A file of intervals."""
    lines = [f"{start.isoformat()},{end.isoformat()},{value}" for start, end, value in rows]
    return "\n".join([f"start,end,{column}", *lines, ""])


def put(path: Path, value: str, column: str = "price_per_kwh") -> None:
    """Values for today and tomorrow, in the place of the file that was there."""
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
    new = path.with_suffix(".new")
    new.write_text(series((start, start + timedelta(hours=48), value), column=column))
    new.replace(path)
