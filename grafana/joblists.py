"""Jobs one by one: those that run, by machine, from their own counters; those that ran, from their finals."""

from grafana.charts import Bars, bars
from grafana.jobs import STATES, to_job
from grafana.ledger import EMPTY, ENERGY, SHARE
from grafana.panels import Look
from grafana.queries import PEOPLE, Json, rows
from grafana.tables import Column, joined, link, table, to_machine, words
from grafana.transformations import MERGED, drop_without, first, sort_by

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
_UTILISATION = "job_id_names:gpu_job_utilization:ratio"
_STATE = "job_id:gpu_job_state_code:max"
_GPUS = "job_id:gpu_job_gpus:max"
CODES = ("running", "completed", "ended", "cancelled", "timeout", "failed")  # the rule's numbers, from 1
# Evaluated every 5 minutes: an instant alone would fall between two evaluations.
_NOW = f"max_over_time({_STATE}{{}}[10m])"
_AMOUNT = Look("none")  # of a job of seconds it is less than a cent
_COUNT = Look("none", decimals=0)


def running() -> Json:
    """What runs where, and what it does there at this moment."""
    by = "by (cluster, instance, job_id)"

    def now(counter: str) -> str:
        return f"sum {by} (rate({counter}{{}}[$__rate_interval]) and {SAME_PLACE} ({RUNNING}))"

    held = now("gpu_job_gpu_seconds_total")
    busy = f"{now('gpu_job_busy_seconds_total')} / ({held} > 0)"
    names = "cluster, instance, job_id, user, team, job_name, model, scheduler"
    began = f"min {by} (gpu_job_start_time_seconds{{}} and {SAME_PLACE} ({RUNNING})) * 1000"
    columns = [
        *joined("cluster"),
        *_whose(to_job()),
        Column("GPUs", expr=held, look=Look("none", decimals=1), width=55),
        Column("Power", expr=now("gpu_job_energy_joules_total"), look=Look("watt"), width=80),
        Column("Cost per hour", expr=f"{now('gpu_job_cost_total')} * 3600", look=_AMOUNT, width=120),
        Column("Utilisation", expr=busy, look=SHARE, cell="basic"),
        Column("Began", expr=began, look=Look("dateTimeFromNow"), width=135),
        Column("Machine", name="instance", link=to_machine(), width=145),
        _model(),
        Column("By", name="scheduler", width=85),
        Column("By", expr=f"max by ({names}) ({RUNNING})", hidden=True, needed=True),
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
    goes_on = f"time() + 0 * ({_NOW} == 1)"
    state = f"{_NOW} or (max_over_time({_STATE}{{}}[{SPAN}]) > 1)"
    used = f"max {_BY} (last_over_time({_UTILISATION}{{}}[{SPAN}]))"
    columns = [
        *joined("cluster", "currency", "scheduler"),
        *_whose(to_job("${__data.fields.Until}")),
        Column("State", expr=f"max {_BY} ({state})", cell="color-text", width=90, mappings=_said()),
        Column("Names", expr=_NAMES, hidden=True, needed=True),
        Column("Began", expr=f"1000 * {began}", look=Look("time:MM-DD HH:mm"), width=100),
        Column("Ended", expr=f"1000 * ({ended} or {goes_on})", hidden=True),
        Column("Runtime", made_of=("Ended", "-", "Began"), look=Look("ms", decimals=1), width=85),
        Column("GPUs", expr=f"max {_BY} (max_over_time({_GPUS}{{}}[{SPAN}]))", look=_COUNT, width=55),
        Column("Energy", expr=_final("kwh"), look=ENERGY, width=80),
        Column("Cost", expr=_final("cost"), look=_AMOUNT, width=80),
        Column("Utilisation", expr=used, look=SHARE, cell="basic"),
        Column("GPU hours", expr=_final("gpu_hours"), look=Look("none", decimals=2), width=90),
        Column("Unused cost", expr=_final("unused_cost"), look=_AMOUNT, width=105),
        _model(),
        _until(ended),
    ]
    return table(
        "Jobs of the last $span ($currency)",
        "Jobs that ran in the last $span of the time range, with all that they have used since they began; a "
        "job is listed, and its end is known, within five minutes. GPUs: how many it had at once. "
        "One that left some of its machines ten minutes before the others is counted short here, and in full "
        "on its own page. Longer lists: gputally report jobs.",
        columns,
        sort=("Cost",),
        descending=True,
    )


def dearest() -> Json:
    """The top of the bill."""
    labelled = f'label_join({_NAMES}, "label", "  ", "job_name", "job_id")'
    steps = [
        MERGED,
        drop_without("Value #A"),
        drop_without("Value #B"),
        sort_by("Value #A", descending=True),
        first(10),
    ]
    return bars(
        "Ten most expensive jobs of the last $span ($currency)",
        "What each has cost since it began, by its name and number.",
        [rows(_final("cost")), rows(f"max by (cluster, job_id, label) ({labelled})")],
        Look("none", ((None, "green"),), minimum=0),
        Bars(
            {"label": "Job", "Value #A": "Cost"},
            without=["cluster", "currency", "job_id", "Value #B"],
            steps=steps,
            horizontal=True,
        ),
    )


def distribution() -> Json:
    """How well jobs use what they hold."""
    used = f"max {_BY} (last_over_time({_UTILISATION}{{}}[{SPAN}]))"
    tenths = f'count_values("from", 10 * clamp_max(floor(10 * {used}), 9))'
    counted = f'label_replace({tenths}, "utilisation", "$1 %", "from", "(.*)")'
    # Tenths without a job are drawn, too, once anything is known of jobs.
    tens = ("0", *(f"{n}0" for n in range(1, 10)))
    none = " or ".join(f'label_replace(vector(0), "utilisation", "{ten} %", "", "")' for ten in tens)
    return bars(
        "Utilisation of the jobs of the last $span",
        "How many jobs computed for how much of the time for which they held GPUs: 0 % are those from 0 to "
        "10 %, and so on.",
        [rows(f"{counted} or on (utilisation) ({none}) and on () count({_NOW})")],
        Look("short", ((None, "blue"),), decimals=0, minimum=0),
        Bars(
            {"utilisation": "Utilisation", "Value": "Jobs"}, without=["from"], steps=[sort_by("utilisation")]
        ),
    )


def _whose(to_job: Json) -> list[Column]:
    return [
        Column("Job", name="job_id", width=185, link=to_job),
        Column("Name", name="job_name", width=170),
        Column("Team", name="team", width=95, link=link("gputally-teams", "The team", team="")),
        Column("User", name="user", width=75, link=link("gputally-cost", "What the user spends", user="")),
    ]


def _model() -> Column:
    return Column(
        "AI model", name="model", width=120, link=link("gputally-cost", "What the model costs", model="")
    )


def _until(ended: str) -> Column:
    """Where the page of a job looks to: ten minutes after its end all is recorded. Without an end, to now."""
    now: Json = {"color": "text", "index": 0, "text": "now"}
    return Column(
        "Until",
        expr=f"1000 * ceil({ended} + 600)",
        look=Look("none", decimals=0),
        mappings=({"options": {"match": "null", "result": now}, "type": "special"},),
        unseen=True,
    )


def _final(amount: str) -> str:
    return questions.finals(JOB[amount], SPAN, EMPTY)


def _said() -> tuple[Json, ...]:
    texts = {str(code): (state, STATES[state]) for code, state in enumerate(CODES, start=1)}
    vanished: Json = {"color": "orange", "index": len(CODES), "text": "vanished"}
    return (words(texts), {"options": {"match": "null", "result": vanished}, "type": "special"})
