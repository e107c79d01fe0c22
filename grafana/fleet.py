"""The home page: is the fleet healthy, is it busy, what does it cost right now, which card is it?"""

from dataclasses import replace

from grafana import fleettiles
from grafana.fleettiles import CELSIUS, COUNT, FULL, GPU, KWH, LOAD, SEVERITIES, WATTS
from grafana.jobs import power_by_team, running_jobs
from grafana.overrides import of_query, overridden
from grafana.overtime import GREYS
from grafana.page import Line, Opening, page
from grafana.panels import Look, timeseries
from grafana.queries import HEARTBEAT, TROUBLE, Json, at_end, series
from grafana.tables import NO_NUMBER, Column, joined, link, or_said, paged, table, to_gpu, to_machine, words
from grafana.variables import currency

UID = "gputally-fleet"

OF_LIMIT = Look("percentunit", ((None, "yellow"),), decimals=0, minimum=0, maximum=1)
FEW = 12  # machines or GPUs that get a line of their own, of a thousand

_LOAD = "gpu:gpu_busy_seconds:rate5m{}"  # the rule leaves lost GPUs out
BUSY = f"{_LOAD} >= bool 0.05"
BY_GPU = "max by (cluster, instance, gpu, uuid)"
_STATES = {"0": ("lost", "red"), "1": ("up", "text"), "2": ("idle", "blue"), "3": ("busy", "green")}


def fleet() -> Json:
    """All GPUs of all machines, as far as the variables select them."""
    lines: list[Line] = [
        (4, [(6, tile) for tile in fleettiles.health()]),
        (4, [(6, tile) for tile in fleettiles.money()]),
        (8, [(7, _states()), (7, _power_and_load()), (10, _firing())]),
        (11, [(24, _cards())]),
        (9, [(24, running_jobs())]),
        (9, [(8, power_by_team()), (8, _power_by_machine()), (8, _hottest())]),
    ]
    about = "Health, load, power, energy and cost of all GPUs that gputally meters."
    opening = Opening("now-1h", choices=[currency()])
    return page(UID, "GPU fleet", about, lines, opening=opening)


def _states() -> Json:
    body = timeseries(
        "GPUs by state",
        "Busy: a kernel ran for 5 % of the last five minutes or more. Not measured: the card is up and tells "
        "no utilisation (MIG), or has been seen for less than a minute.",
        [
            series(f"sum({BUSY})", "busy"),
            series(f"sum({_LOAD} < bool 0.05)", "idle"),
            series(f"sum(gpu_up{{}}) - (count({_LOAD}) or 0 * sum(gpu_up{{}}))", "not measured"),
            series("count(gpu_up{}) - sum(gpu_up{})", "lost"),
        ],
        Look(
            "none",
            decimals=0,
            minimum=0,
            stacked=True,
            colors={"busy": "green", "idle": "blue", "not measured": "text", "lost": "red"},
        ),
    )
    # The border of what is zero would lie, in red, on top of all that is well.
    body["fieldConfig"]["defaults"]["custom"]["lineWidth"] = 0
    return body


def _power_and_load() -> Json:
    body = timeseries(
        "Power and utilisation",
        "What all GPUs draw together, on the left; on the right the mean share of five minutes in which a "
        "kernel ran on them.",
        [
            series("sum(instance:gpu_power_watts:sum{})", "power"),
            series(f"avg({_LOAD})", "utilisation"),
        ],
        replace(WATTS, colors={"power": "orange", "utilisation": "blue"}),
    )
    right: Json = {
        "custom.axisPlacement": "right",
        "custom.fillOpacity": 0,
        "custom.lineWidth": 2,
        "decimals": 0,
        "max": 1,
        "min": 0,
        "unit": LOAD.unit,
    }
    return overridden(body, [of_query("B", right)])


