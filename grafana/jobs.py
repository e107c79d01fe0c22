"""Who uses the GPUs now: the jobs that draw most, power by team. Joins on instance and job only add names."""

from grafana.overtime import GREYS
from grafana.panels import Look, timeseries
from grafana.queries import Json, series, unit_of
from grafana.tables import Column, joined, link, or_said, table

WATTS = Look(unit_of("gpu_power_watts"), minimum=0)
LOAD = Look("percentunit", ((None, "blue"),), decimals=0, minimum=0, maximum=1)
STATES = {
    "running": "green",
    "completed": "text",
    "failed": "red",
    "timeout": "red",
    "cancelled": "orange",
    "ended": "text",
}
MOST = 20  # jobs on the home page
FEW = 12  # teams that get a colour of their own
_BY = "by (cluster, job_id)"
_RUNS = 'and on (cluster, instance, job_id) gpu_job_state{state="running"}'


def power_by_team() -> Json:
    """What all GPUs draw, divided among teams; what is nobody's on top."""
    used = "gpu_team_energy_joules_total{}[$__rate_interval]"
    teams = f"sum(rate({used}))"
    few = f"sum by (team) (rate({used})) and on (team) topk({FEW}, sum by (team) (rate({used} @ end())))"
    # The rest is nobody's, to the joule: quicker than its own series, which each GPU has for every reason.
    all_gpus = "sum(rate(gpu_energy_joules_total{}[$__rate_interval]))"
    return timeseries(
        "Power by team",
        f"What the GPUs draw, divided among the teams whose jobs run on them: the {FEW} that draw most at "
        "the end of the time range, and the others together. Nobody's: idle GPUs, and what could not be "
        "given to a job.",
        [
            series(few, "{{team}}"),
            series(f"clamp_min({teams} - sum({few}), 0)", "others"),
            series(f"clamp_min({all_gpus} - ({teams} or 0 * {all_gpus}), 0)", "nobody's"),
        ],
        Look(WATTS.unit, minimum=0, stacked=True, colors=GREYS),
    )


def running_jobs() -> Json:
    """The few that draw most. All of them, and those that have ended, are on a page of their own."""
    power = f"topk({MOST}, sum {_BY} ({_now('gpu_job_energy_joules_total')}))"
    held = f"sum {_BY} ({_now('gpu_job_gpu_seconds_total')})"
    busy = f"sum {_BY} ({_now('gpu_job_busy_seconds_total')}) / ({held} > 0)"
    cost = f"sum {_BY} ({_now('gpu_job_cost_total')}) * 3600"
    began = f"1000 * min {_BY} (gpu_job_start_time_seconds{{}} {_RUNS})"
    names = f"max by (cluster, job_id, user, team, job_name, model) (gpu_job_info{{}} {_RUNS})"
    columns = [
        *joined("cluster"),
        Column("Job", name="job_id", width=185, link=to_job()),
        Column("Name", name="job_name", width=175),
        Column("Team", name="team", width=90, link=link("gputally-teams", "The team", team="")),
        Column("User", name="user", width=80, link=link("gputally-jobs", "Their jobs", user="")),
        Column("AI model", name="model", width=120, link=link("gputally-jobs", "Its jobs", model="")),
        Column("Names", expr=names, hidden=True),
        Column("Power", expr=power, look=WATTS, width=80, needed=True),
        Column("GPUs", expr=held, look=Look("none", decimals=1), width=60),
        Column("Utilisation", expr=busy, look=LOAD, cell="basic"),
        Column("Cost per hour", expr=cost, look=Look("none", decimals=3), width=110),
        Column("Began", expr=began, look=Look("dateTimeFromNow"), width=135),
    ]
    body = table(
        "Jobs that draw most ($currency)",
        f"The {MOST} jobs that draw most at the end of the time range, on the chosen machines. All jobs: the "
        "page GPU jobs.",
        columns,
        sort=("Power",),
        descending=True,
    )
    return or_said(body, "No job runs")


def to_job(until: str = "now") -> Json:
    """To the page of the job in this cell, from its beginning in the column `Began` on."""
    to = link("gputally-job", "This job", job_id="")
    times = f"from=${{__data.fields.Began.numeric}}&to={until}"
    return to | {"url": to["url"].replace("${__url_time_range}", times)}


def _now(counter: str) -> str:
    return f"rate({counter}{{}}[$__rate_interval]) {_RUNS}"
