"""A dashboard: variables, links, and panels placed on Grafana's grid of 24 columns."""

from collections.abc import Sequence

from grafana.queries import AGENTS, DATASOURCE, Json

TAG = "gputally"
COLUMNS = 24
REFRESH = "30s"
SCHEMA_VERSION = 37  # the newest that Grafana 9.4 reads; later ones migrate it as they load it

Line = tuple[int, Sequence[tuple[int, Json]]]  # height, and (width, panel) from left to right


def page(uid: str, title: str, description: str, lines: Sequence[Line], *, since: str) -> Json:
    """Put panels into lines, number them, and say what belongs to the page as a whole."""
    return {
        "annotations": {"list": []},
        "description": description,
        "editable": False,
        "fiscalYearStartMonth": 0,
        "graphTooltip": 1,
        "links": [_link_to_siblings()],
        "liveNow": False,
        "panels": _placed(lines),
        "refresh": REFRESH,
        "schemaVersion": SCHEMA_VERSION,
        "tags": [TAG],
        "templating": {"list": _variables()},
        "time": {"from": since, "to": "now"},
        "timepicker": {},
        "timezone": "browser",
        "title": title,
        "uid": uid,
        "version": 1,
        "weekStart": "",
    }


def _placed(lines: Sequence[Line]) -> list[Json]:
    placed: list[Json] = []
    top = 0
    for height, panels in lines:
        left = 0
        for width, body in panels:
            position = {"h": height, "w": width, "x": left, "y": top}
            placed.append({**body, "gridPos": position, "id": len(placed) + 1})
            left += width
        if left != COLUMNS:
            raise ValueError(
                f"a line at {top} is {left} columns wide: {[body['title'] for _, body in panels]}"
            )
        top += height
    return placed


def _variables() -> list[Json]:
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


def _link_to_siblings() -> Json:
    return {
        "asDropdown": True,
        "icon": "external link",
        "includeVars": True,
        "keepTime": True,
        "tags": [TAG],
        "targetBlank": False,
        "title": "gputally",
        "tooltip": "Other pages about the same machines",
        "type": "dashboards",
        "url": "",
    }
