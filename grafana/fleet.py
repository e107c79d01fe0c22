"""The home page: is the fleet healthy, is it busy, what does it draw, which card is it, is metering well?"""

from dataclasses import replace

from grafana.jobs import jobs, power_by_team
from grafana.page import Line, Opening, page
from grafana.panels import Look, Steps, row, stat, timeseries
from grafana.queries import AGENTS, SELECT_ALERTS, Json, instant, series, unit_of
from grafana.tables import Column, table

UID = "gputally-fleet"

HEAT: Steps = ((None, "green"), (80, "orange"), (90, "red"))
FILL: Steps = ((None, "purple"), (0.9, "orange"), (0.97, "red"))

COUNT = Look("short", sparkline=False)
FAULTS = Look("short", ((None, "green"), (1, "red")), decimals=0, sparkline=False)
WARNINGS = Look("short", ((None, "green"), (1, "orange")), decimals=0, sparkline=False)
WATTS = Look(unit_of("gpu_power_watts"), ((None, "yellow"),), minimum=0)
KWH = Look("kwatth", ((None, "yellow"),), sparkline=False)
LOAD = Look(unit_of("gpu_utilization_ratio"), ((None, "blue"),), decimals=0, minimum=0, maximum=1)
FULL = Look("percentunit", FILL, decimals=0, minimum=0, maximum=1)
OF_LIMIT = Look("percentunit", ((None, "yellow"),), decimals=0, minimum=0, maximum=1)
CELSIUS = Look(unit_of("gpu_temperature_celsius"), HEAT, decimals=0)
SECONDS = Look("s", minimum=0)
SAMPLE_AGE = Look("s", ((None, "green"), (60, "orange"), (120, "red")), decimals=0, sparkline=False)

JOULES_PER_KWH = "3.6e6"
BUSY = "gpu:gpu_busy_seconds:rate5m{} >= bool 0.05"  # the rule leaves lost GPUs out
COUNTED_LOAD = "rate(gpu_busy_seconds_total{}[$__rate_interval]) and gpu_up{} == 1"
BY_GPU = "max by (cluster, instance, gpu, uuid)"
GPU = "{{instance}} · {{gpu}}"


def fleet() -> Json:
    """All GPUs of all machines, as far as the variables select them."""
    lines: list[Line] = [
        (4, [(3, tile) for tile in _tiles()]),
        (8, [(9, _states()), (15, _power_by_machine())]),
        (11, [(24, _cards())]),
        (10, [(24, jobs())]),
        (8, [(6, panel) for panel in (power_by_team(), *_by_gpu())]),
        (1, [(24, row("The metering itself"))]),
        (4, [(4, tile) for tile in _agent_tiles()]),
        (7, [(8, panel) for panel in _agents()]),
    ]
    about = "Health, load, power and energy of all GPUs that gputally meters."
    return page(UID, "GPU fleet", about, lines, opening=Opening("now-1h"))


def _tiles() -> list[Json]:
    used, total = "sum(gpu_memory_used_bytes{})", "sum(gpu_memory_total_bytes{})"
    return [
        stat("GPUs up", "GPUs that answer.", series("sum(gpu_up{})", "up"), COUNT),
        stat(
            "GPUs lost",
            "GPUs that were there and can no longer be read. See the table for which.",
            series("sum(gpu_up{} == bool 0)", "lost"),
            FAULTS,
        ),
        stat(
            "Alerts",
            "Alerts that fire now, of any severity. Alertmanager says more.",
            series(f"count(ALERTS{{{SELECT_ALERTS}}}) or vector(0)", "firing", selected=False),
            WARNINGS,
        ),
        stat(
            "Power",
            "What all GPUs draw together, as their drivers report it.",
            series("sum(gpu_power_watts{})", "power"),
            WATTS,
        ),
        stat(
            "Utilisation",
            "Mean over all GPUs that answer of the share of time in which a kernel ran.",
            series(f"avg({COUNTED_LOAD})", "busy"),
            LOAD,
        ),
        stat("Memory", "Device memory in use, all GPUs together.", series(f"{used} / {total}", "used"), FULL),
        stat(
            "Energy, 24 h",
            "What all GPUs have used in the 24 hours up to the end of the time range, by their meters.",
            instant(f"sum(increase(gpu_energy_joules_total{{}}[24h])) / {JOULES_PER_KWH}"),
            KWH,
        ),
        stat(
            "Hottest GPU",
            "The highest temperature of any GPU. Cards slow themselves down between 83 and 105 °C.",
            series("max(gpu_temperature_celsius{})", "hottest"),
            CELSIUS,
        ),
    ]


def _states() -> Json:
    return timeseries(
        "GPUs by state",
        "Busy: a kernel ran for 5 % of the last five minutes or more. Not measured: the card is up and tells "
        "no utilisation (MIG), or has been seen for less than a minute.",
        [
            series(f"sum({BUSY})", "busy"),
            series(f"count({BUSY}) - sum({BUSY})", "idle"),
            series(f"sum(gpu_up{{}}) - (count({BUSY}) or 0 * sum(gpu_up{{}}))", "not measured"),
            series("sum(gpu_up{} == bool 0)", "lost"),
        ],
        Look(
            "short",
            decimals=0,
            minimum=0,
            stacked=True,
            colors={"busy": "green", "idle": "blue", "not measured": "text", "lost": "red"},
        ),
    )


