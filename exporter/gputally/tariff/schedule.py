"""Which price, PUE, carbon intensity and day hold when: a tariff laid out on the line of real time.

Days and hours are the site's wall clocks', resolved by `zoneinfo`; a day has 23, 24 or 25 hours. A span never
crosses a midnight, a change of price, or a change of the clocks.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from gputally.tariff.declared import HOLIDAY, MINUTES, Band, Tariff, Version
from gputally.tariff.rates import Rate

_SECOND_NS = 1_000_000_000
_DAYS_KEPT = 4
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of time in which one rate holds. Half-open, nanoseconds of Unix time."""

    from_ns: int
    until_ns: int
    day: str  # of the site's calendar, "2026-10-25"
    rate: Rate


class Schedule:
    """Looks up spans of one tariff. It remembers the days that it was asked for last, and nothing else."""

    def __init__(self, tariff: Tariff) -> None:
        """Raises zoneinfo.ZoneInfoNotFoundError for a zone that nobody knows."""
        self.tariff = tariff
        self.zone = ZoneInfo(tariff.timezone)
        self._days: dict[date, tuple[Span, ...]] = {}
        self._last: Span | None = None
        self._starts = [
            (self.day_start_ns(version.valid_from) if version.valid_from is not None else 0, version)
            for version in tariff.versions
        ]

    def at(self, wall_ns: int) -> Span:
        """The span around an instant."""
        last = self._last
        if last is None or not last.from_ns <= wall_ns < last.until_ns:
            last = self._last = next(s for s in self._spans(self.day_of(wall_ns)) if wall_ns < s.until_ns)
        return last

    def over(self, from_ns: int, until_ns: int) -> Iterator[tuple[Span, int]]:
        """The spans of an interval with the nanoseconds of each that are in it; of an instant, just its span."""
        at_ns = from_ns
        while True:
            span = self.at(at_ns)
            end_ns = min(span.until_ns, until_ns)
            yield span, max(0, end_ns - at_ns)
            if end_ns >= until_ns:
                return
            at_ns = end_ns

    def day_of(self, wall_ns: int) -> date:
        """The date on the site's calendars."""
        return self._local(wall_ns).date()

    def day_start_ns(self, day: date) -> int:
        """The first instant of a local day; where clocks go forward at midnight, that is 01:00."""
        return _unix_ns(datetime(day.year, day.month, day.day, tzinfo=self.zone))

    def version_at(self, wall_ns: int) -> Version:
        """The version in force; before the first one, that is the first one."""
        found = self._starts[0][1]
        for start_ns, version in self._starts[1:]:
            if start_ns <= wall_ns:
                found = version
        return found

    def end_ns(self) -> int | None:
        """When the declared prices end; None where they do not."""
        if self.tariff.valid_until is not None:
            return self.day_start_ns(self.tariff.valid_until + timedelta(days=1))
        last = self.tariff.versions[-1]
        return last.prices.end_ns if last.prices is not None else None

    def _local(self, wall_ns: int) -> datetime:
        return (_EPOCH + timedelta(seconds=wall_ns // _SECOND_NS)).astimezone(self.zone)

    def _spans(self, day: date) -> tuple[Span, ...]:
        spans = self._days.get(day)
        if spans is None:
            while len(self._days) >= _DAYS_KEPT:
                del self._days[next(iter(self._days))]
            spans = self._days[day] = tuple(self._lay_out(day))
        return spans

    def _lay_out(self, day: date) -> Iterator[Span]:
        start_ns, end_ns = self.day_start_ns(day), self.day_start_ns(day + timedelta(days=1))
        cuts = {start_ns, end_ns, *self._changes_of_clocks(start_ns, end_ns), *self._edges(day)}
        for begin_ns, version in self._starts:
            cuts.add(begin_ns)
            if version.prices is not None:
                cuts.update(version.prices.edges(start_ns, end_ns))
        if self.tariff.carbon.series is not None:
            cuts.update(self.tariff.carbon.series.edges(start_ns, end_ns))
        within = sorted(cut for cut in cuts if start_ns <= cut <= end_ns)
        for from_ns, until_ns in zip(within, within[1:], strict=False):
            yield Span(from_ns, until_ns, day.isoformat(), self._rate(from_ns))

    def _edges(self, day: date) -> Iterator[int]:
        """Both instants of every edge of a band that the clocks pass twice. One too many cuts does no harm."""
        minutes = {m for v in self.tariff.versions for band in v.bands for pair in band.hours for m in pair}
        for minute in minutes - {0, MINUTES}:
            for fold in (0, 1):
                yield _unix_ns(
                    datetime(
                        day.year, day.month, day.day, minute // 60, minute % 60, tzinfo=self.zone, fold=fold
                    )
                )

    def _changes_of_clocks(self, start_ns: int, end_ns: int) -> Iterator[int]:
        """The instant within a day at which the clocks are set, to the second. No zone has two in a day."""
        low, high = start_ns // _SECOND_NS, end_ns // _SECOND_NS
        before = self._local(start_ns).utcoffset()
        if self._local(end_ns).utcoffset() == before:
            return
        while high - low > 1:
            middle = (low + high) // 2
            if self._local(middle * _SECOND_NS).utcoffset() == before:
                low = middle
            else:
                high = middle
        yield high * _SECOND_NS

    def _rate(self, wall_ns: int) -> Rate:
        tariff, version, local = self.tariff, self.version_at(wall_ns), self._local(wall_ns)
        carbon = tariff.carbon.series.at(wall_ns) if tariff.carbon.series is not None else None
        name, price_nano = self._price(version, local, wall_ns)
        return Rate(
            tariff=name,
            currency=tariff.currency,
            price_nano=price_nano,
            pue_e4=tariff.pue_e4[local.month - 1],
            carbon_mg=tariff.carbon.milligrams if carbon is None else carbon,
        )

    def _price(self, version: Version, local: datetime, wall_ns: int) -> tuple[str, int]:
        dynamic = version.prices.at(wall_ns) if version.prices is not None else None
        if dynamic is not None:
            return version.prices_name, dynamic
        band = self._band(version, local)
        return band.name, band.price_nano

    def _band(self, version: Version, local: datetime) -> Band:
        day = HOLIDAY if local.date() in self.tariff.holidays else local.weekday()
        return version.band(local.month, day, local.hour * 60 + local.minute)


def _unix_ns(moment: datetime) -> int:
    return int((moment.astimezone(UTC) - _EPOCH).total_seconds()) * _SECOND_NS
