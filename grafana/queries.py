"""PromQL as the dashboards write it: selectors that follow the page's variables, units of the catalogue."""

import re
from typing import Any

from gputally.catalogue import BY_NAME

Json = dict[str, Any]

DATASOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}
SELECT = 'cluster=~"$cluster", job=~"$job", instance=~"$instance"'
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
    return re.sub(r"(?<=[a-zA-Z0-9_])\{([^}]*)\}", _with_variables, expression)


def _with_variables(braces: "re.Match[str]") -> str:
    own = braces.group(1).strip().rstrip(",")
    return "{" + ", ".join(part for part in (SELECT, own) if part) + "}"


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


def instant(expression: str) -> Json:
    """A query of the last moment of the time range."""
    return series(expression, "__auto") | {"instant": True, "range": False}


def rows(expression: str) -> Json:
    """The same as rows of a table: one for each series, its labels as fields."""
    return instant(expression) | {"format": "table"}