def _power_by_machine() -> Json:
    return timeseries(
        "Power by machine",
        "What the GPUs of each machine draw, on top of each other.",
        [series("instance:gpu_power_watts:sum{}", "{{instance}}")],
        Look(unit_of("gpu_power_watts"), minimum=0, stacked=True),
    )


def _cards() -> Json:
    memory = "gpu_memory_used_bytes{} / gpu_memory_total_bytes{}"
    power = "gpu_power_watts{} / gpu_power_limit_watts{}"
    # Of GPUs that are there now: a machine that has left in the last day would be a row without a name.
    energy = f"increase(gpu_energy_joules_total{{}}[24h]) / {JOULES_PER_KWH} and gpu_up{{}}"
    columns = [
        Column("Cluster", name="cluster", hidden=True),
        Column("UUID", name="uuid", hidden=True),
        Column("Machine", name="instance"),
        Column("GPU", name="gpu", width=60),
        Column("Model", name="name"),
        Column("Model", expr="max by (cluster, instance, gpu, uuid, name) (gpu_info{})", hidden=True),
        _state_column(),
        Column("Utilisation", expr=f"{BY_GPU} (gpu_utilization_ratio{{}})", look=LOAD, cell="basic"),
        Column("Memory", expr=f"{BY_GPU} ({memory})", look=FULL, cell="basic"),
        Column("Of power limit", expr=f"{BY_GPU} ({power})", look=OF_LIMIT, cell="basic"),
        Column("Power", expr=f"{BY_GPU} (gpu_power_watts{{}})", look=WATTS, width=90),
        Column(
            "Temperature",
            expr=f"{BY_GPU} (gpu_temperature_celsius{{}})",
            look=CELSIUS,
            cell="color-text",
            width=110,
        ),
        Column("Energy, 24 h", expr=f"{BY_GPU} ({energy})", look=KWH, width=110),
        Column("Processes", expr=f"{BY_GPU} (gpu_processes{{}})", look=COUNT, width=95),
    ]
    return table(
        "GPUs",
        "One row for each GPU that has been seen: lost ones keep theirs. State as in the panel above.",
        columns,
        sort=("Machine", "GPU"),
    )


def _state_column() -> Column:
    words = [("lost", "red"), ("up", "text"), ("idle", "blue"), ("busy", "green")]
    mapping: Json = {
        "options": {
            str(value): {"color": color, "index": value, "text": text}
            for value, (text, color) in enumerate(words)
        },
        "type": "value",
    }
    # 0 lost, 1 up and nothing more known, 2 idle, 3 busy
    state = f"gpu_up{{}} + ({BUSY}) + 1 or gpu_up{{}}"
    return Column("State", expr=f"{BY_GPU} ({state})", cell="color-text", width=80, mappings=(mapping,))


def _by_gpu() -> list[Json]:
    return [
        timeseries(
            "Utilisation by GPU",
            "Share of time in which a kernel ran, counted by the agent tick by tick.",
            [series(COUNTED_LOAD, GPU)],
            replace(LOAD, crowded=True, decimals=None),
        ),
        timeseries(
            "Power by GPU",
            "What each GPU draws, as its driver reports it.",
            [series("gpu_power_watts{}", GPU)],
            replace(WATTS, crowded=True),
        ),
        timeseries(
            "Temperature by GPU",
            "Temperature of each chip.",
            [series("gpu_temperature_celsius{}", GPU)],
            replace(CELSIUS, crowded=True),
        ),
    ]


def _agent_tiles() -> list[Json]:
    up = f"up{{{AGENTS}}}"
    return [
        stat("Agents up", "Agents that Prometheus can scrape.", series(f"sum({up})", "up"), COUNT),
        stat(
            "Agents down",
            "Agents that Prometheus cannot scrape: their GPUs are missing from this page.",
            series(f"sum({up} == bool 0)", "down"),
            FAULTS,
        ),
        stat(
            "Oldest sample",
            "Age of the oldest picture that an agent shows. Seconds are normal; minutes mean a hung driver.",
            series("max(time() - gputally_last_sample_timestamp_seconds{})", "age"),
            SAMPLE_AGE,
        ),
        stat(
            "Failing collectors",
            "Collectors whose latest run did not bring all that it should.",
            series("sum(gputally_collector_success{} == bool 0)", "failing"),
            WARNINGS,
        ),
        stat(
            "Hung driver calls",
            "Calls into the driver that have not come back in time. Each costs its own GPU only.",
            series("sum(gputally_stuck_workers{})", "hung"),
            FAULTS,
        ),
        stat(
            "Series",
            "Series that the agents show in a scrape, all together.",
            series(f"sum(scrape_samples_scraped{{{AGENTS}}})", "series"),
            COUNT,
        ),
    ]


def _agents() -> list[Json]:
    return [
        timeseries(
            "Scrape duration",
            "How long Prometheus takes to read each agent.",
            [series(f"scrape_duration_seconds{{{AGENTS}}}", "{{instance}}")],
            SECONDS,
        ),
        timeseries(
            "Collector run time",
            "How long the slowest latest run of each collector took, over all agents.",
            [series("max by (collector) (gputally_collector_duration_seconds{})", "{{collector}}")],
            SECONDS,
        ),
        timeseries(
            "Memory of the agents",
            "Resident memory of each agent.",
            [series(f"process_resident_memory_bytes{{{AGENTS}}}", "{{instance}}")],
            Look(unit_of("process_resident_memory_bytes"), minimum=0),
        ),
    ]
