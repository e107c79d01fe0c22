"""Who uses the GPUs: jobs as a table, power by team. Joins on instance and job only add names."""

from grafana.panels import Look, timeseries
from grafana.queries import Json, series, unit_of
from grafana.tables import Column, link, table

JOULES_PER_KWH = "3.6e6"
BY_JOB = "sum by (cluster, instance, job_id)"
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


def power_by_team() -> Json:
    """What all GPUs draw, divided among teams; what is nobody's on top."""
    return timeseries(
        "Power by team",
        "What the GPUs draw, divided among the teams whose jobs run on them. Nobody's: idle GPUs, and what "
        "could not be given to a job.",
        [
            series("sum by (team) (rate(gpu_team_energy_joules_total{}[$__rate_interval]))", "{{team}}"),
            series("sum(rate(gpu_unattributed_energy_joules_total{}[$__rate_interval]))", "nobody's"),
        ],
        Look(WATTS.unit, minimum=0, stacked=True, colors={"nobody's": "text"}),
    )


def jobs() -> Json:
    """Jobs of the time range, running and ended."""
    names = "cluster, instance, job_id, user, team, job_name, model, scheduler"
    # The highest value is the last one; a GPU whose index moved has two series of one meter.
    meters = "max by (cluster, instance, job_id, uuid, component)"
    energy = (
        f"{BY_JOB} ({meters} (max_over_time(gpu_job_energy_joules_total{{}}[$__range]))) / {JOULES_PER_KWH}"
    )
    power = f"{BY_JOB} (rate(gpu_job_energy_joules_total{{}}[$__rate_interval]))"
    held = f"{BY_JOB} (max_over_time(gpu_job_gpu_seconds_total{{}}[$__range]))"
    busy = f"{BY_JOB} (max_over_time(gpu_job_busy_seconds_total{{}}[$__range])) / ({held} > 0)"
    ended = 'max_over_time(gpu_job_state{state!="running"}[$__range])'
    state = f'max by (cluster, instance, job_id, state) ({ended} or gpu_job_state{{state="running"}})'
    columns = [
        Column("Cluster", name="cluster", hidden=True),
        Column("Machine", name="instance"),
        Column("Job", name="job_id"),
        Column("Name", name="job_name"),
        Column("State", name="state", cell="color-text", width=90, mappings=(_state_colours(),)),
        Column("State", expr=state, hidden=True),
        Column("Team", name="team", width=100, link=link("gputally-cost", "What the team spends", team="")),
        Column("User", name="user", width=90, link=link("gputally-jobs", "The user's jobs", user="")),
        Column("AI model", name="model", link=link("gputally-jobs", "The model's jobs", model="")),
        Column("By", name="scheduler", width=90),
        Column("By", expr=f"max by ({names}) (max_over_time(gpu_job_info{{}}[$__range]))", hidden=True),
        Column("Power now", expr=power, look=WATTS, width=100),
        Column("Energy", expr=energy, look=Look("kwatth"), width=100),
        Column("GPU hours", expr=f"{held} / 3600", look=Look("short", decimals=2), width=90),
        Column("Mean utilisation", expr=busy, look=LOAD, cell="basic", width=150),
    ]
    return table(
        "Jobs",
        "Jobs that were on the GPUs in the time range, with all that they have used since they began on this "
        "machine.",
        columns,
        sort=("Machine", "Job"),
    )


def _state_colours() -> Json:
    return {
        "options": {
            state: {"color": colour, "index": place, "text": state}
            for place, (state, colour) in enumerate(STATES.items())
        },
        "type": "value",
    }
