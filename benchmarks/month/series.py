"""The fleet's truth as the series that agents and recording rules would have left in Prometheus."""

import zlib
from array import array
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import accumulate

from month.data import PRICES, SLOT_MS, SLOTS_A_DAY, Floats
from month.loads import MEASURES, SLOT_S, Load, Names, Owners, knows, times
from month.names import ABSENT, PARTS, SCRAPE_MS, Recipe, recipe
from month.tsdb import Line

HOUR_SLOTS = 12
TILE_SLOT = 5  # the hourly rules run at 25 past
LATE_SLOTS = 2  # for how long a rule over ten minutes still sees a series that has ended
CODES = {"completed": 2.0, "cancelled": 4.0, "timeout": 5.0, "failed": 6.0}
ENDS = ("completed", "completed", "completed", "failed", "cancelled", "timeout")


class Series:
    """Everything that Prometheus could be asked about one fleet."""

    def __init__(self, owners: Owners, steps_ms: Mapping[str, int], since: Mapping[str, int]) -> None:
        """steps_ms: how often a rule is evaluated; since: the slot in which the history of a name begins."""
        self.owners, self.fleet, self._steps_ms, self._since = owners, owners.fleet, steps_ms, since
        self.unknown: set[str] = set()

    def lines(self, names: Iterable[str]) -> Iterator[tuple[str, Line]]:
        """Series of these names. A name of which nothing is known is put into `unknown`."""
        wanted: dict[tuple[str, int], list[Recipe]] = {}
        for name in sorted(set(names) - ABSENT):
            how = recipe(name, self._steps_ms.get(name, SCRAPE_MS))
            if how is None or not knows(how.level):
                self.unknown.add(name)
            else:
                wanted.setdefault((how.level, self._since[name]), []).append(how)
        for (level, since), recipes in wanted.items():
            for owner, load in self.owners.at(level, since):
                for how in recipes:
                    for line in getattr(self, how.form)(how, owner, load):
                        yield how.name, line

    def _line(self, how: Recipe, names: Names, begin: int, slots: Floats, parts: float = 0) -> Line:
        """A line from slot `begin` on; what is scraped has the place of its target within the 15 s."""
        offset_ms = 0 if ":" in how.name else zlib.crc32(names.get("instance", "").encode()) % SCRAPE_MS
        begin_ms = self.fleet.begin_ms + begin * SLOT_MS
        labels = tuple(sorted({"__name__": how.name, **names}.items()))
        return Line(labels, begin_ms, SLOT_MS, slots, how.step_ms, offset_ms, parts, how.noise)

    def counter(self, how: Recipe, names: Names, load: Load) -> Iterator[Line]:
        """What grows by each slot's amount."""
        for more, slots in MEASURES[how.measure](self.fleet, load):
            yield self._line(how, names | more, load.begin, slots, PARTS.get(how.measure, 1e3))

    def gauge(self, how: Recipe, names: Names, load: Load) -> Iterator[Line]:
        """What is about each slot's amount."""
        for more, slots in MEASURES[how.measure](self.fleet, load):
            yield self._line(how, names | more, load.begin, times(slots, how.unit))

    def tiles(self, how: Recipe, names: Names, load: Load) -> Iterator[Line]:
        """Sums of an hour, once an hour."""
        hour_ms = HOUR_SLOTS * SLOT_MS
        begin_ms = self.fleet.begin_ms + (load.begin + TILE_SLOT) * SLOT_MS
        for more, slots in MEASURES[how.measure](self.fleet, load):
            hours = range(TILE_SLOT, len(slots) - HOUR_SLOTS + 1, HOUR_SLOTS)
            sums = array("d", [how.unit * sum(slots[n : n + HOUR_SLOTS]) for n in hours])
            labels = tuple(sorted({"__name__": how.name, **names, **more}.items()))
            yield Line(labels, begin_ms + hour_ms, hour_ms, sums, hour_ms)

    def final(self, how: Recipe, names: Names, load: Load) -> Iterator[Line]:
        """Of a job, what it has come to so far, and for a while after it what it came to."""
        for more, slots in MEASURES[how.measure](self.fleet, load):
            grown = array("d", accumulate(times(slots, how.unit)))
            late = min(LATE_SLOTS, self.fleet.slots - load.begin - len(grown))
            yield self._line(how, names | more, load.begin, grown + grown[-1:] * late)

    def fact(self, how: Recipe, names: Names, load: Load) -> Iterator[Line]:
        """Of a job, its name, its times or its state."""
        ran = sum(map(bool, load.seconds))
        late = LATE_SLOTS if ":" in how.name else 0
        length = min(len(load.seconds) + late, self.fleet.slots - load.begin)
        begin_s = self.fleet.begin_ms / 1000 + load.begin * SLOT_S
        ended = {"state": ENDS[zlib.crc32(names["job_id"].encode()) % len(ENDS)]}
        always: Names = {}
        parts: dict[str, list[tuple[Names, int, list[float]]]] = {
            "info": [(always, 0, [1.0] * length)],
            "seen": [(always, 0, [begin_s + n * SLOT_S for n in range(length)])],
            "start": [(always, 0, [begin_s] * length)],
            "gpus": [(always, 0, [max(load.seconds) / SLOT_S] * length)],
            "used": [(always, 0, [sum(load.busy) / sum(load.seconds)] * length)],
            "code": [(always, 0, [1.0] * ran + [CODES[ended["state"]]] * (length - ran))],
            "end": [(always, ran, [begin_s + ran * SLOT_S] * (length - ran))],
            "state": [
                ({"state": "running"}, 0, [1.0] * min(ran + late, length)),
                (ended, ran, [1.0] * (length - ran)),
            ],
        }
        for more, first, values in parts[how.measure]:
            if values:
                yield self._line(how, names | more, load.begin + first, array("d", values))

    def today(self, how: Recipe, names: Names, load: Load) -> Iterator[Line]:
        """What grows from midnight to midnight."""
        for more, slots in MEASURES[how.measure](self.fleet, load):
            grown: Floats = array("d")
            for first, last in self._days_from(load.begin):
                day = slots[first - load.begin : last - load.begin]
                grown.extend(accumulate(times(day, how.unit)))
            yield self._line(how, names | more, load.begin, grown)

    def days(self, how: Recipe, names: Names, load: Load) -> Iterator[Line]:
        """The same with the date as a label, kept for a day more."""
        for more, slots in MEASURES[how.measure](self.fleet, load):
            for first, last in self._days_from(load.begin):
                day = slots[first - load.begin : last - load.begin]
                grown = array("d", accumulate(times(day, how.unit)))
                kept = grown[-1:] * min(SLOTS_A_DAY, self.fleet.slots - last)
                yield self._line(how, names | more | self._date(first), first, grown + kept)

    def dates(self, how: Recipe, names: Names, load: Load) -> Iterator[Line]:
        """1 on its day."""
        for first, last in self._days_from(load.begin):
            yield self._line(how, names | self._date(first), first, array("d", [1.0]) * (last - first))

    def _days_from(self, first: int) -> Iterator[tuple[int, int]]:
        """First slot and end of each calendar day, from a slot on."""
        while first < self.fleet.slots:
            gone = (self.fleet.begin_ms // SLOT_MS + first) % SLOTS_A_DAY
            last = min(self.fleet.slots, first + SLOTS_A_DAY - gone)
            yield first, last
            first = last

    def _date(self, slot: int) -> Names:
        moment = datetime.fromtimestamp((self.fleet.begin_ms + slot * SLOT_MS) / 1000, UTC)
        return {"day": moment.date().isoformat()}

    def constant(self, how: Recipe, names: Names, load: Load) -> Iterator[Line]:
        """What does not change."""
        for more in how.rows:
            is_price = how.name == "site_electricity_price_per_kwh"
            value = PRICES[more["tariff"]] if is_price else how.unit
            yield self._line(how, {**names, **more}, load.begin, array("d", [value]) * len(load.joules))
