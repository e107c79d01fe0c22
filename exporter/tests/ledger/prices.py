"""A tariff as people write it down, and what it says when it is read off a clock on the wall.

Only `written` goes into the agent; what a kWh costs at an instant is said here a second time, by other means.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from zoneinfo import ZoneInfo

SECOND_NS = 1_000_000_000
MJ_PER_KWH = 3.6e9
ZONE = "Europe/Berlin"
PUE = 1.25
GRAMS_PER_KWH = 380
CURRENCY = "EUR"
BANDS = ("night", "peak", "day")

IDLE_W = 70  # of every board when nobody is on it

# Prometheus is away for 10 minutes: what jobs end with is shown for longer.
_WRITTEN = """
node: {{jobs: {{keep: 20m, idle_watts: {{"*": {idle}}}}}}}
site: {{name: lab, timezone: {zone}, pue: {pue}}}
tariff:
  currency: {currency}
  bands:
    - {{name: night, hours: ["22:00-06:00"], price_per_kwh: {night}}}
    - {{name: peak, hours: ["16:00-21:00"], price_per_kwh: {peak}}}
    - {{name: day, price_per_kwh: {day}}}
carbon: {{grams_per_kwh: {grams}}}
"""


@dataclass(frozen=True)
class Prices:
    """What a kWh costs in each band."""

    night: float
    day: float
    peak: float

    @property
    def written(self) -> str:
        """The blocks of the configuration file."""
        bands = {"night": self.night, "day": self.day, "peak": self.peak}
        return _WRITTEN.format(
            zone=ZONE, pue=PUE, currency=CURRENCY, grams=GRAMS_PER_KWH, idle=IDLE_W, **bands
        )

    def of(self, band: str) -> float:
        """Of one band."""
        return float(getattr(self, band))


FIRST = Prices(0.09, 0.22, 0.36)
REVISED = Prices(0.10, 0.25, 0.33)  # from noon on


def midnight_ns(year: int, month: int, day: int) -> int:
    """Unix time of the beginning of a day."""
    return int(datetime(year, month, day, tzinfo=ZoneInfo(ZONE)).timestamp()) * SECOND_NS


@cache
def on_the_wall(second: int) -> tuple[str, str]:
    """Date and band at a Unix time."""
    local = datetime.fromtimestamp(second, ZoneInfo(ZONE))
    band = "night" if local.hour >= 22 or local.hour < 6 else "peak" if 16 <= local.hour < 21 else "day"
    return local.date().isoformat(), band


@dataclass(frozen=True)
class Bookkeeper:
    """Prices energy; the second prices hold from an instant on."""

    revised_ns: int  # Unix time

    def prices(self, wall_ns: int) -> Prices:
        """Those that hold."""
        return REVISED if wall_ns >= self.revised_ns else FIRST

    def price(self, wall_ns: int) -> float:
        """Of a kWh from the grid, PUE not included."""
        _, band = on_the_wall(wall_ns // SECOND_NS)
        return self.prices(wall_ns).of(band)