def _firing() -> Json:
    """A list that says so when it is empty, as far as the heartbeat shows that anything is evaluated."""
    # The gravest has the highest; 0 is the heartbeat's.
    ranks = {name: len(SEVERITIES) - place for place, name in enumerate(SEVERITIES)}
    firing = " or ".join(f'{rank} * ALERTS{{{TROUBLE}, severity="{name}"}}' for name, rank in ranks.items())
    since = f"ALERTS_FOR_STATE{{}} and ignoring (alertstate) ALERTS{{{TROUBLE}}}"
    said = {str(rank): (name, SEVERITIES[name]) for name, rank in ranks.items()} | {"0": ("none", "green")}
    columns = [
        *joined("cluster"),
        Column(
            "Severity",
            expr=_or_quiet(firing, f"0 * ALERTS{{{HEARTBEAT}}}"),
            cell="color-text",
            width=80,
            mappings=(words(said),),
        ),
        Column("Alert", name="alertname"),
        Column("Machine", name="instance", width=135, link=to_machine()),
        Column("GPU", name="gpu", width=50, link=to_gpu()),
        Column("Job", name="job_id", width=70, link=link("gputally-job", "This job", job_id="")),
        Column(
            "Since",
            expr=f"1000 * ({_or_quiet(since, f'NaN * ALERTS_FOR_STATE{{{HEARTBEAT}}}')})",
            look=Look("dateTimeFromNow"),
            width=115,
            mappings=(NO_NUMBER,),
        ),
    ]
    body = table(
        "Firing alerts",
        "What fires, and since when it has been so, the gravest on top. Where nothing does, the only line is "
        "the heartbeat's, which fires while Prometheus evaluates alerts.",
        columns,
        sort=("Severity",),
        descending=True,
    )
    return or_said(body, "No alerts are evaluated: does Prometheus load prometheus/alerts?")


def _or_quiet(trouble: str, heartbeat: str) -> str:
    by = "cluster, alertname, instance, gpu, job_id"
    quiet = f'label_replace({heartbeat}, "alertname", "Nothing fires", "", "")'
    return f"max by ({by}) ({trouble}) or on () max by ({by}) ({quiet})"


def _cards() -> Json:
    memory = "gpu_memory_used_bytes{} / gpu_memory_total_bytes{}"
    power = "gpu_power_watts{} / (gpu_power_limit_watts{} > 0)"
    energy = "gpu_energy_day_joules{} and on (cluster, day) site_day_info{}"
    columns = [
        *joined("cluster", "uuid"),
        Column("Machine", name="instance", link=to_machine(), filtered=True),
        Column("GPU", name="gpu", width=60, link=to_gpu()),
        _state(),
        Column("Utilisation", expr=f"{BY_GPU} (gpu_utilization_ratio{{}})", look=LOAD, cell="basic"),
        Column("Memory", expr=f"{BY_GPU} ({memory})", look=FULL, cell="basic"),
        Column("Of power limit", expr=f"{BY_GPU} ({power})", look=OF_LIMIT, cell="basic"),
        Column("Power", expr=f"{BY_GPU} (gpu_power_watts{{}})", look=WATTS, width=80),
        Column(
            "Temperature",
            expr=f"{BY_GPU} (gpu_temperature_celsius{{}})",
            look=CELSIUS,
            cell="color-text",
            width=105,
        ),
        Column("Energy today", expr=f"{BY_GPU} ({energy}) / 3.6e6", look=KWH, width=110),
        Column("Processes", expr=f"{BY_GPU} (gpu_processes{{}})", look=COUNT, width=90),
        Column("Model", name="name", filtered=True),
        Column("Model", expr="max by (cluster, instance, gpu, uuid, name) (gpu_info{})", hidden=True),
    ]
    body = table(
        "GPUs",
        "All GPUs of the chosen machines, page by page; lost ones keep their row. Machine and GPU lead to "
        "the page of the machine. State as in the panel above.",
        columns,
        sort=("Machine", "GPU"),
    )
    return paged(body)


def _state() -> Column:
    # 0 lost, 1 up and nothing more known, 2 idle, 3 busy
    state = f"gpu_up{{}} + ({BUSY}) + 1 or gpu_up{{}}"
    return Column(
        "State", expr=f"{BY_GPU} ({state})", cell="color-text", width=75, mappings=(words(_STATES),)
    )


def _power_by_machine() -> Json:
    power = "instance:gpu_power_watts:sum{}"
    # Chosen at the range's end: at every point anew, it would be now these and now those.
    few = f"{power} and on (cluster, instance) topk({FEW}, {at_end(power)})"
    return timeseries(
        "Power by machine",
        f"What the GPUs of each machine draw, on top of each other: the {FEW} machines that draw most at the "
        "end of the time range, and the others together.",
        [series(few, "{{instance}}"), series(f"clamp_min(sum({power}) - sum({few}), 0)", "others")],
        replace(WATTS, stacked=True, colors={"others": GREYS["others"]}),
    )


def _hottest() -> Json:
    heat = "gpu_temperature_celsius{}"
    body = timeseries(
        "Hottest GPUs",
        f"Temperature of the {FEW} chips that are hottest at the end of the time range.",
        [series(f"{heat} and on (cluster, instance, uuid) topk({FEW}, {at_end(heat)})", GPU)],
        CELSIUS,
    )
    return overridden(body, [of_query("A", {"custom.fillOpacity": 0})])
