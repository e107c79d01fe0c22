"""Which price, PUE, carbon intensity and day hold when: a tariff laid out on the line of real time.

Days and hours are those of the site's wall clocks, resolved by `zoneinfo`. Time is laid out in blocks of 24
real hours, each cut where the clocks are set: in between, local time runs evenly, so that midnights and hours
are found by adding. Nothing is assumed about days: they have 23, 24 or 25 hours, begin at 01:00, or never do.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from gputally.model.clock import NS_PER_HOUR, NS_PER_SECOND
from gputally.tariff.declared import HOLIDAY, MINUTES, Tariff, Version
from gputally.tariff.rates import Rate

_MINUTE_NS = 60 * NS_PER_SECOND
_BLOCK_NS = 24 * NS_PER_HOUR
_BLOCKS_KEPT = 4
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of time in which nothing changes. Half-open, nanoseconds of Unix time.

    It ends wherever something may change: what follows is often the same.
    """

    from_ns: int
    until_ns: int
    day: str  # of the site's calendar, "2026-10-25"
    rate: Rate


class Schedule:
    """Looks up spans of one tariff. It remembers the blocks that it was asked for last, and nothing else."""

    def __init__(self, tariff: Tariff) -> None:
        """Raises zoneinfo.ZoneInfoNotFoundError for a zone that nobody knows."""
        self.tariff = tariff
        self.zone = ZoneInfo(tariff.timezone)
        self.names = tuple(dict.fromkeys(name for version in tariff.versions for name in version.names))
        self._blocks: dict[int, tuple[Span, ...]] = {}
        self._last: Span | None = None
        self._starts = [
            (self.day_start_ns(version.valid_from) if version.valid_from is not None else 0, version)
            for version in tariff.versions
        ]
        hours = {m for version in tariff.versions for band in version.bands for m in band.edges}
        self._minutes = sorted({0, *hours} - {MINUTES})

    def at(self, wall_ns: int) -> Span:
        """The span around an instant."""
        last = self._last
        if last is None or not last.from_ns <= wall_ns < last.until_ns:
            spans = self._block(wall_ns // _BLOCK_NS)
            last = self._last = next(span for span in spans if wall_ns < span.until_ns)
        return last

    def over(self, from_ns: int, until_ns: int) -> Iterator[tuple[Span, int]]:
        """The spans of an interval with the nanoseconds of each that are in it; of an instant, its span."""
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
        """The first instant of a local day, or of what follows if there is no such day.

        Where the clocks leave midnight out it is the moment at which they are set.
        """
        midnight = datetime(day.year, day.month, day.day, tzinfo=self.zone)
        before_ns, after_ns = _unix_ns(midnight), _unix_ns(midnight.replace(fold=1))
        if before_ns <= after_ns:
            return before_ns
        return next(self._changes_of_clocks(after_ns, before_ns))  # left out: the offsets surround the change

    def version_at(self, wall_ns: int) -> Version:
        """The version in force; before the first one, that is the first one."""
        found = self._starts[0][1]
        for start_ns, version in self._starts[1:]:
            if start_ns <= wall_ns:
                found = version
        return found

    def end_ns(self) -> int | None:
        """When the declared prices end, by their date or with their file; None where they do not."""
        last = self.tariff.versions[-1]
        ends = [last.prices.end_ns] if last.prices is not None else []
        if self.tariff.valid_until is not None:
            ends.append(self.day_start_ns(self.tariff.valid_until + timedelta(days=1)))
        return min(ends, default=None)

    def _local(self, wall_ns: int) -> datetime:
        return (_EPOCH + timedelta(seconds=wall_ns // NS_PER_SECOND)).astimezone(self.zone)

    def _offset(self, wall_ns: int) -> timedelta | None:
        return self._local(wall_ns).utcoffset()

    def _block(self, number: int) -> tuple[Span, ...]:
        spans = self._blocks.get(number)
        if spans is None:
            while len(self._blocks) >= _BLOCKS_KEPT:
                del self._blocks[next(iter(self._blocks))]
            spans = self._lay_out(number * _BLOCK_NS, (number + 1) * _BLOCK_NS)
            self._blocks[number] = spans
        return spans

    def _lay_out(self, from_ns: int, until_ns: int) -> tuple[Span, ...]:
        steady = [from_ns, *self._changes_of_clocks(from_ns, until_ns), until_ns]
        cuts = {*steady, *self._changes_of_prices(from_ns, until_ns)}
        for begin_ns, end_ns in pairwise(steady):
            cuts.update(self._edges(begin_ns, end_ns))
        return tuple(
            Span(begin_ns, end_ns, self.day_of(begin_ns).isoformat(), self._rate(begin_ns))
            for begin_ns, end_ns in pairwise(sorted(cuts))
        )

    def _changes_of_clocks(self, from_ns: int, until_ns: int) -> Iterator[int]:
        """Instants within the interval at which the clocks are set; no zone sets them twice in an hour."""
        for low_ns in range(from_ns, until_ns, NS_PER_HOUR):
            low, high = low_ns // NS_PER_SECOND, min(low_ns + NS_PER_HOUR, until_ns) // NS_PER_SECOND
            before = self._offset(low_ns)
            if self._offset(high * NS_PER_SECOND) == before:
                continue
            while high - low > 1:
                middle = (low + high) // 2
                if self._offset(middle * NS_PER_SECOND) == before:
                    low = middle
                else:
                    high = middle
            yield high * NS_PER_SECOND

    def _changes_of_prices(self, from_ns: int, until_ns: int) -> Iterator[int]:
        """Instants within the interval at which a file has another value; versions begin at midnight."""
        for version in self.tariff.versions:
            if version.prices is not None:
                yield from version.prices.edges(from_ns, until_ns)
        if self.tariff.carbon.series is not None:
            yield from self.tariff.carbon.series.edges(from_ns, until_ns)

    def _edges(self, from_ns: int, until_ns: int) -> Iterator[int]:
        """Midnights, and where bands begin and end, in at most 24 hours in which no clock is set."""
        local = self._local(from_ns)
        passed_s = (local.hour * 60 + local.minute) * 60 + local.second
        for midnight_ns in (
            from_ns - passed_s * NS_PER_SECOND,
            from_ns - passed_s * NS_PER_SECOND + _BLOCK_NS,
        ):
            for minute in self._minutes:
                edge_ns = midnight_ns + minute * _MINUTE_NS
                if from_ns < edge_ns < until_ns:
                    yield edge_ns

    def _rate(self, wall_ns: int) -> Rate:
        tariff, version, local = self.tariff, self.version_at(wall_ns), self._local(wall_ns)
        carbon_mg = tariff.carbon.series.at(wall_ns) if tariff.carbon.series is not None else None
        name, price_nano = self._price(version, local, wall_ns)
        return Rate(
            tariff=name,
            currency=tariff.currency,
            price_nano=price_nano,
            pue_e4=tariff.pue_e4[local.month - 1],
            carbon_mg=tariff.carbon.milligrams if carbon_mg is None else carbon_mg,
        )

    def _price(self, version: Version, local: datetime, wall_ns: int) -> tuple[str, int]:
        dynamic = version.prices.at(wall_ns) if version.prices is not None else None
        if dynamic is not None:
            return version.prices_name, dynamic
        day = HOLIDAY if local.date() in self.tariff.holidays else local.weekday()
        band = version.band(local.month, day, local.hour * 60 + local.minute)
        return band.name, band.price_nano


def _unix_ns(moment: datetime) -> int:
    return (moment.astimezone(UTC) - _EPOCH) // timedelta(seconds=1) * NS_PER_SECOND
