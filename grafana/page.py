"""A dashboard: variables, links, and panels placed on Grafana's grid of 24 columns."""

from collections.abc import Sequence
from dataclasses import dataclass

from grafana.queries import Json
from grafana.variables import machines, unseen

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
    one_machine: bool = False  # opened with the first machine instead of all
    of_machines: bool = True  # else Job and Instance are not shown, and only handed on to other pages
    intervals: Sequence[str] = ()  # what there is to choose as refresh; else Grafana's own


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
        "templating": {"list": [*_machines(opening), *opening.choices]},
        "time": {"from": opening.since, "to": "now"},
        "timepicker": {"refresh_intervals": list(opening.intervals)} if opening.intervals else {},
        "timezone": "browser",
        "title": title,
        "uid": uid,
        "version": 1,
        "weekStart": "",
    }


def _machines(opening: Opening) -> list[Json]:
    shown = machines(one=opening.one_machine)
    return shown if opening.of_machines else [unseen(one) for one in shown]


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
