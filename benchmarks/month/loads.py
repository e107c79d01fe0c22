"""Who draws what: a fleet's joules and seconds by GPU, machine, cluster, user or job, and what they cost."""

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from operator import add, mul

from month.data import (
    CLUSTERS,
    CURRENCY,
    GPUS_A_NODE,
    GRAMS_PER_KWH,
    IDLE_WATTS,
    JOULES_PER_KWH,
    PRICES,
    PUE,
    SLOT_MS,
    Fleet,
    Floats,
    Job,
)

Names = dict[str, str]  # labels
SLOT_S = SLOT_MS / 1000
GRAMS_PER_JOULE = GRAMS_PER_KWH * PUE / JOULES_PER_KWH
KEPT_SLOTS = 1  # series of a job stay for five minutes after its end
TARGET = ("cluster", "instance", "job")
WHO = ("team", "user", "model")
NAMES = ("job_id", "job_name", "scheduler", *WHO)
BY_JOB = {
    "node_job": ("job_id",),
    "job_id": ("job_id",),
    "node_job_info": (*NAMES, "identity"),
    "job_id_names": NAMES,
}
BY_GPU = {  # level -> labels
    "gpu": ("gpu", "uuid", *TARGET),
    "uuid": ("cluster", "uuid"),
    "instance_uuid": ("cluster", "instance", "uuid"),
}
KINDS = ("busy", "idle", "idle_seconds", "joules", "seconds", "unused")


class Load:
    """Joules and seconds in each slot, from slot `begin` on, of a GPU, a machine, a user or a job."""

    __slots__ = ("begin", *KINDS)
    busy: Floats
    idle: Floats
    idle_seconds: Floats
    joules: Floats
    seconds: Floats
    unused: Floats

    def __init__(self, begin: int, slots: int) -> None:
        self.begin = begin
        for name in KINDS:
            setattr(self, name, _zeros(slots))

    def run(self, job: Job, share: float = 1.0) -> None:
        """Add a job, or the share that one of its GPUs has of it, from where this load begins."""
        seconds = SLOT_S * len(job.gpus) * share
        begin = max(job.begin, self.begin)
        part = slice(begin - self.begin, job.end - self.begin)
        joules = job.joules[begin - job.begin :]
        for mine, more in (
            (self.joules, times(joules, share)),
            (self.unused, times(joules, share * job.unused)),
            (self.seconds, [seconds] * len(joules)),
            (self.busy, [seconds * job.busy] * len(joules)),
        ):
            mine[part] = array("d", map(add, mine[part], more))

    def rest(self) -> None:
        """Of a GPU: what it draws while no job holds it is nobody's."""
        self.idle_seconds = array("d", [SLOT_S * (not held) for held in self.seconds])
        self.idle = times(self.idle_seconds, IDLE_WATTS)
        self.joules = array("d", map(add, self.joules, self.idle))

    def add(self, other: "Load") -> None:
        """Add another load of the same slots."""
        for name in KINDS:
            setattr(self, name, array("d", map(add, getattr(self, name), getattr(other, name))))

    def late(self, since: int) -> "Load":
        """The same from a slot on."""
        if since <= self.begin:
            return self
        rest = Load(since, 0)
        for name in KINDS:
            setattr(rest, name, getattr(self, name)[since - self.begin :])
        return rest


def _zeros(slots: int) -> Floats:
    return array("d", bytes(8 * slots))


def times(values: Floats, factor: float) -> Floats:
    """Every value times a number."""
    return array("d", [value * factor for value in values])


def _priced(fleet: Fleet, load: Load, joules: Floats) -> Floats:
    return array("d", map(mul, joules, fleet.price_per_joule[load.begin :]))


def _by_tariff(fleet: Fleet, load: Load) -> list["Part"]:
    end = load.begin + len(load.joules)
    return [
        ({"tariff": band}, array("d", map(mul, load.joules, fleet.in_band[band][load.begin : end])))
        for band in PRICES
    ]


def _idle(_: Fleet, load: Load) -> list["Part"]:
    nothing = [({"reason": reason}, _zeros(len(load.idle))) for reason in ("no_process", "gap")]
    return [({"reason": "idle"}, load.idle), *nothing]


Part = tuple[Names, Floats]
MONEY = {"currency": CURRENCY}
# What can be said of a load: labels beside those of its owner, and how much it was in each slot.
MEASURES: Mapping[str, Callable[[Fleet, Load], list[Part]]] = {
    "joules": lambda _, load: [({}, load.joules)],
    "cost": lambda fleet, load: [(MONEY, _priced(fleet, load, load.joules))],
    "tariff": _by_tariff,
    "grams": lambda _, load: [({}, times(load.joules, GRAMS_PER_JOULE))],
    "seconds": lambda _, load: [({}, load.seconds)],
    "busy": lambda _, load: [({}, load.busy)],
    "unused": lambda _, load: [({}, load.unused)],
    "unused_cost": lambda fleet, load: [(MONEY, _priced(fleet, load, load.unused))],
    "idle": _idle,
    "idle_cost": lambda fleet, load: [
        (names | MONEY, _priced(fleet, load, joules)) for names, joules in _idle(fleet, load)
    ],
    "idle_seconds": lambda _, load: [({}, load.idle_seconds)],
    "component": lambda _, load: [
        ({"component": name}, times(load.joules, share)) for name, share in (("active", 0.8), ("idle", 0.2))
    ],
}


