"""What was held, what of it was used, and what power that took."""

from collections.abc import Sequence
from dataclasses import replace

from grafana.ledger import HOURS, most, named, per_hour
from grafana.overrides import of_query, overridden
from grafana.overtime import MEAN
from grafana.panels import Look, timeseries
from grafana.queries import Json, series

from gputally.report.questions import NOT_HELD, TEAM

_AT_END = "@ end()"
_USED = Look("percentunit", minimum=0, maximum=1)


def load_and_power() -> Json:
    """Two axes: is power drawn while work is done?"""
    right: Json = {
        "color": {"fixedColor": "orange", "mode": "fixed"},
        "custom.axisPlacement": "right",
        "custom.fillOpacity": 0,
        "custom.lineWidth": 2,
        "max": None,
        "unit": "watt",
    }
    body = timeseries(
        "Utilisation and power, 24 h",
        "Left, filled: how busy the mean GPU of a cluster was. Right, the line: what the cluster's GPUs drew "
        "together. Power that stays while utilisation falls is paid for nothing. Of several clusters, choose "
        "one.",
        [
            series(_trend("cluster:gpu_utilization:avg5m"), "utilisation {{cluster}}"),
            series(_trend("cluster:gpu_power_watts:avg5m"), "power {{cluster}}"),
        ],
        replace(_USED, decimals=0),
    )
    blue: Json = {"color": {"fixedColor": "blue", "mode": "fixed"}, "custom.fillOpacity": 25}
    body = overridden(body, [of_query("A", blue), of_query("B", right)])
    return body | {"interval": "10m", "timeFrom": "24h"}


def _trend(rule: str) -> str:
    return f"avg by (cluster) (avg_over_time({rule}{{}}[$__interval]))"


def held_and_used() -> Json:
    """GPU hours of an hour are GPUs."""
    names = ("held", "used", "held by nobody")
    amounts: Sequence[str] = (per_hour(TEAM["gpu_hours"]), per_hour(TEAM["busy_hours"]), per_hour(NOT_HELD))
    body = timeseries(
        "GPUs held and used",
        f"How many GPUs jobs held, and how many of them computed at a time, {MEAN}. Held by nobody: of the "
        "whole cluster.",
        [series(amount, name) for amount, name in zip(amounts, names, strict=True)],
        Look(
            HOURS.unit,
            decimals=1,
            minimum=0,
            colors={"held": "orange", "used": "blue", "held by nobody": "text"},
        ),
    )
    return body | {"interval": "1h", "maxDataPoints": 100}


def utilisation_by_team() -> Json:
    """Which team uses what it holds?"""
    held, used = (per_hour(TEAM[amount], "team") for amount in ("gpu_hours", "busy_hours"))
    few = most(TEAM["gpu_hours"], "team", _AT_END)
    body = timeseries(
        "Utilisation by team",
        "The part of the time for which its jobs held GPUs in which they computed, of the ten teams that "
        "held most.",
        [series(named(f"{used} / ({held} > 0) and on (team) {few}", "team"), "{{team}}")],
        _USED,
    )
    body["fieldConfig"]["defaults"]["custom"] |= {"fillOpacity": 0, "lineWidth": 2}
    return body | {"interval": "1h", "maxDataPoints": 30}  # of single hours ten lines are a thicket
