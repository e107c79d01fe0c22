"""What a page lets its reader choose: the data source, machines, people, and one currency."""

from grafana.queries import AGENTS, DATASOURCE, Json

_PEOPLE = "team_user_model:gpu_energy_kwh:increase1h"  # few series, and of long ago, too


def machines() -> list[Json]:
    """Data source, cluster, job, instance: on every page, in this order."""
    datasource = {
        "current": {},
        "hide": 0,
        "includeAll": False,
        "label": "Data source",
        "multi": False,
        "name": "datasource",
        "options": [],
        "query": "prometheus",
        "refresh": 1,
        "regex": "",
        "skipUrlSync": False,
        "type": "datasource",
    }
    return [
        datasource,
        # A target without the label counts as well: hence not `.+`.
        _labels("cluster", "Cluster", "up", everything=".*"),
        _labels("job", "Job", 'gpu_up{cluster=~"$cluster"}'),
        _labels("instance", "Instance", f'up{{cluster=~"$cluster", job=~"$job", {AGENTS}}}'),
    ]


def people() -> list[Json]:
    """Team, user and model, each within what was chosen before. Not everything that runs names a model."""
    team = f'{_PEOPLE}{{cluster=~"$cluster"}}'
    user = f'{_PEOPLE}{{cluster=~"$cluster", team=~"$team"}}'
    model = f'{_PEOPLE}{{cluster=~"$cluster", team=~"$team", user=~"$user"}}'
    return [
        _labels("team", "Team", team, everything=".*"),
        _labels("user", "User", user, everything=".*"),
        _labels("model", "AI model", model, everything=".*"),
    ]


def currency() -> Json:
    """One of them, never all: amounts of two currencies have no sum."""
    chosen = _labels("currency", "Currency", 'gputally_tariff_info{cluster=~"$cluster"}', everything="")
    return chosen | {"allValue": None, "current": {}, "includeAll": False, "multi": False}


def span() -> Json:
    """How far back lists of single jobs look: a big fleet's month of them is too much for a table."""
    spans = ("1h", "6h", "1d", "3d", "7d", "30d")
    return {
        "current": {"selected": True, "text": "1d", "value": "1d"},
        "hide": 0,
        "includeAll": False,
        "label": "Jobs of the last",
        "multi": False,
        "name": "span",
        "options": [{"selected": one == "1d", "text": one, "value": one} for one in spans],
        "query": ",".join(spans),
        "skipUrlSync": False,
        "type": "custom",
    }


def _labels(name: str, label: str, metric: str, *, everything: str = ".+") -> Json:
    query = f"label_values({metric}, {name})"
    return {
        "allValue": everything,
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "datasource": DATASOURCE,
        "definition": query,
        "hide": 0,
        "includeAll": True,
        "label": label,
        "multi": True,
        "name": name,
        "options": [],
        "query": {"query": query, "refId": "variable"},
        "refresh": 2,
        "regex": "",
        "skipUrlSync": False,
        "sort": 1,
        "type": "query",
    }
