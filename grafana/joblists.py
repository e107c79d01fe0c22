"""Jobs one by one: those that run, by machine, from their own counters; those that ran, from their finals."""

from grafana.charts import Bars, bars, sort_by
from grafana.jobs import STATES
from grafana.ledger import EMPTY, ENERGY, SHARE
from grafana.panels import Look
from grafana.queries import PEOPLE, Json, rows
from grafana.tables import Column, link, table, words

from gputally.report import questions
from gputally.report.questions import JOB

SPAN = "$span"
SAME_PLACE = "on (cluster, instance, job_id)"
RUNNING = f'gpu_job_info{{{PEOPLE}}} and {SAME_PLACE} gpu_job_state{{state="running"}}'
_INFO = "job_id_names:gpu_job_info_timestamp_seconds:max"
IN_SPAN = f"max_over_time({_INFO}{{}}[{SPAN}])"

_BY = "by (cluster, job_id)"
# The latest names of a job: some become known while it runs.
_NAMES = f"topk {_BY} (1, {IN_SPAN})"
_STATE = "job_id:gpu_job_state:max"
# The worst end of a job's parts counts. Vanished: seen no more, and nobody has seen it end.
_ENDS = ("completed", "ended", "cancelled", "timeout", "failed")
_CODES = ("vanished", "running", *_ENDS)
_AMOUNT = Look("none", decimals=3)


def running() -> Json:
    """What runs where, and what it does there at this moment."""
    by = "by (cluster, instance, job_id)"

    def now(counter: str) -> str:
        return f"sum {by} (rate({counter}{{}}[$__rate_interval]) and {SAME_PLACE} ({RUNNING}))"

    held = now("gpu_job_gpu_seconds_total")
    busy = f"{now('gpu_job_busy_seconds_total')} / ({held} > 0)"
    names = "cluster, instance, job_id, user, team, job_name, model, scheduler"
    began = f"min {by} (gpu_job_start_time_seconds{{}} and {SAME_PLACE} ({RUNNING})) * 1000"
    to_machine = link("gputally-fleet", "This machine", instance="")
    columns = [
        Column("Cluster", name="cluster", hidden=True),
        *_names(),
        Column("Machine", name="instance", link=to_machine, width=120),
        Column("By", name="scheduler", width=75),
        Column("By", expr=f"max by ({names}) ({RUNNING})", hidden=True, needed=True),
        Column("Began", expr=began, look=Look("dateTimeFromNow"), width=115),
        Column("GPUs", expr=held, look=Look("none", decimals=1), width=55),
        Column("Utilisation", expr=busy, look=SHARE, cell="basic"),
        Column("Power", expr=now("gpu_job_energy_joules_total"), look=Look("watt"), width=80),
        Column("Cost per hour", expr=f"{now('gpu_job_cost_total')} * 3600", look=_AMOUNT, width=120),
    ]
    return table(
        "Running now ($currency)",
        "Jobs that run at the end of the time range, by machine, and what they do at that moment.",
        columns,
        sort=("Cost per hour",),
        descending=True,
    )


def ran() -> Json:
    """Running and ended, with all that each has come to."""
    began = f"min {_BY} (min_over_time(job_id:gpu_job_start_time_seconds:min{{}}[{SPAN}]))"
    ended = f"max {_BY} (max_over_time(job_id:gpu_job_end_time_seconds:max{{}}[{SPAN}]))"
    goes_on = f"0 * max {_BY} ({_still_running()}) + time()"
    runtime = f"({ended} or {goes_on}) - {began}"
    states = words({str(code): (state, STATES.get(state, "text")) for code, state in enumerate(_CODES)})
    columns = [
        Column("Cluster", name="cluster", hidden=True),
        Column("Currency", name="currency", hidden=True),
        Column("By", name="scheduler", hidden=True),
        *_names(),
        Column("State", expr=_state(), cell="color-text", width=85, mappings=(states,)),
        Column("Names", expr=_NAMES, hidden=True, needed=True),
        Column("Began", expr=f"{began} * 1000", look=Look("time:MM-DD HH:mm"), width=95),
        Column("Runtime", expr=runtime, look=Look("s", decimals=1), width=85),
        Column("GPU hours", expr=_final("gpu_hours"), look=Look("none", decimals=2), width=85),
        Column("Utilisation", expr=_used(), look=SHARE, cell="basic", width=115),
        Column("Energy", expr=_final("kwh"), look=ENERGY, width=80),
        Column("Cost", expr=_final("cost"), look=_AMOUNT, width=70),
        Column("Unused cost", expr=_final("unused_cost"), look=_AMOUNT, width=100),
    ]
    return table(
        "Jobs of the last $span ($currency)",
        "Jobs that ran in the last $span of the time range, with all that they have used since they began; a "
        "job is listed within five minutes. Longer lists: gputally report jobs.",
        columns,
        sort=("Cost",),
        descending=True,
    )


