"""The home page in numbers: what a person wants to know first, each with the page that says more."""

from dataclasses import replace

from grafana.charts import Part, beside
from grafana.panels import Look, Steps, linked, stat
from grafana.queries import AGENTS, HEARTBEAT, TROUBLE, Json, instant, series, unit_of
from grafana.tables import link

HEAT: Steps = ((None, "green"), (80, "orange"), (90, "red"))
FILL: Steps = ((None, "purple"), (0.9, "orange"), (0.97, "red"))
YELLOW: Steps = ((None, "yellow"),)
ORANGE: Steps = ((None, "orange"),)

COUNT = Look("none", decimals=0, sparkline=False)
FAULTS = replace(COUNT, steps=((None, "green"), (1, "red")))
WATTS = Look(unit_of("gpu_power_watts"), YELLOW, minimum=0)
KWH = Look("kwatth", YELLOW, sparkline=False)
LOAD = Look(
    unit_of("gpu_utilization_ratio"), ((None, "blue"),), 0, minimum=0, maximum=1, missing="not measured"
)
FULL = Look("percentunit", FILL, decimals=0, minimum=0, maximum=1)
CELSIUS = Look(unit_of("gpu_temperature_celsius"), HEAT, decimals=0)
AMOUNT = Look("none", YELLOW, decimals=2, sparkline=False)
RATE = Look("none", YELLOW, sparkline=False)  # of a few GPUs it is less than a cent
SAMPLE_AGE = Look("s", ((None, "green"), (60, "orange"), (120, "red")), decimals=0, sparkline=False)

GPU = "{{instance}} · {{gpu}}"
SEVERITIES = {"critical": "red", "warning": "orange", "info": "blue"}
_TO_HEALTH = link("gputally-health", "Health of the GPUs and of the metering")
_TO_COST = link("gputally-cost", "What it costs, and who spends it")
_TO_RENTALS = link("gputally-rent-or-own", "Whether renting would cost less")
# Of what is no job's: what nobody computed with. The rest is work of which nobody knows whose it is, or was
# booked late and all at once.
_NOBODYS = 'reason=~"idle|no_process|no_activity|unused_slices"'


def health() -> list[Json]:
    """Is it healthy, is it busy?"""
    return [_gpus(), _alerts(), _load(), _hottest()]


def money() -> list[Json]:
    """What does it draw and cost right now, what of it for nothing, and are these numbers of all machines?"""
    return [_power(), _cost(), _wasted(), _metering()]


def _gpus() -> Json:
    body = beside(
        "GPUs, now",
        "GPUs that answer, and GPUs that were there and can no longer be read; the table below says which.",
        [
            Part(series("sum(gpu_up{})", "up")),
            Part(series("count(gpu_up{}) - sum(gpu_up{})", "lost"), FAULTS),
        ],
        COUNT,
    )
    return linked(body, _TO_HEALTH)


def _alerts() -> Json:
    # Zero is known only where alerts are evaluated: the heartbeat says so.
    zero = f"0 * count(ALERTS{{{HEARTBEAT}}})"
    parts = [
        Part(
            instant(f'count(ALERTS{{{TROUBLE}, severity="{severity}"}}) or {zero}', severity),
            replace(COUNT, steps=((None, "green"), (1, color))),
        )
        for severity, color in SEVERITIES.items()
    ]
    return beside(
        "Alerts",
        "Alerts that fire now. Critical is for now, warning for today, info wakes nobody. The heartbeat is "
        "not among them: while it fires, alerts are evaluated.",
        parts,
        replace(COUNT, missing="not evaluated"),
    )


def _load() -> Json:
    used, total = "sum(gpu_memory_used_bytes{})", "sum(gpu_memory_total_bytes{})"
    return beside(
        "Utilisation and memory",
        "Mean over all GPUs that answer of the share of five minutes in which a kernel ran; device memory in "
        "use, all GPUs together.",
        [
            Part(series("avg(gpu:gpu_busy_seconds:rate5m{})", "utilisation")),
            Part(series(f"{used} / {total}", "memory"), FULL),
        ],
        LOAD,
    )


def _hottest() -> Json:
    return stat(
        "Hottest GPU",
        "The highest temperature of any GPU, and which it is. Cards slow themselves down between 83 and "
        "105 °C.",
        instant("topk(1, gpu_temperature_celsius{})", GPU),
        replace(CELSIUS, sparkline=False),
        named=True,
    )


def _power() -> Json:
    return beside(
        "Power and energy",
        "What all GPUs draw together, as their drivers report it; and what they have used today, by the "
        "site's calendar, of whole clusters, without PUE.",
        [
            Part(series("sum(instance:gpu_power_watts:sum{})", "now")),
            Part(instant("sum(cluster:gpu_energy_today_kwh:sum{})", "today"), KWH),
        ],
        WATTS,
    )


def _cost() -> Json:
    body = beside(
        "Cost ($currency)",
        "What all GPUs cost by the hour, as they ran over five minutes; and what today has cost so far, by "
        "the site's calendar, of whole clusters.",
        [
            Part(series("sum(instance:gpu_energy_cost_per_hour:rate5m{})", "per hour, now")),
            Part(instant("sum(cluster:gpu_cost_today:sum{})", "today"), AMOUNT),
        ],
        replace(RATE, sparkline=True),
    )
    return linked(body, _TO_COST, _TO_RENTALS)


def _wasted() -> Json:
    watts, money = (
        f"sum(rate(gpu_team_unused_{amount}{{}}[$__rate_interval])"
        f" or rate(gpu_unattributed_{amount}{{{_NOBODYS}}}[$__rate_interval]))"
        for amount in ("energy_joules_total", "cost_total")
    )
    body = beside(
        "Wasted now ($currency)",
        "What GPUs draw and cost that a job holds while nothing of it runs, and those that nobody uses. Work "
        "of which nobody knows whose it is, is not in it.",
        [
            Part(instant(watts, "power"), Look("watt", ORANGE)),
            Part(instant(f"{money} * 3600", "per hour")),
        ],
        replace(RATE, steps=ORANGE),
    )
    return linked(body, _TO_COST)


def _metering() -> Json:
    up = f"up{{{AGENTS}}}"
    body = beside(
        "Metering",
        "Agents that Prometheus can scrape, and those that it cannot: what their GPUs do is missing here. "
        "Age of the oldest picture that an agent shows: seconds are normal, minutes mean a hung driver.",
        [
            Part(series(f"sum({up})", "agents up")),
            Part(series(f"sum({up} == bool 0)", "down"), FAULTS),
            Part(
                series("max(time() - gputally_last_sample_timestamp_seconds{})", "oldest sample"), SAMPLE_AGE
            ),
        ],
        COUNT,
    )
    return linked(body, _TO_HEALTH)
