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
ONE_JOB = 'job_id="$job_id"'
FINE = "team_user_model"
# Coarser levels of the same hourly tiles, and what they keep; the first that has the labels answers.
FOLDED = {"model": ("model",), "team": ("team",), "consumer": ("team", "user")}
# What recorded series are still labelled with; below the cluster's level they are of single machines.
_LEVELS = {
    "cluster": CLUSTER,
    "uuid": CLUSTER,
    "job_id": CLUSTER,
    "job_id_names": f"{CLUSTER}, {PEOPLE}",
    "team": f'{CLUSTER}, team=~"$team"',
    "model": f'{CLUSTER}, model=~"$model"',
    FINE: f"{CLUSTER}, {PEOPLE}",
    # Of the market and of one's own cards: whatever else is chosen there, pages about it write themselves.
    "offer": CLUSTER,
    "provider": CLUSTER,
    "card_provider": CLUSTER,
    "card": CLUSTER,
    "rental": CLUSTER,
    # Of what is booked.
    "machine": CLUSTER,
    "holder": CLUSTER,
    "reservation": CLUSTER,
    "reservation_gpu": CLUSTER,
    "reservation_user": CLUSTER,
    "charge": f'{CLUSTER}, team=~"$team"',
}
_MONEY = re.compile(
    r"cost(?!_audit|_latest_day|_import_rows)|price|owned_gpu_(?:capital|residual|opex|rate)|usd_per_unit"
)
# What the site's agent shows, which is of the cluster and of no machine in it.
OF_SITE = (
    "site_",
    "gpu_market_",
    "gpu_catalog_",
    "gpu_rental_",
    "gpu_plan_",
    "gpu_reservation_",
    "gpu_cloud_",
    "gputally_ledger_",
)
# `up` is every target's: "All" jobs would count Prometheus itself among the agents.
AGENTS = 'job="gputally-node"'
OURS = 'job=~"gputally-node|gputally-site"'  # site agents serve and load files as node agents do
# Alerts such as GputallyExporterAbsent name no cluster and no machine, and have to be seen all the same.
_ALERTS = 'cluster=~"$cluster|"'
HEARTBEAT = 'alertname="GputallyWatchdog"'  # fires while all is well: no news
TROUBLE = 'alertstate="firing", alertname!="GputallyWatchdog", instance=~"$instance|"'
_PROMETHEUS = "prometheus_"  # what it tells of itself: one server for all clusters

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


def is_folded(metric: str) -> bool:
    """Whether this is a coarse tile."""
    return metric.partition(":")[0] in FOLDED and metric.endswith(":increase1h")


def chosen(metric: str) -> str:
    """Matchers of what the reader has chosen, as far as series of this name have the labels."""
    if metric.startswith(_PROMETHEUS):
        return ""
    level, is_recorded, _ = metric.partition(":")
    choices = _LEVELS.get(level, SELECT) if is_recorded else SELECT
    if is_folded(metric):
        choices = _LEVELS[FINE]  # folded.py: why also what they do not have
    if metric.startswith(OF_SITE):
        choices = CLUSTER
    if metric.startswith("ALERTS"):
        choices = _ALERTS
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


def at_end(gauge: str) -> str:
    """A gauge at the end of the time range, though a scrape or two be missing there."""
    return f"last_over_time({gauge}[10m] @ end())"
