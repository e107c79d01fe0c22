"""What people write down about prices: bands, versions, holidays, PUE, carbon; and what makes it whole.

The bands of a version must give one price to every minute of every kind of day, and each must hold at some
time: `complaint` says where they do not.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import product

from gputally.tariff.rates import NANO, PUE_SCALE

HOLIDAY = 7  # a kind of day beside Monday (0) to Sunday (6)
DAY_NAMES = ("mon", "tue", "wed", "thu", "fri", "sat", "sun", "holiday")
MONTH_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
ALL_DAYS = frozenset(range(8))
ALL_MONTHS = frozenset(range(1, 13))
MINUTES = 24 * 60


@dataclass(frozen=True, slots=True)
class Band:
    """A price and when it holds, by the site's wall clocks. One without conditions is for the rest."""

    name: str
    price_nano: int  # surcharges included
    days: frozenset[int] = ALL_DAYS
    hours: tuple[tuple[int, int], ...] = ((0, MINUTES),)  # half-open, minutes since midnight
    months: frozenset[int] = ALL_MONTHS
    rest: bool = False

    @property
    def edges(self) -> frozenset[int]:
        """Minutes at which it may begin or end, midnight as 0."""
        return frozenset(minute % MINUTES for pair in self.hours for minute in pair)

    def holds(self, month: int, day: int, minute: int) -> bool:
        """Whether its conditions are met."""
        return month in self.months and day in self.days and any(a <= minute < b for a, b in self.hours)


@dataclass(frozen=True, slots=True)
class Series:
    """Values of a file, each from its start until the next start; the last one until `end_ns`. No gaps."""

    starts_ns: Sequence[int] = ()
    values: Sequence[int] = ()
    end_ns: int = 0

    def at(self, wall_ns: int) -> int | None:
        """The value that holds, or None outside of the file."""
        where = bisect_right(self.starts_ns, wall_ns) - 1
        return self.values[where] if where >= 0 and wall_ns < self.end_ns else None

    def edges(self, from_ns: int, until_ns: int) -> Iterator[int]:
        """Instants within the interval at which the value changes."""
        for where in range(bisect_right(self.starts_ns, from_ns), len(self.starts_ns)):
            if self.starts_ns[where] >= until_ns:
                break
            yield self.starts_ns[where]
        if from_ns < self.end_ns < until_ns:
            yield self.end_ns


@dataclass(frozen=True, slots=True)
class Version:
    """The bands that hold from a day on; with a series, its prices do, and the bands where it has none."""

    bands: tuple[Band, ...]
    valid_from: date | None = None  # None = since ever
    prices: Series | None = None  # 1e-9 currency per kWh, surcharges included
    prices_name: str = ""  # band name of the series' prices

    @property
    def names(self) -> tuple[str, ...]:
        """The names that its prices go by; a band may be there twice."""
        dynamic = (self.prices_name,) if self.prices is not None else ()
        return tuple(dict.fromkeys((*dynamic, *(band.name for band in self.bands))))

    def band(self, month: int, day: int, minute: int) -> Band:
        """The band in force. Raises LookupError where `complaint` would have said that there is none."""
        rest = None
        for band in self.bands:
            if band.rest:
                rest = band
            elif band.holds(month, day, minute):
                return band
        if rest is None:
            raise LookupError(f"no price for {_when(month, day, minute)}")
        return rest


@dataclass(frozen=True, slots=True)
class Carbon:
    """Carbon dioxide of a kWh."""

    milligrams: int = 475_000
    source: str = "default"  # default | declared | country
    series: Series | None = None  # milligrams; goes before the static value where it has one


@dataclass(frozen=True, slots=True)
class Tariff:
    """All that decides what a millijoule costs and emits, and which day it is."""

    currency: str
    versions: tuple[Version, ...]  # by valid_from; the first holds for the time before it, too
    timezone: str = "UTC"
    holidays: frozenset[date] = frozenset()
    pue_e4: tuple[int, ...] = (PUE_SCALE,) * 12  # by month
    carbon: Carbon = field(default_factory=Carbon)
    valid_until: date | None = None  # the last day of the declared prices
    source: str = "configured"  # or default


# 0.12 USD per kWh around the clock, for who has declared nothing. Everything that shows it says "default".
DEFAULT = Tariff("USD", (Version((Band("default", 12 * NANO // 100, rest=True),)),), source="default")


def complaint(version: Version, kinds_of_day: frozenset[int] = ALL_DAYS) -> str:
    """Where a version has two prices or none, or a band that never holds; "" where all is well."""
    rest = [band for band in version.bands if band.rest]
    if len(rest) > 1:
        return f"bands {rest[0].name} and {rest[1].name} are both for the rest of the time"
    named = [band for band in version.bands if not band.rest]
    idle = dict.fromkeys(version.bands)
    for month, day, minute in _moments(named, kinds_of_day):
        found = [band for band in named if band.holds(month, day, minute)] or rest
        if len(found) > 1:
            return f"bands {found[0].name} and {found[1].name} overlap on {_when(month, day, minute)}"
        if not found:
            return f"no band for {_when(month, day, minute)}"
        idle.pop(found[0], None)
    return _never_holds(next(iter(idle))) if idle else ""


def _moments(bands: Sequence[Band], kinds_of_day: frozenset[int]) -> Iterator[tuple[int, int, int]]:
    """Month, kind of day and minute of every moment at which something may change."""
    minutes = sorted({0}.union(*(band.edges for band in bands)))
    return product(sorted(ALL_MONTHS), sorted(kinds_of_day), minutes)


def _never_holds(band: Band) -> str:
    if band.rest:
        return f"band {band.name} never holds: the others leave no time for it"
    if band.days == {HOLIDAY}:
        return f"band {band.name} never holds: it is for holidays, and none are listed"
    return f"band {band.name} never holds"


def _when(month: int, day: int, minute: int) -> str:
    return f"{DAY_NAMES[day]} {minute // 60:02}:{minute % 60:02} in {MONTH_NAMES[month - 1]}"
