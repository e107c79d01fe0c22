"""The world as Prometheus has scraped it: OpenMetrics with the time of every sample, for promtool."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta

from tests.report.truth import CARDS, CURRENCY, DEAD, DIED_H, JOBS, PRICES, SPAN, Card, JobTruth, World

SCRAPE = 15
SELDOM = 4  # of so many scrapes one, of what stays the same
OFFSETS = {"n1:9836": 3, "n2:9836": 9}
LATE = 0.2  # samples are this much younger than what they show, so that none is on the edge of a range
SITE = "site:9837"
KEPT = 300  # a job's series stay after its end
CURRENT = {"currency": CURRENCY}
PARTS: tuple[
    tuple[str, str, Mapping[str, str]], ...
] = (  # behind gpu_team_ and gpu_job_, quantity, more labels
    ("cost_total", "cost", CURRENT),
    ("gpu_seconds_total", "held", {}),
    ("busy_seconds_total", "busy", {}),
    ("unused_energy_joules_total", "unused_energy", {}),
    ("unused_cost_total", "unused_cost", CURRENT),
    *(("energy_by_tariff_joules_total", band, {"tariff": band}) for band in PRICES),
)
TEAM_PARTS = (("energy_joules_total", "energy", {}), *PARTS)


def lines(world: World) -> Iterator[str]:
    """All samples, series by series."""
    for instance in OFFSETS:
        yield from Node(world, instance).lines()
    yield from _site(world)
    yield "# EOF"


def series(
    name: str, labels: Mapping[str, str], times: Iterable[float], values: Iterable[float]
) -> Iterator[str]:
    """One series."""
    text = ",".join(f'{label}="{content}"' for label, content in labels.items())
    head = f'{name}{{{text},job="gputally"}}'
    return (f"{head} {value:.12g} {at:.3f}" for at, value in zip(times, values, strict=False))


def ones(name: str, labels: Mapping[str, str], times: Sequence[float]) -> Iterator[str]:
    """A series that is always 1."""
    return series(name, labels, times[::SELDOM] if len(times) > SELDOM else times, [1.0] * len(times))


class Node:
    """What one agent has shown. Scrapes are numbered."""

    def __init__(self, world: World, instance: str) -> None:
        self.world, self.instance, self.offset = world, instance, OFFSETS[instance]
        until = world.before_end(DIED_H) if instance == DEAD else world.end
        self.seconds = range(self.offset, until - world.start, SCRAPE)
        self.times = [world.start + second + LATE for second in self.seconds]
        self.cards = {uuid: card for uuid, card in CARDS.items() if card.instance == instance}

    def lines(self) -> Iterator[str]:
        labels = {"instance": self.instance}
        yield from ones("gputally_build_info", labels | {"version": "0"}, self.times)
        tariff = {"currency": CURRENCY, "timezone": str(self.world.zone), "source": "configured"}
        yield from ones("gputally_tariff_info", labels | tariff, self.times)
        for card in self.cards.values():
            yield from self._card(card)
        yield from self._teams()
        for job in JOBS:
            if set(job.cards) & set(self.cards):
                yield from self._job(job)

    def total(self, uuid: str, quantity: str) -> list[float]:
        """Of a card since the beginning of the world, by scrape."""
        return list(self.world.cards[uuid].at_second(quantity)[self.offset : self.seconds.stop : SCRAPE])

    def of(self, job: JobTruth, quantity: str, uuids: Iterable[str]) -> list[float]:
        """Of a job on some cards, by scrape."""
        parts = [[0.0] * len(self.times)]
        for uuid in set(uuids) & set(job.cards):
            begin, stop = (self.world.before_end(h) - self.world.start for h in (job.from_h, job.until(uuid)))
            if quantity == "held":
                parts.append([float(min(max(second, begin), stop) - begin) for second in self.seconds])
            else:
                low, high = (self.world.cards[uuid].at_second(quantity)[at] for at in (begin, stop))
                parts.append([min(max(value, low), high) - low for value in self.total(uuid, quantity)])
        return [sum(values) for values in zip(*parts, strict=True)]

    def _card(self, card: Card) -> Iterator[str]:
        labels = {"instance": card.instance, "gpu": card.gpu, "uuid": card.uuid}
        yield from ones("gpu_info", labels | {"name": card.name}, self.times)
        yield from ones("gpu_up", labels, self.times)
        for name, quantity, more in (
            ("gpu_energy_joules_total", "energy", {}),
            ("gpu_busy_seconds_total", "busy", {}),
            ("gpu_energy_cost_total", "cost", CURRENT),
            *(("gpu_energy_by_tariff_joules_total", band, {"tariff": band}) for band in PRICES),
        ):
            values = [value + 1e4 for value in self.total(card.uuid, quantity)]
            yield from series(name, labels | more, self.times, values)
        jobs = [job for job in JOBS if card.uuid in job.cards]
        for name, quantity, more in (
            ("gpu_unattributed_energy_joules_total", "energy", {"reason": "idle"}),
            ("gpu_unattributed_cost_total", "cost", {"reason": "idle", **CURRENT}),
            ("gpu_unattributed_gpu_seconds_total", "held", {}),
        ):
            everybody = [self.of(job, quantity, [card.uuid]) for job in jobs]
            whole = (
                [float(s) for s in self.seconds] if quantity == "held" else self.total(card.uuid, quantity)
            )
            values = [value - sum(parts) for value, *parts in zip(whole, *everybody, strict=True)]
            yield from series(name, labels | more, self.times, values)
            if more:
                yield from series(name, labels | more | {"reason": "gap"}, self.times, [0.0] * len(values))
        yield from self._days(card, labels)

    def _days(self, card: Card, labels: Mapping[str, str]) -> Iterator[str]:
        """Today and yesterday, as long as they are that."""
        world = self.world
        for day in world.days:
            begin, end, gone = (world.midnight(day + timedelta(days=n)) for n in (0, 1, 2))
            for name, quantity, more in (
                ("gpu_energy_day_joules", "energy", {}),
                ("gpu_cost_day", "cost", CURRENT),
            ):
                low, high = (world.cards[card.uuid].total(quantity, at) for at in (begin, end))
                shown = [
                    (at, min(value, high) - low)
                    for at, value in zip(self.times, self.total(card.uuid, quantity), strict=True)
                    if begin <= at < gone
                ]
                named = dict(labels) | more | {"day": day.isoformat()}
                yield from series(name, named, (at for at, _ in shown), (value for _, value in shown))

    def _teams(self) -> Iterator[str]:
        mine = [job for job in JOBS if set(job.cards) & set(self.cards)]
        for names in dict.fromkeys((job.team, job.user, job.model) for job in mine):
            jobs = [job for job in mine if (job.team, job.user, job.model) == names]
            labels = {"instance": self.instance} | dict(zip(("team", "user", "model"), names, strict=True))
            first = min(self.world.before_end(job.from_h) for job in jobs) - 60  # announced with zero
            skip = sum(at < first for at in self.times)
            for name, quantity, more in TEAM_PARTS:
                parts = [self.of(job, quantity, self.cards) for job in jobs]
                values = [sum(some) for some in zip(*parts, strict=True)]
                yield from series(f"gpu_team_{name}", labels | more, self.times[skip:], values[skip:])

    def _job(self, job: JobTruth) -> Iterator[str]:
        mine = set(job.cards) & set(self.cards)
        begin, stop = self.world.before_end(job.from_h), self.world.before_end(max(map(job.until, mine)))
        low, end, high = (sum(at < edge for at in self.times) for edge in (begin, stop, stop + KEPT))
        shown = self.times[low:high]
        labels = {"instance": self.instance, "job_id": job.job_id}
        names = {"user": job.user, "team": job.team, "scheduler": "slurm"}
        later = names | {"job_name": job.name, "model": job.model}
        yield from ones("gpu_job_info", labels | names | {"job_name": "", "model": ""}, shown[:2])
        yield from ones("gpu_job_info", labels | later, shown[2:])  # the name came later than the job
        yield from ones("gpu_job_state", labels | {"state": "running"}, self.times[low:end])
        yield from ones("gpu_job_state", labels | {"state": job.state}, self.times[end:high])
        yield from series("gpu_job_start_time_seconds", labels, shown, [begin] * len(shown))
        yield from series("gpu_job_end_time_seconds", labels, self.times[end:high], [stop] * len(shown))
        for uuid in mine:
            where = labels | {"gpu": CARDS[uuid].gpu, "uuid": uuid}
            for component, part in (("active", 0.75), ("idle", 0.25)):
                values = [value * part for value in self.of(job, "energy", [uuid])[low:high]]
                yield from series(
                    "gpu_job_energy_joules_total", where | {"component": component}, shown, values
                )
        for name, quantity, more in PARTS:
            values = self.of(job, quantity, self.cards)[low:high]
            yield from series(f"gpu_job_{name}", labels | more, shown, values)


def _site(world: World) -> Iterator[str]:
    times = [world.start + second + 5.5 for second in range(0, SPAN - 6, SCRAPE)]
    labels = {"instance": SITE, "site": "lab", "timezone": str(world.zone), "tariff": "configured", **CURRENT}
    yield from ones("site_info", labels, times)
    for day in world.days:
        begin, end = (world.midnight(day + timedelta(days=n)) for n in (0, 1))
        shown = [at for at in times if begin <= at < end]
        yield from ones("site_day_info", {"instance": SITE, "day": day.isoformat()}, shown)