def knows(level: str) -> bool:
    """Whether a fleet has such owners; cards and providers of the market are none."""
    others = {"site", "instance", "cluster", "node_job_gpu", "node_team", "consumer"}
    return level in BY_GPU or level in BY_JOB or level in others or set(level.split("_")) <= set(WHO)


class Owners:
    """The loads of a fleet at each level, under the labels that series of this level carry."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self._gpus = [Load(0, fleet.slots) for _ in range(fleet.gpus)]
        for job in fleet.jobs:
            for gpu in job.gpus:
                self._gpus[gpu].run(job, 1 / len(job.gpus))
        for load in self._gpus:
            load.rest()

    def at(self, level: str, since: int = 0) -> Iterator[tuple[Names, Load]]:
        """Owners of a level: of the recording rules, or node_team and node_job* as the agents show them.

        Nothing is told of the time before slot `since`, nor of jobs that ended before it.
        """
        target = TARGET if level.startswith("node_") else ("cluster",)
        if level in BY_GPU:
            found = self._by_gpu(BY_GPU[level])
        elif level == "site":
            found = self._sites()
        elif level == "instance":
            found = iter(self._machines)
        elif level == "cluster":
            found = iter(_summed(("cluster",), self._machines))
        elif level == "node_job_gpu":
            return self._by_job_and_gpu(since)
        elif level in BY_JOB:
            return self._by_job((*target, *BY_JOB[level]), since)
        else:
            keys = {"node_team": WHO, "consumer": ("team", "user")}.get(level, level.split("_"))
            return self._by_who((*target, *keys), since)
        return ((names, load.late(since)) for names, load in found)

    def _by_gpu(self, keys: tuple[str, ...]) -> Iterator[tuple[Names, Load]]:
        for number, load in enumerate(self._gpus):
            names = self.fleet.target(number // GPUS_A_NODE) | self.fleet.card(number)
            yield {key: names[key] for key in keys}, load

    @cached_property
    def _machines(self) -> list[tuple[Names, Load]]:
        return _summed(TARGET, self._by_gpu(TARGET))

    def _sites(self) -> Iterator[tuple[Names, Load]]:
        for cluster in CLUSTERS:
            names = {"cluster": cluster, "instance": f"{cluster}:9837", "job": "gputally-site"}
            yield names, Load(0, self.fleet.slots)

    def _by_job(self, keys: tuple[str, ...], since: int) -> Iterator[tuple[Names, Load]]:
        for job in self.fleet.jobs:
            if job.end >= since:
                names = self.fleet.target(job.node) | job.names()
                yield {key: names[key] for key in keys}, self._of_job(job)

    def _by_job_and_gpu(self, since: int) -> Iterator[tuple[Names, Load]]:
        for job in self.fleet.jobs:
            load = self._of_job(job, 1 / len(job.gpus))
            for gpu in job.gpus if job.end >= since else ():
                yield self.fleet.target(job.node) | self.fleet.card(gpu) | {"job_id": job.job_id}, load

    def _of_job(self, job: Job, share: float = 1.0) -> Load:
        load = Load(job.begin, min(len(job.joules) + KEPT_SLOTS, self.fleet.slots - job.begin))
        load.run(job, share)
        return load

    def _by_who(self, keys: tuple[str, ...], since: int) -> Iterator[tuple[Names, Load]]:
        jobs: dict[tuple[str, ...], list[Job]] = {}
        for job in self.fleet.jobs:
            names = self.fleet.target(job.node) | job.names()
            jobs.setdefault(tuple(names[key] for key in keys), []).append(job)
        for owner, theirs in jobs.items():
            load = Load(since, self.fleet.slots - since)
            for job in theirs:
                if job.end > since:
                    load.run(job)
            yield dict(zip(keys, owner, strict=True)), load


def _summed(keys: tuple[str, ...], owners: Iterable[tuple[Names, Load]]) -> list[tuple[Names, Load]]:
    sums: dict[tuple[str, ...], Load] = {}
    for names, load in owners:
        owner = tuple(names[key] for key in keys)
        if owner not in sums:
            sums[owner] = Load(0, len(load.joules))
        sums[owner].add(load)
    return [(dict(zip(keys, owner, strict=True)), load) for owner, load in sums.items()]
