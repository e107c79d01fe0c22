"""The page about jobs: what runs, what has run, what did it cost, did it use what it held?

Lists of single jobs look back over `$span` and not over the page's range: what a month of a big fleet's jobs
comes to is in the tiles of teams, its jobs one by one are in `gputally report jobs`.
"""

from grafana import joblists, spenders
from grafana.charts import made_of
from grafana.joblists import IN_SPAN, RUNNING, SAME_PLACE
from grafana.ledger import ENERGY, HOURS, MONEY, SHARE, total
from grafana.page import Line, Opening, page
from grafana.panels import Look, stat
from grafana.queries import Json, instant
from grafana.variables import currency, people, span

from gputally.report.questions import TEAM

UID = "gputally-jobs"

_COUNT = Look("short", decimals=0, sparkline=False)


def jobs_board() -> Json:
    """Jobs of all clusters, teams, users and models that the variables select."""
    by_team = (spenders.gpus_by_team(), spenders.energy_by_team(), spenders.cost_by_team())
    lines: list[Line] = [
        (4, [(3, tile) for tile in (*_counts(), *_range_tiles())]),
        (9, [(24, joblists.running())]),
        (12, [(24, joblists.ran())]),
        (9, [(12, joblists.dearest()), (12, joblists.distribution())]),
        (9, [(8, chart) for chart in by_team]),
    ]
    about = "Jobs on the GPUs: running and ended, what they used of what they held, and what they cost."
    opening = Opening("now-24h", refresh="1m", choices=[currency(), *people(), span()])
    return page(UID, "GPU jobs", about, lines, opening=opening)


def _counts() -> list[Json]:
    by_job = "count by (cluster, job_id)"
    held = f"rate(gpu_job_gpu_seconds_total{{}}[$__rate_interval]) and {SAME_PLACE} ({RUNNING})"
    return [
        stat(
            "Running",
            "Jobs that run at the end of the time range; one on several machines counts once.",
            instant(f"count({by_job} ({RUNNING}))", "running"),
            _COUNT,
        ),
        stat(
            "GPUs held",
            "GPUs that these jobs hold; of a shared GPU each its part.",
            instant(f"sum({held})", "held"),
            Look("none", decimals=1, sparkline=False),
        ),
        stat(
            "Jobs, last $span",
            "Jobs that ran in the last $span of the time range.",
            instant(f"count({by_job} ({IN_SPAN}))", "jobs"),
            _COUNT,
        ),
    ]


def _range_tiles() -> list[Json]:
    return [
        stat(
            "GPU hours",
            f"GPU hours that jobs held in the time range. {spenders.TILES}",
            instant(total(TEAM["gpu_hours"]), "hours"),
            HOURS,
        ),
        made_of(
            "Utilisation",
            "The part of these hours in which kernels ran.",
            (instant(total(TEAM["busy_hours"]), "busy"), "/", instant(total(TEAM["gpu_hours"]), "held")),
            SHARE,
        ),
        stat(
            "Energy",
            "What jobs used in the time range; without PUE.",
            instant(total(TEAM["kwh"]), "energy"),
            ENERGY,
        ),
        stat(
            "Cost ($currency)",
            "What this energy cost at the prices of its moments, PUE included.",
            instant(total(TEAM["cost"]), "cost"),
            MONEY,
        ),
        stat(
            "Unused ($currency)",
            "Of this, what was spent while a job held a GPU and nothing of it ran.",
            instant(total(TEAM["unused_cost"]), "unused"),
            MONEY,
        ),
    ]
