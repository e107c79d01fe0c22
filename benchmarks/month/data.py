"""A fleet that never was: who ran what on which GPU in every five minutes of a month, and what it drew.

All series of the benchmark, raw or rolled up, are made of this one truth, so that answers can be compared.
"""

import math
import random
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TypeAlias

SLOT_MS = 300_000
SLOTS_A_DAY = 288
GPUS_A_NODE = 8
JOBS_A_GPU_DAY = 2.0  # 1,000 GPUs: 2,000 jobs a day
MEAN_JOB_SLOTS = 45  # under four hours
SIZES, SIZE_WEIGHTS = (1, 2, 4, 8), (60, 20, 15, 5)
CLUSTERS = ("north", "south")
TEAMS, USERS_A_TEAM, MODELS_A_USER = 40, 5, 3
POOL = 25  # combinations of team, user and model that live on a node
MODELS = tuple(f"{name}-{size}" for name in ("llama", "resnet", "vit", "bert") for size in ("s", "m", "l"))
IDLE_WATTS, LEAST_WATTS, MOST_WATTS = 75.0, 250.0, 650.0
CURRENCY, PUE, GRAMS_PER_KWH = "EUR", 1.25, 380.0
PRICES = {"night": 0.12, "day": 0.22, "peak": 0.36}  # per kWh
JOULES_PER_KWH = 3.6e6

Floats: TypeAlias = "array[float]"
Who = tuple[str, str, str]  # team, user, model


@dataclass(frozen=True, slots=True)
class Job:
    """One job: where it ran, from slot `begin` on, and the joules of each of its slots."""

    job_id: str
    node: int
    gpus: tuple[int, ...]
    who: Who
    begin: int
    joules: Floats
    busy: float
    unused: float

    @property
    def end(self) -> int:
        """The first slot after it."""
        return self.begin + len(self.joules)

    def names(self) -> dict[str, str]:
        """What it is called."""
        team, user, model = self.who
        return {
            "identity": "scheduler",
            "job_id": self.job_id,
            "job_name": f"train-{model}",
            "model": model,
            "scheduler": "slurm",
            "team": team,
            "user": user,
        }


@dataclass(frozen=True)
class Fleet:
    """So many GPUs over so many slots; slot 0 begins at `begin_ms`."""

    gpus: int
    begin_ms: int
    slots: int

    @property
    def nodes(self) -> int:
        """Machines of eight GPUs; the last may have fewer."""
        return -(-self.gpus // GPUS_A_NODE)

    def gpus_of(self, node: int) -> range:
        """Numbers of the GPUs of a machine."""
        return range(node * GPUS_A_NODE, min(self.gpus, (node + 1) * GPUS_A_NODE))

    def cluster(self, node: int) -> str:
        """The first half of the machines is one cluster, the rest another."""
        return CLUSTERS[node * 2 >= self.nodes]

    def target(self, node: int) -> dict[str, str]:
        """What Prometheus knows a machine by."""
        return {"cluster": self.cluster(node), "instance": f"gpu{node:03}:9836", "job": "gputally-node"}

    @staticmethod
    def card(gpu: int) -> dict[str, str]:
        """What a GPU is known by."""
        return {"gpu": str(gpu % GPUS_A_NODE), "uuid": f"GPU-{gpu:08x}-5eed-4a11-8c0d-{gpu * 7919:012x}"}

    @cached_property
    def tariff(self) -> list[str]:
        """The band of each slot."""
        hours = (
            datetime.fromtimestamp((self.begin_ms + n * SLOT_MS) / 1000, UTC).hour for n in range(self.slots)
        )
        return ["peak" if 16 <= h < 21 else "day" if 6 <= h < 22 else "night" for h in hours]

    @cached_property
    def price_per_joule(self) -> Floats:
        """Price of each slot, PUE included."""
        return array("d", [PRICES[band] * PUE / JOULES_PER_KWH for band in self.tariff])

    @cached_property
    def in_band(self) -> dict[str, Floats]:
        """Band -> 1 in its slots, 0 in the others."""
        return {band: array("d", [float(band == here) for here in self.tariff]) for band in PRICES}

    @cached_property
    def jobs(self) -> list[Job]:
        """All jobs, by machine and in the order of their submission."""
        everybody = [
            (f"team{team:02}", f"user{team:02}{user}", MODELS[(team * 7 + user * 5 + model) % len(MODELS)])
            for team in range(TEAMS)
            for user in range(USERS_A_TEAM)
            for model in range(MODELS_A_USER)
        ]
        return [job for node in range(self.nodes) for job in self._jobs_of(node, everybody)]

    def _jobs_of(self, node: int, everybody: list[Who]) -> Iterator[Job]:
        chance = random.Random(node)  # noqa: S311 - the same fleet every time
        pool = chance.sample(everybody, POOL)
        free_at = dict.fromkeys(self.gpus_of(node), 0)
        arrival, number = 0.0, 0
        while True:
            arrival += chance.expovariate(JOBS_A_GPU_DAY * len(free_at) / SLOTS_A_DAY)
            size = min(chance.choices(SIZES, SIZE_WEIGHTS)[0], len(free_at))
            chosen = sorted(sorted(free_at, key=free_at.__getitem__)[:size])
            begin = max(int(arrival), *(free_at[gpu] for gpu in chosen))
            length = 1 + int(chance.lognormvariate(math.log(MEAN_JOB_SLOTS) - 0.5, 1.0))
            end = min(begin + length, self.slots)
            if arrival >= self.slots:
                return
            if begin >= end:
                continue
            free_at.update(dict.fromkeys(chosen, end))
            joules = chance.uniform(LEAST_WATTS, MOST_WATTS) * size * SLOT_MS / 1000
            slots = array("d", [joules * (0.9 + 0.2 * chance.random()) for _ in range(end - begin)])
            busy = chance.uniform(0.4, 0.98)
            number += 1
            yield Job(
                *(f"{node + 100}{number:05}", node, tuple(chosen), chance.choice(pool), begin, slots),
                *(busy, (1 - busy) * 0.3),
            )
