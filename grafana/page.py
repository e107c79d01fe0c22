"""A dashboard: variables, links, and panels placed on Grafana's grid of 24 columns."""

from collections.abc import Sequence
from dataclasses import dataclass

from grafana.queries import Json
from grafana.variables import machines

TAG = "gputally"
COLUMNS = 24
SCHEMA_VERSION = 37  # the newest that Grafana 9.4 reads; later ones migrate it as they load it

Line = tuple[int, Sequence[tuple[int, Json]]]  # height, and (width, panel) from left to right


@dataclass(frozen=True)
class Opening:
    """What a reader finds: how far the page looks back, how often anew, and what there is to choose."""

    since: str
    refresh: str = "30s"
    choices: Sequence[Json] = ()  # beside machines


def page(
    uid: str,
    title: str,
    description: str,
    lines: Sequence[Line],
    *,
    opening: Opening,
) -> Json:
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
        "refresh": opening.refresh,
        "schemaVersion": SCHEMA_VERSION,
        "tags": [TAG],
        "templating": {"list": [*machines(), *opening.choices]},
        "time": {"from": opening.since, "to": "now"},
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
