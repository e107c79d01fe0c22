"""What Prometheus answers to the questions of a day, beside the truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.ledger.prices import BANDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.ledger.play import Played
    from tests.ledger.truth import Sum

DAY_S = 86_400
SURELY_S = 600.0  # after its end a job has been scraped


@dataclass(frozen=True)
class Answer:
    """One figure."""

    what: str
    who: str
    found: float
    true: float
    metered: bool = True  # by an energy counter; False: power was integrated

    @property
    def error_percent(self) -> float:
        """How far it is off."""
        if self.true == 0:
            return 0.0 if self.found == 0 else float("inf")
        return (self.found / self.true - 1) * 100

    def __str__(self) -> str:
        return (
            f"{self.what} of {self.who}: {self.found!r}, in truth {self.true!r}, {self.error_percent:+.4f} %"
        )


def of_gpus(played: Played, from_s: float, until_s: float) -> Iterator[Answer]:
    """Energy, cost, emissions and bands by increase() over a range."""
    long_s, at = round(until_s - from_s), played.at(until_s)

    def rows(family: str, more: str = "") -> dict[str, float]:
        return played.prometheus.by("uuid", f"increase({family}{more}[{long_s}s])", at)

    joules, cost = rows("gpu_energy_joules_total"), rows("gpu_energy_cost_total")
    grams = rows("gpu_emissions_grams_total")
    bands = {
        band: rows("gpu_energy_by_tariff_joules_total", f'{{tariff="{band}"}}') for band in (*BANDS, "flat")
    }
    assert not bands.pop("flat")
    for gpu, uuid in enumerate(played.uuids):
        true = played.truth.of_gpu(gpu, from_s, until_s)
        metered = gpu not in played.story.without_counter
        yield Answer("energy", f"GPU {gpu}", joules[uuid], true.joules, metered)
        yield Answer("cost", f"GPU {gpu}", cost[uuid], true.cost, metered)
        yield Answer("emissions", f"GPU {gpu}", grams[uuid], true.grams, metered)
        for band, found in bands.items():
            yield Answer(
                f"energy by {band}", f"GPU {gpu}", found[uuid], true.by_band_mj[band] / 1000, metered
            )


def of_days(played: Played, day: str, begin_s: float, end_s: float, asked_s: float) -> Iterator[Answer]:
    """The figures of a calendar day, asked a while after its end."""
    at, only = played.at(asked_s), f'{{day="{day}"}}[1h]'
    joules = played.prometheus.by("uuid", f"max_over_time(gpu_energy_day_joules{only})", at)
    cost = played.prometheus.by("uuid", f"max_over_time(gpu_cost_day{only})", at)
    for gpu, uuid in enumerate(played.uuids):
        true = played.truth.of_gpu(gpu, begin_s, end_s)
        metered = gpu not in played.story.without_counter
        assert set(true.by_day_mj) == {day}, "begins and ends with the day"
        yield Answer(f"energy of {day}", f"GPU {gpu}", joules[uuid], true.joules, metered)
        yield Answer(f"cost of {day}", f"GPU {gpu}", cost[uuid], true.cost, metered)


def of_teams(played: Played, from_s: float, until_s: float) -> Iterator[Answer]:
    """All that is asked of teams, by increase() over a range."""
    long_s, at = round(until_s - from_s), played.at(until_s)
    for who in sorted({job.who for job in played.story.jobs}):
        only = '{{team="{}",user="{}",model="{}"}}'.format(*who)
        true = played.truth.of_team(who, from_s, until_s)
        jobs = [job for job in played.story.jobs if job.who == who]
        metered = not any(gpu in played.story.without_counter for job in jobs for gpu in job.gpus)

        def answer(what: str, family: str, true: float, more: str = only) -> Answer:
            query = f"sum(increase(gpu_team_{family}{more}[{long_s}s]))"
            found = played.prometheus.number(query, at)
            return Answer(what, " ".join(who), found, true, metered)  # noqa: B023 - called at once

        yield answer("energy", "energy_joules_total", true.joules)
        yield answer("cost", "cost_total", true.cost)
        yield answer("emissions", "emissions_grams_total", true.grams)
        yield answer("unused energy", "unused_energy_joules_total", true.unused_joules)
        yield answer("unused cost", "unused_cost_total", true.unused_cost)
        for band in BANDS:
            more = f'{only[:-1]},tariff="{band}"}}'
            yield answer(
                f"energy by {band}", "energy_by_tariff_joules_total", true.by_band_mj[band] / 1000, more
            )


def of_jobs(played: Played) -> Iterator[Answer]:
    """The last values of every job: by what is highest, as they never fall."""
    story, end_s = played.story, float(played.story.seconds)
    families = {
        "energy": "gpu_job_energy_joules_total",
        "cost": "gpu_job_cost_total",
        "emissions": "gpu_job_emissions_grams_total",
        "unused energy": "gpu_job_unused_energy_joules_total",
        "unused cost": "gpu_job_unused_cost_total",
    }
    found = {
        what: played.prometheus.by(
            "job_id", f"sum by (job_id) (max_over_time({family}[{story.seconds}s]))", played.at(end_s)
        )
        for what, family in families.items()
    }
    for job in story.jobs:
        if job.end_s > end_s - SURELY_S:
            continue
        true = played.truth.of_job(job, 0, end_s)
        metered = not story.without_counter.intersection(job.gpus)
        for what, figure in _figures(true).items():
            yield Answer(what, job.job_id, found[what].get(job.job_id, 0.0), figure, metered)


def _figures(true: Sum) -> dict[str, float]:
    return {
        "energy": true.joules,
        "cost": true.cost,
        "emissions": true.grams,
        "unused energy": true.unused_joules,
        "unused cost": true.unused_cost,
    }