def dearest() -> Json:
    """The top of the bill."""
    # One row for each job: this join adds a name, and nothing else.
    labelled = f'0 * label_join({_NAMES}, "label", "  ", "job_name", "job_id") + 1'
    named = f"{_final('cost')} * on (cluster, job_id) group_left (label) ({labelled})"
    return bars(
        "Ten most expensive jobs of the last $span ($currency)",
        "What each has cost since it began, by its name and number.",
        [rows(f"topk(10, max by (cluster, job_id, label) ({named}))")],
        Look("none", ((None, "green"),), decimals=2, minimum=0),
        Bars(
            {"label": "Job", "Value": "Cost"},
            without=["cluster", "job_id"],
            steps=[sort_by("Value", descending=True)],
            horizontal=True,
        ),
    )


def distribution() -> Json:
    """How well jobs use what they hold."""
    chosen = f"{_used()} and on (cluster, job_id) {IN_SPAN}"
    tenths = f'count_values("from", 10 * clamp_max(floor(10 * ({chosen})), 9))'
    counted = f'label_replace({tenths}, "utilisation", "$1 %", "from", "(.*)")'
    # Tenths without a job are drawn, too, once there is any job.
    none = " or ".join(f'label_replace(vector(0), "utilisation", "{n}0 %", "", "")' for n in range(1, 10))
    none = f'label_replace(vector(0), "utilisation", "0 %", "", "") or {none}'
    return bars(
        "Utilisation of the jobs of the last $span",
        "How many jobs computed for how much of the time for which they held GPUs: 0 % are those from 0 to "
        "10 %, and so on.",
        [rows(f"{counted} or on (utilisation) ({none}) and on () count({IN_SPAN})")],
        Look("short", ((None, "blue"),), decimals=0, minimum=0),
        Bars(
            {"utilisation": "Utilisation", "Value": "Jobs"}, without=["from"], steps=[sort_by("utilisation")]
        ),
    )


def _names() -> list[Column]:
    return [
        Column("Job", name="job_id", width=120),
        Column("Name", name="job_name"),
        Column("Team", name="team", width=80, link=link("gputally-cost", "What the team spends", team="")),
        Column("User", name="user", width=75, link=link("gputally-cost", "What the user spends", user="")),
        Column(
            "AI model", name="model", width=105, link=link("gputally-cost", "What the model costs", model="")
        ),
    ]


def _final(amount: str) -> str:
    return questions.finals(JOB[amount], SPAN, EMPTY)


def _used() -> str:
    return f"{_final('busy_hours')} / ({_final('gpu_hours')} > 0)"


def _still_running() -> str:
    # Evaluated every 5 minutes: an instant alone would fall between two evaluations.
    return f'max_over_time({_STATE}{{state="running"}}[10m])'


def _state() -> str:
    def seen(state: str) -> str:
        return f'max_over_time({_STATE}{{state="{state}"}}[{SPAN}])'

    ended = [f"{_CODES.index(state)} * {seen(state)}" for state in _ENDS]
    codes = [_still_running(), f"0 * {seen('running')}", *ended]
    return f"max {_BY} ({' or '.join(codes)})"
