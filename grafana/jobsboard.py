"""The page about jobs: what runs, what has run, what did it cost, did it use what it held?

Lists of single jobs look back over `$span` and not over the page's range: what a month of a big fleet's jobs
comes to is in the tiles of teams, its jobs one by one are in `gputally report jobs`.
"""

from dataclasses import replace

from grafana import joblists, overtime, spenders
from grafana.charts import Part, beside
from grafana.joblists import IN_SPAN, RUNNING, SAME_PLACE
from grafana.ledger import (
    CARBON,
    ENERGY,
    HOURS,
    MONEY,
    NOBODY_COST,
    NOBODY_KWH,
    SHARE,
    TEAM_GRAMS,
    total,
)
from grafana.overtime import Split
from grafana.page import Line, Opening, page
from grafana.panels import Look
from grafana.queries import Json, instant
from grafana.variables import currency, people, span

from gputally.report.questions import NOT_HELD, TEAM

UID = "gputally-jobs"

_COUNT = Look("short", decimals=0, sparkline=False)


def jobs_board() -> Json:
    """Jobs of all clusters, teams, users and models that the variables select."""
    lines: list[Line] = [
        (4, [(6, body) for body in _tiles()]),
        (9, [(24, joblists.running())]),
        (12, [(24, joblists.ran())]),
        (9, [(14, joblists.dearest()), (10, joblists.distribution())]),
        (9, [(8, chart) for chart in _by_team()]),
    ]
    about = "Jobs on the GPUs: running and ended, what they used of what they held, and what they cost."
    opening = Opening("now-24h", refresh="1m", choices=[currency(), *people(), span()])
    return page(UID, "GPU jobs", about, lines, opening=opening)


def _tiles() -> list[Json]:
    return [_counts(), _gpu_time(), _energy(), _cost()]


def _counts() -> Json:
    by_job = "count by (cluster, job_id)"
    held = f"rate(gpu_job_gpu_seconds_total{{}}[$__rate_interval]) and {SAME_PLACE} ({RUNNING})"
    return beside(
        "Jobs, last $span",
        "Jobs that run at the end of the time range, one on several machines counts once; the GPUs that they "
        "hold, of a shared GPU each its part; and jobs that ran in the last $span.",
        [
            Part(instant(f"count({by_job} ({RUNNING}))", "running")),
            Part(instant(f"sum({held})", "GPUs held"), replace(_COUNT, decimals=1)),
            Part(instant(f"count({by_job} ({IN_SPAN}))", "last $span")),
        ],
        replace(_COUNT, missing="no job seen"),
    )


def _gpu_time() -> Json:
    busy, held = total(TEAM["busy_hours"]), total(TEAM["gpu_hours"])
    return beside(
        "GPU time",
        f"GPU hours that jobs held in the time range, and the part of them in which kernels "
        f"ran. {spenders.TILES}",
        [
            Part(instant(held, "GPU hours")),
            Part(instant(f"{busy} / ({held} > 0)", "utilisation"), SHARE),
        ],
        HOURS,
    )


def _energy() -> Json:
    return beside(
        "Energy",
        "What jobs used in the time range, without PUE; and the carbon dioxide of that, PUE included.",
        [
            Part(instant(total(TEAM["kwh"]), "energy")),
            Part(instant(total(TEAM_GRAMS), "CO₂"), CARBON),
        ],
        ENERGY,
    )


def _cost() -> Json:
    return beside(
        "Cost ($currency)",
        "What this energy cost at the prices of its moments, PUE included; and what of it was spent while a "
        "job held a GPU and nothing of it ran.",
        [
            Part(instant(total(TEAM["cost"]), "all of it")),
            Part(instant(total(TEAM["unused_cost"]), "unused"), replace(MONEY, steps=((None, "orange"),))),
        ],
        MONEY,
    )


def _by_team() -> list[Json]:
    said = f"divided among the teams; {overtime.MEAN}. Nobody's is of the whole cluster."
    return [
        overtime.hourly(
            "GPUs held by team",
            f"How many GPUs jobs held, busy or not, {said}",
            Split(TEAM["gpu_hours"], "team", HOURS.unit, NOT_HELD),
        ),
        overtime.hourly(
            "Energy per hour by team",
            f"What the GPUs used in an hour, {said}",
            Split(TEAM["kwh"], "team", ENERGY.unit, NOBODY_KWH),
        ),
        overtime.hourly(
            "Cost per hour by team ($currency)",
            f"What an hour cost, {said}",
            Split(TEAM["cost"], "team", MONEY.unit, NOBODY_COST),
        ),
    ]
