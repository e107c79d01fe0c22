"""Tariffs as tables, and what they say minute by minute: no spans, no edges, no bands, only wall clocks."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from hypothesis import strategies as st

from gputally.tariff import Band, Tariff, Version
from gputally.tariff.declared import ALL_MONTHS, HOLIDAY

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ZONES = sorted(zone for zone in available_timezones() if "/" in zone)
DAY_GROUPS = (frozenset(range(5)), frozenset({5, 6}), frozenset({HOLIDAY}))


@dataclass(frozen=True)
class Table:
    """Prices by month, kind of day and slot of the day: what a version says, written out."""

    cuts: tuple[int, ...]  # minutes at which slots end
    winter: frozenset[int]  # months of the first row of prices
    names: tuple[str, ...]  # of season x group of days x slot
    valid_from: date | None = None

    def name(self, month: int, kind: int, minute: int) -> str:
        season = 0 if month in self.winter else 1
        group = next(at for at, kinds in enumerate(DAY_GROUPS) if kind in kinds)
        slot = sum(cut <= minute for cut in self.cuts)
        return self.names[(season * len(DAY_GROUPS) + group) * (len(self.cuts) + 1) + slot]

    def version(self) -> Version:
        """The same as bands."""
        edges = (0, *self.cuts, 24 * 60)
        bands = [
            Band(name, price_nano(name), kinds, ((edges[slot], edges[slot + 1]),), months)
            for months in (self.winter, ALL_MONTHS - self.winter)
            if months
            for kinds in DAY_GROUPS
            for slot in range(len(self.cuts) + 1)
            for name in (self.name(min(months), min(kinds), edges[slot]),)
        ]
        return Version(tuple(bands), self.valid_from)


@dataclass(frozen=True)
class Calendar:
    """A tariff and the tables that it was made of."""

    zone: str
    tables: tuple[Table, ...]
    holidays: frozenset[date] = frozenset()
    pue_e4: tuple[int, ...] = field(default=(10_000,) * 12)

    def tariff(self) -> Tariff:
        versions = tuple(table.version() for table in self.tables)
        return Tariff("EUR", versions, self.zone, self.holidays, self.pue_e4)

    def says(self, wall_ns: int) -> tuple[str, str, int, int]:
        """Day, band, price and PUE at an instant."""
        local = local_at(self.zone, wall_ns)
        table = self.tables[0]
        for later in self.tables[1:]:
            if later.valid_from <= local.date():
                table = later
        kind = HOLIDAY if local.date() in self.holidays else local.weekday()
        name = table.name(local.month, kind, local.hour * 60 + local.minute)
        return local.date().isoformat(), name, price_nano(name), self.pue_e4[local.month - 1]


def price_nano(name: str) -> int:
    """A price for every name."""
    return int(name.removeprefix("band")) * 10_000_001


def local_at(zone: str, wall_ns: int) -> datetime:
    return datetime.fromtimestamp(wall_ns // SECOND, ZoneInfo(zone))


def ns(moment: datetime) -> int:
    return int((moment - EPOCH) / timedelta(seconds=1)) * SECOND


@cache
def changes(zone: str, year: int) -> tuple[date, ...]:
    """Dates of a year on which the clocks of a zone are set, by UTC."""
    days = [datetime(year, 1, 1, tzinfo=UTC) + timedelta(days=at) for at in range(367)]
    offsets = [day.astimezone(ZoneInfo(zone)).utcoffset() for day in days]
    return tuple(
        day.date() for day, now, then in zip(days, offsets, offsets[1:], strict=False) if now != then
    )


@st.composite
def calendars(draw: st.DrawFn) -> tuple[Calendar, date]:
    """A tariff in any zone, and a day: often one around a change of clocks or of versions."""
    zone = draw(st.sampled_from(ZONES))
    year = draw(st.integers(2000, 2040))
    near = st.integers(-1, 1).map(timedelta)
    somewhen = st.dates(date(year, 1, 2), date(year, 12, 30))
    day = draw(st.one_of(somewhen, *[near.map(day.__add__) for day in changes(zone, year)]))
    holidays = frozenset(draw(st.sets(st.sampled_from([day, day + timedelta(days=1)]))))
    starts = sorted(draw(st.sets(near.map(day.__add__), max_size=2)))
    tables = tuple(draw(_tables(valid_from)) for valid_from in (None, *starts))
    pue_e4 = tuple(draw(st.lists(st.integers(10_000, 20_000), min_size=12, max_size=12)))
    return Calendar(zone, tables, holidays, pue_e4), day


def _tables(valid_from: date | None) -> st.SearchStrategy[Table]:
    cuts = st.lists(st.integers(1, 24 * 60 - 1), unique=True, max_size=4).map(sorted).map(tuple)
    winter = st.frozensets(st.integers(1, 12))
    return st.tuples(cuts, winter).flatmap(
        lambda both: st.lists(
            st.sampled_from([f"band{at}" for at in range(1, 6)]),
            min_size=6 * (len(both[0]) + 1),
            max_size=6 * (len(both[0]) + 1),
        ).map(lambda names: Table(*both, tuple(names), valid_from))
    )
