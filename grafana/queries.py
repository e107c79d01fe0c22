"""PromQL as the dashboards write it: selectors that follow the page's variables, units of the catalogue."""

import re
from typing import Any

from gputally.catalogue import BY_NAME

Json = dict[str, Any]

DATASOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}
CLUSTER = 'cluster=~"$cluster"'
SELECT = f'{CLUSTER}, job=~"$job", instance=~"$instance"'
PEOPLE = 'team=~"$team", user=~"$user", model=~"$model"'
CURRENCY = 'currency="$currency"'  # one: amounts of two have no sum
# What recorded series are still labelled with; below the cluster's level they are of single machines.
_LEVELS = {
    "cluster": CLUSTER,
    "uuid": CLUSTER,
    "job_id": CLUSTER,
    "job_id_names": f"{CLUSTER}, {PEOPLE}",
    "team": f'{CLUSTER}, team=~"$team"',
    "model": f'{CLUSTER}, model=~"$model"',
    "team_user_model": f"{CLUSTER}, {PEOPLE}",
}
_MONEY = re.compile(r"cost(?!_audit)|price")
# `up` is every target's: "All" jobs would count Prometheus itself among the agents.
AGENTS = 'job="gputally-node"'
# Alerts such as GputallyExporterAbsent name no machine, and have to be seen all the same.
SELECT_ALERTS = 'alertstate="firing", cluster=~"$cluster|"'

_UNITS = {
    "": "short",
    "watts": "watt",
    "joules": "joule",
    "seconds": "s",
    "bytes": "bytes",
    "celsius": "celsius",
    "hertz": "hertz",
    "ratio": "percentunit",
    "timestamp_seconds": "dateTimeFromNow",
}


def unit_of(metric: str) -> str:
    """Grafana's unit for a family of the catalogue. Raises KeyError for a name that it does not have."""
    return _UNITS[BY_NAME[metric].unit]


def select(expression: str) -> str:
    """Fill the page's variables into every `{}` and `{..., }` that stands behind a metric's name."""
    return re.sub(r"([a-zA-Z_][a-zA-Z0-9_:]*)\{([^}]*)\}", _with_variables, expression)


def _with_variables(found: "re.Match[str]") -> str:
    metric, braces = found.groups()
    own = braces.strip().rstrip(",")
    return f"{metric}{{{', '.join(part for part in (chosen(metric), own) if part)}}}"


def chosen(metric: str) -> str:
    """Matchers of what the reader has chosen, as far as series of this name have the labels."""
    level, is_recorded, _ = metric.partition(":")
    choices = _LEVELS.get(level, SELECT) if is_recorded else SELECT
    if metric.startswith("site_"):
        choices = CLUSTER
    return f"{choices}, {CURRENCY}" if _MONEY.search(metric) else choices


def series(expression: str, legend: str, *, selected: bool = True) -> Json:
    """A query over the page's time range."""
    return {
        "datasource": DATASOURCE,
        "editorMode": "code",
        "expr": select(expression) if selected else expression,
        "instant": False,
        "legendFormat": legend,
        "range": True,
    }


def instant(expression: str, legend: str = "__auto") -> Json:
    """A query of the last moment of the time range."""
    return series(expression, legend) | {"instant": True, "range": False}


def rows(expression: str) -> Json:
    """The same as rows of a table: one for each series, its labels as fields."""
    return instant(expression) | {"format": "table"}
