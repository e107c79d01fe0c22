"""One job's page: whose is it, how does it go, what has it used, where, and what of it for nothing?"""

from collections.abc import Sequence
from dataclasses import replace

from grafana import jobnumbers, jobtables
from grafana.charts import Part, beside
from grafana.ledger import CARBON, ENERGY, HOURS, MONEY, SHARE
from grafana.overrides import of_query, overridden
from grafana.page import Line, Opening, page
from grafana.panels import Look, stat, timeseries
from grafana.queries import ONE_JOB, Json, instant, series
from grafana.variables import currency, one_job

UID = "gputally-job"

_MONEY = replace(MONEY, decimals=None)  # of a job of seconds it is less than a cent
_ABSENT = "no such job"
_COMPONENTS = {"active": "active", "idle": "idle baseline"}
_COLORS = {"active": "orange", "idle baseline": "blue"}
_ENDED = "What a machine counts is there for five minutes after the job has ended on it."


def one_jobs_page() -> Json:
    """Of the job that is chosen, or that another page links to."""
    lines: list[Line] = [
        (4, [(24, jobtables.names())]),
        (4, [(24, jobtables.course())]),
        (4, [(6, body) for body in _tiles()]),
        (9, [(8, _power()), (8, _power_by_gpu()), (8, _utilisation())]),
        (9, [(8, _energy_so_far()), (8, _cost_so_far()), (8, jobtables.bands())]),
        (9, [(24, jobtables.gpus())]),
        (8, [(24, jobtables.processes())]),
    ]
    about = (
        "One job: its GPUs, what it draws, what it has used and cost, and what of it went by unused. It is "
        "found when the time range has its end, or goes on until now."
    )
    opening = Opening("now-6h", choices=[currency(), one_job()])
    return page(UID, "GPU job", about, lines, opening=opening)


def _tiles() -> list[Json]:
    held = jobnumbers.total("gpu_job_gpu_seconds_total")
    busy = jobnumbers.total("gpu_job_busy_seconds_total")
    return [
        _tile(
            "Energy and emissions",
            "What it has used since it began, without PUE; and the carbon dioxide of that, PUE included.",
            [
                Part(_now(jobnumbers.kwh(), "energy")),
                Part(_now(jobnumbers.total("gpu_job_emissions_grams_total"), "CO₂"), CARBON),
            ],
            ENERGY,
        ),
        _tile(
            "Cost so far ($currency)",
            "What this energy cost at the prices of its moments, PUE included; and what of it was spent "
            "while the job held a GPU and nothing of it ran.",
            [
                Part(_now(jobnumbers.total("gpu_job_cost_total"), "all of it")),
                Part(
                    _now(jobnumbers.total("gpu_job_unused_cost_total"), "unused"),
                    replace(_MONEY, steps=((None, "orange"),)),
                ),
            ],
            _MONEY,
        ),
        stat(
            "GPU hours",
            "For how many hours it held GPUs, all of them together; of a shared GPU its part.",
            _now(jobnumbers.gpu_hours(), "GPU hours"),
            replace(HOURS, decimals=2, missing=_ABSENT),
        ),
        stat(
            "Mean utilisation",
            "The share of these hours in which its kernels ran.",
            instant(f"sum({busy}) / (sum({held}) > 0)", "utilisation"),
            replace(SHARE, missing="held none"),
        ),
    ]


def _tile(title: str, description: str, parts: Sequence[Part], look: Look) -> Json:
    return beside(title, description, parts, replace(look, missing=_ABSENT))


def _now(amount: str, legend: str) -> Json:
    return instant(f"sum({amount})", legend)


def _power() -> Json:
    return timeseries(
        "Power, active and idle",
        "What the job draws: active, and its part of what its GPUs draw when idle.",
        [series(f"sum({_watts(component)})", name) for component, name in _COMPONENTS.items()],
        Look("watt", minimum=0, stacked=True, colors=_COLORS),
    )


def _power_by_gpu() -> Json:
    return timeseries(
        "Power by GPU",
        "What the job draws on each of its GPUs, on top of each other.",
        [series(f"sum by (instance, gpu) ({_watts()})", "{{instance}} · {{gpu}}")],
        Look("watt", minimum=0, stacked=True),
    )


def _utilisation() -> Json:
    held, busy = (
        f"sum(rate({counter}{{{ONE_JOB}}}[$__rate_interval]))"
        for counter in ("gpu_job_gpu_seconds_total", "gpu_job_busy_seconds_total")
    )
    cards = f"gpu:gpu_busy_seconds:rate5m{{}} and on (cluster, instance, uuid) {_watts()}"
    body = timeseries(
        "Utilisation of what it holds",
        "The job: of the time for which it holds GPUs, the share in which its kernels run. Its GPUs: the "
        "share of five minutes in which anybody's do.",
        [series(f"{busy} / ({held} > 0)", "the job"), series(cards, "{{instance}} · {{gpu}}")],
        replace(SHARE, decimals=None, colors={"the job": "text"}),
    )
    lines: Json = {"custom.fillOpacity": 0}
    return overridden(body, [of_query("A", lines | {"custom.lineWidth": 2}), of_query("B", lines)])


def _energy_so_far() -> Json:
    return timeseries(
        "Energy so far, active and idle",
        f"What the job has used since it began, on the machines where it is. {_ENDED}",
        [
            series(f"sum(max_over_time({_energy(component)}[$__rate_interval])) / 3.6e6", name)
            for component, name in _COMPONENTS.items()
        ],
        Look("kwatth", minimum=0, stacked=True, colors=_COLORS),
    )


def _cost_so_far() -> Json:
    cost, unused = (
        f"sum(max_over_time({counter}{{{ONE_JOB}}}[$__rate_interval]))"
        for counter in ("gpu_job_cost_total", "gpu_job_unused_cost_total")
    )
    return timeseries(
        "Cost so far, and unused ($currency)",
        f"What it has cost since it began, and what of it was unused. {_ENDED}",
        [series(cost, "cost"), series(unused, "of it unused")],
        Look("none", minimum=0, colors={"cost": "green", "of it unused": "orange"}),
    )


def _energy(component: str = "") -> str:
    only = f', component="{component}"' if component else ""
    return f"gpu_job_energy_joules_total{{{ONE_JOB}{only}}}"


def _watts(component: str = "") -> str:
    return f"rate({_energy(component)}[$__rate_interval])"
